"""The field of view as an outline over the image: a circle or box that napari's own tools move and stretch, or the rim of a mask.

It is one small layer of shapes, there only while a field of view is proposed, edited or looked at, and it follows the plane in view.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from lithoscope._napari import layers as ours
from lithoscope._napari.background import Background
from lithoscope._napari.mask_outline import rim_on
from lithoscope._napari.preview import Plane
from lithoscope._napari.session import Session
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import BoxView, Cylinder, Mask

Shape = Cylinder | BoxView
Vertices = npt.NDArray[np.float64]

COLOUR = "#ffd400"
THIN = 1 / 250
"""How thick the line is, beside the longest side of a plane."""


class Outline(QObject):
    """At most one layer in the viewer. `shape` is what it shows; `changed` says that the person moved or stretched it."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._layer: Shapes | None = None
        self._former: Any = None
        self._drawing = False
        self._plane: Plane | None = None
        self.shape: Shape | Mask | None = None
        self.editing = False
        self._tracing = Background(self, newest_only=True)
        session.closing.connect(self._tracing.close)
        session.plane_changed.connect(self._on_plane)
        session.facts_changed.connect(self._place)
        session.viewer.layers.events.removed.connect(self._on_removed)

    @property
    def layer(self) -> Shapes | None:
        """The layer, while there is one."""
        return self._layer

    def show(self, shape: Shape | Mask, *, editing: bool = False) -> None:
        """Show this shape; `editing` hands it to napari's tools, which only circles and boxes are made for."""
        self.shape = shape
        if self._layer is None:
            self._add()
        self.draw()
        if editing != self.editing:
            self.editing = editing
            self._hand_over(editing)

    def hide(self) -> None:
        """Take the outline away."""
        layer, self._layer, self.shape = self._layer, None, None
        if self.editing:
            self.editing = False
        viewer = self._session.viewer
        if layer is not None and layer in viewer.layers:
            viewer.layers.remove(layer)
            self._activate(self._former)

    def _on_plane(self) -> None:
        """Follow the slider. A shape that is dragged beyond the image changes the slider's range: nothing is drawn anew for that."""
        if self._session.plane() != self._plane:
            self.draw()

    def draw(self) -> None:
        """Draw the outline on the plane in view; in 3D, where napari's tools do not work, it is not shown."""
        scan, layer = self._session.scan, self._layer
        if scan is None or layer is None or self.shape is None:
            return
        plane, shape = self._session.plane(), self.shape
        self._plane = plane
        if isinstance(shape, Mask):
            if plane is None:
                self._put([])
            else:
                self._tracing.start(lambda: (shape, plane, rim_on(shape, plane, scan.shape)), self._on_traced)
        else:
            self._put([] if plane is None else drawn_on(shape, plane, scan.shape))

    def _on_traced(self, found: "tuple[Mask, Plane, list[tuple[Vertices, str]]]") -> None:
        shape, plane, drawn = found
        if self.shape is shape and self._plane == plane:
            self._put(drawn)

    def _put(self, drawn: list[tuple[Vertices, str]]) -> None:
        """Have the layer hold these shapes and no others."""
        layer = self._layer
        if layer is None:
            return
        self._drawing = True
        try:
            layer.data = drawn
            thickness = self._thickness()
            if any(width != thickness for width in layer.edge_width):
                layer.edge_width = thickness
            if self.editing and layer.mode == "select":
                layer.selected_data = {0} if drawn and drawn[0][1] != "line" else set()
        finally:
            self._drawing = False

    def _place(self) -> None:
        """Take up the scan's voxel size after it changed."""
        if self._layer is not None and self._session.scan is not None:
            placed = ours.placed(self._session.scan.voxel)
            self._layer.scale, self._layer.units = placed["scale"], placed["units"]
            self.draw()

    def _thickness(self) -> float:
        assert self._session.scan is not None
        return max(self._session.scan.shape) * THIN

    def _add(self) -> None:
        scan, viewer = self._session.scan, self._session.viewer
        assert scan is not None
        self._former = viewer.layers.selection.active
        layer = Shapes(
            ndim=3,
            name=f"{scan.name} · field of view",
            metadata={ours.KEY: {"kind": "outline", "path": str(scan.path)}},
            edge_width=self._thickness(),
            edge_color=COLOUR,
            face_color="transparent",
            opacity=1.0,
            **ours.placed(scan.voxel),
        )
        viewer.add_layer(layer)
        layer.events.data.connect(self._on_data)
        self._layer = layer
        self._activate(self._former)

    def _hand_over(self, editing: bool) -> None:
        layer = self._layer
        if layer is None:
            return
        if editing:
            self._session.viewer.layers.selection.active = layer
            layer.mode = "select"
            self.draw()
        else:
            layer.selected_data = set()
            layer.mode = "pan_zoom"
            self._activate(self._former)

    def _activate(self, layer: Any) -> None:
        layers = self._session.viewer.layers
        if layer is not None and layer in layers:
            layers.selection.active = layer

    def _on_data(self, event: Any) -> None:
        """The person's hand left a shape, drew another, or deleted it."""
        if self._drawing or str(event.action) not in ("changed", "added", "removed"):
            return
        QTimer.singleShot(0, self._read)  # napari is still in the middle of the drag

    def _read(self) -> None:
        scan, plane, layer = self._session.scan, self._session.plane(), self._layer
        if scan is None or plane is None or layer is None or self.shape is None or isinstance(self.shape, Mask):
            return
        if len(layer.data):
            last = len(layer.data) - 1
            found = read_back(np.asarray(layer.data[last]), layer.shape_type[last], self.shape, plane, scan.shape)
            moved, self.shape = found != self.shape, found
        else:
            moved = False
        self.draw()
        if moved:
            self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer, self.shape, self.editing = None, None, False
            self.changed.emit()


def drawn_on(shape: Shape, plane: Plane, size: Triple) -> list[tuple[Vertices, str]]:
    """What a field of view looks like on a plane of a scan of `size`: vertices (n, 3) in voxels, and napari's word for the kind.

    A cylinder is a circle on planes across z and two lines on the others; a box is a rectangle.
    """
    if isinstance(shape, BoxView):
        box, axis = shape.box, plane.axis
        if not box.start[axis] <= plane.index < box.stop[axis]:
            return []
        low, high = np.array(box.start) - 0.5, np.array(box.stop) - 0.5
        return [(_rectangle(low, high, plane), "rectangle")]
    if plane.axis == 0:
        low, high = np.array([0, shape.cy - shape.r, shape.cx - shape.r]), np.array([0, shape.cy + shape.r, shape.cx + shape.r])
        return [(_rectangle(low, high, plane), "ellipse")]
    across, centre, other = (plane.index - shape.cy, shape.cx, 2) if plane.axis == 1 else (plane.index - shape.cx, shape.cy, 1)
    if abs(across) >= shape.r:
        return []
    half = (shape.r**2 - across**2) ** 0.5
    lines = []
    for place in (centre - half, centre + half):
        line = np.zeros((2, 3))
        line[:, 0], line[:, plane.axis], line[:, other] = (-0.5, size[0] - 0.5), plane.index, place
        lines.append((line, "line"))
    return lines


def _rectangle(low: Vertices, high: Vertices, plane: Plane) -> Vertices:
    first, second = (axis for axis in range(3) if axis != plane.axis)
    corners = np.zeros((4, 3))
    corners[:, plane.axis] = plane.index
    corners[:, first] = low[first], low[first], high[first], high[first]
    corners[:, second] = low[second], high[second], high[second], low[second]
    return corners


def read_back(vertices: Vertices, kind: str, former: Shape, plane: Plane, size: Triple) -> Shape:
    """The field of view that a shape on a plane stands for; a circle stays a circle, a box keeps to whole voxels of the scan.

    A stretched circle takes the side that was stretched; a rectangle drawn over a cylinder makes a box, an ellipse a cylinder.
    """
    if kind == "line":
        return former
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    if kind == "ellipse" and plane.axis == 0:
        _, cy, cx = (low + high) / 2
        sides = np.linalg.norm(vertices[1] - vertices[0]) / 2, np.linalg.norm(vertices[2] - vertices[1]) / 2
        r = max(sides, key=lambda side: abs(side - former.r)) if isinstance(former, Cylinder) else sum(sides) / 2
        return Cylinder(round(float(cy), 1), round(float(cx), 1), max(round(float(r), 1), 1.0))
    start, stop = list(former.box.start) if isinstance(former, BoxView) else [0, 0, 0], list(size)
    if isinstance(former, BoxView):
        stop = list(former.box.stop)
    for axis in range(3):
        if axis != plane.axis:
            start[axis] = min(max(round(float(low[axis]) + 0.5), 0), size[axis] - 1)
            stop[axis] = min(max(round(float(high[axis]) + 0.5), start[axis] + 1), size[axis])
    return BoxView(Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])))


def warm() -> None:
    """Have napari load and compile what it draws shapes with, in a thread: the first of a layer takes it seconds."""
    corners = np.array([[0, 0, 0], [0, 0, 9], [0, 9, 9], [0, 9, 0]], np.float64)
    Shapes([corners, corners, corners[:2]], shape_type=["ellipse", "rectangle", "path"], ndim=3)
