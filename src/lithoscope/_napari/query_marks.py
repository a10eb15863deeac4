"""The place that is asked about and the place that was gone to, as rectangles over the image; and drawing one with the mouse."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from lithoscope._napari import layers as ours
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

QUERY, HIT = "#ffd400", "#35d0ff"


class QueryMarks(QObject):
    """At most one small layer of shapes, there while there is something to mark or to draw."""

    drawn = Signal(int, int, object)
    """A rectangle was drawn: the axis across the plane, the plane's number, and its ranges of voxels along the two others."""
    clicked = Signal(int, int, object)
    """A voxel was clicked: axis, plane, and its two other coordinates."""
    ended = Signal()
    """Nothing is drawn any more."""

    def __init__(self, session: "Session", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._layer: Shapes | None = None
        self._former: Any = None
        self._mode = ""
        self._boxes: dict[str, Box] = {}
        self._drawing = False
        session.plane_changed.connect(self.draw)
        session.facts_changed.connect(self._place)
        session.viewer.layers.events.removed.connect(self._on_removed)

    def show(self, *, query: Box | None = None, hit: Box | None = None) -> None:
        """Mark these places, where the plane in view goes through them."""
        self._boxes = {k: b for k, b in ((QUERY, query), (HIT, hit)) if b is not None}
        if self._boxes and self._layer is None:
            self._add()
        self.draw()

    def pick(self, what: str) -> None:
        """Have the person draw a "box" or click a "token"; nothing ends it."""
        self._stop_clicks()
        if not what:
            self._end()
            return
        if self._layer is None:
            self._add()
        viewer = self._session.viewer
        if viewer.layers.selection.active is not self._layer:
            self._former = viewer.layers.selection.active
        self._mode = what
        assert self._layer is not None
        viewer.layers.selection.active = self._layer
        if what == "box":
            self._layer.mode = "add_rectangle"
        else:
            self._layer.mode = "pan_zoom"
            viewer.mouse_drag_callbacks.append(self._on_click)

    def hide(self) -> None:
        """Take everything away."""
        self.pick("")
        self._boxes = {}
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._session.viewer.layers:
            self._session.viewer.layers.remove(layer)

    def draw(self) -> None:
        """Draw what the plane in view goes through."""
        layer, plane = self._layer, self._session.plane()
        if layer is None:
            return
        shown = []
        if plane is not None:
            shown = [(c, b) for c, b in self._boxes.items() if b.start[plane.axis] <= plane.index < b.stop[plane.axis]]
        self._drawing = True
        try:
            layer.selected_data = set()
            layer.data = [_corners(box, plane.axis, plane.index) for _, box in shown] if plane is not None else []
            if shown:
                layer.edge_color = [colour for colour, _ in shown]
                layer.edge_width = self._thickness()
        finally:
            self._drawing = False

    def _thickness(self) -> float:
        scan = self._session.scan
        return 1.0 if scan is None else max(0.5, max(scan.shape) / 400)

    def _add(self) -> None:
        scan, viewer = self._session.scan, self._session.viewer
        if scan is None:
            return
        active = viewer.layers.selection.active
        layer = Shapes(
            ndim=3, name=f"{scan.name} · similar", face_color="transparent", edge_color=QUERY, edge_width=self._thickness(),
            metadata={ours.KEY: {"kind": "marks", "path": str(scan.path)}}, **ours.placed(scan.voxel),
        )  # fmt: skip
        layer.events.data.connect(self._on_data)
        self._layer = layer
        viewer.add_layer(layer)
        viewer.layers.selection.active = active if active in viewer.layers else self._session.layer("image")

    def _place(self) -> None:
        if self._layer is not None and self._session.scan is not None:
            placed = ours.placed(self._session.scan.voxel)
            self._layer.scale, self._layer.units = placed["scale"], placed["units"]

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._stop_clicks()
            self._layer, self._mode = None, ""
            self.ended.emit()

    def _on_data(self, event: Any = None) -> None:
        """napari tells of each change; a rectangle is whole when it was added."""
        action = str(getattr(getattr(event, "action", ""), "value", getattr(event, "action", "")))
        if not self._drawing and self._mode == "box" and action == "added":
            QTimer.singleShot(0, self._take)

    def _take(self) -> None:
        layer, plane = self._layer, self._session.plane()
        if layer is None or plane is None or self._mode != "box" or not layer.data:
            return
        corners = np.asarray(layer.data[-1])
        ranges = [(float(corners[:, a].min()), float(corners[:, a].max())) for a in range(3) if a != plane.axis]
        self._end()
        if all(high - low >= 1 for low, high in ranges):
            self.drawn.emit(plane.axis, plane.index, ranges)

    def _on_click(self, viewer: Any, event: Any) -> None:
        plane, layer = self._session.plane(), self._session.layer("image")
        if plane is None or layer is None or self._session.scan is None:
            return
        place = [round(float(p)) for p in layer.world_to_data(viewer.cursor.position)[-3:]]
        if all(0 <= p < n for p, n in zip(place, self._session.scan.shape, strict=True)):
            self.clicked.emit(plane.axis, plane.index, [p for a, p in enumerate(place) if a != plane.axis])

    def _stop_clicks(self) -> None:
        callbacks: list[Callable[..., Any]] = self._session.viewer.mouse_drag_callbacks
        if self._on_click in callbacks:
            callbacks.remove(self._on_click)

    def _end(self) -> None:
        """Give the mouse back."""
        self._stop_clicks()
        had, self._mode = bool(self._mode), ""
        viewer = self._session.viewer
        if self._layer is not None:
            self._layer.mode = "pan_zoom"
        if had and self._former is not None and self._former in viewer.layers:
            viewer.layers.selection.active = self._former
        self._former = None
        if had:
            self.ended.emit()


def _corners(box: Box, axis: int, index: int) -> "np.ndarray[Any, Any]":
    """The corners (4, 3) of a box on one of its planes."""
    a, b = (i for i in range(3) if i != axis)
    made = np.full((4, 3), float(index))
    made[:, a] = np.array([box.start[a], box.start[a], box.stop[a] - 1, box.stop[a] - 1]) + np.array([-0.5, -0.5, 0.5, 0.5])
    made[:, b] = np.array([box.start[b], box.stop[b] - 1, box.stop[b] - 1, box.start[b]]) + np.array([-0.5, 0.5, 0.5, -0.5])
    return made
