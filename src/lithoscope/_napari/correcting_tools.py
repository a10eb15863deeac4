"""The tools of correcting at work: what each paints with the brush that is in hand, on the layer that is painted on.

What is to be painted is worked out in a thread; it is written as one stroke of the journal and shown.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QObject, Signal

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.correcting_clicks import Clicks
from lithoscope.labels.correcting import Edit, Plane, ball, copied, grown, holes, interpolated, restricted
from lithoscope.labels.corrections import Corrected
from lithoscope.labels.drawn import drawn_around
from lithoscope.labels.editable import EditableArray
from lithoscope.labels.fence import Fence
from lithoscope.labels.store import LabelStore
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

Click = Literal["", "grow", "ball"]


class CorrectingTools(QObject):
    """Fills, copies, interpolates, grows; what is painted stays within the fence. Every tool is one step of undo."""

    click_changed = Signal(str)
    """What a click on the layer does now: nothing of ours, "grow" or "ball"."""

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._session = session
        self._working = Background(self)
        self._working.failed.connect(lambda error: session.said.emit(sentence(error), True))
        self.fence: Fence | None = None
        self.tolerance = 10.0
        self.grow_in_3d = False
        self.radius = 5.0
        self.unit: str | None = None
        """The unit of `radius`; None for voxels."""
        self._clicks = Clicks(session, self._on_click)
        self._clicks.ended.connect(lambda: self.click(""))
        session.closing.connect(self._working.close)
        session.scan_changed.connect(lambda: self.click(""))
        session.classes_changed.connect(self._take_up_fence)

    # --- where it takes -----------------------------------------------------------------------------------------------

    def set_fence(self, fence: Fence | None) -> None:
        """Have the brush and every tool paint only there."""
        self.fence = fence
        self._take_up_fence()

    def _take_up_fence(self) -> None:
        for store in (self._session.painting.strokes, self._session.painting.corrected):
            if store is not None:
                store.fence = self.fence

    # --- the plane in view ----------------------------------------------------------------------------------------------

    def fill_holes(self) -> None:
        """Fill what the chosen class surrounds on the plane in view."""
        self._on_plane("no hole to fill on this plane", lambda labels, plane, shape, id: holes(labels, plane, shape, id))

    def copy_on(self) -> None:
        """Copy the chosen class from the plane in view to the next one, and go there."""
        self._copy(1)

    def copy_back(self) -> None:
        """Copy the chosen class from the plane in view to the one before, and go there."""
        self._copy(-1)

    def _copy(self, step: int) -> None:
        def work(labels: EditableArray, plane: Plane, shape: Triple, id: int) -> Edit:
            return copied(labels, plane, shape, id, step=step)

        def go() -> None:
            dims = self._session.viewer.dims
            if (plane := self._session.plane()) is not None:
                axis = dims.ndim - 3 + plane.axis
                dims.set_current_step(axis, dims.current_step[axis] + step)

        self._on_plane("the other plane has all of it already", work, go)

    def interpolate(self) -> None:
        """Fill the planes between the two nearest on which the chosen class was drawn, around the one in view."""

        def work(labels: EditableArray, plane: Plane, shape: Triple, id: int) -> Edit:
            own = labels.store if isinstance(labels, Corrected) else labels  # of a result only what was painted, not what the method said
            assert isinstance(own, LabelStore)
            first, second = drawn_around(own, plane, shape, id)
            return interpolated(own, first, second, shape, id)

        self._on_plane("the planes between are drawn already", work)

    # --- clicks -----------------------------------------------------------------------------------------------------------

    def click(self, what: Click) -> None:
        """Have clicks on the layer that is painted on grow a region, paint with the 3D brush, or do what napari says."""
        if what and self._brush() is None:
            what = ""
        self._clicks.start(what)
        self.click_changed.emit(what)

    def lasso(self) -> None:
        """Draw an outline: napari fills it with the chosen class."""
        if (target := self._target()) is not None:
            self._session.painting.choose(target[3])
            target[0].mode = "polygon"

    def grow(self) -> None:
        """Have a click paint what hangs together with it and is as grey, or end that."""
        self.click("" if self._clicks.tool == "grow" else "grow")

    def ball(self) -> None:
        """Have the button paint balls in all three dimensions, or end that."""
        self.click("" if self._clicks.tool == "ball" else "ball")

    def _on_click(self, what: str, at: Triple) -> None:
        if what == "grow":
            self._grow(at)
        elif (target := self._target()) is not None:
            layer, labels, shape, id = target
            scan = self._session.scan
            assert scan is not None
            with self._session.telling():
                restricted(ball(at, self.radius, shape, id, voxel=scan.voxel, unit=self.unit), labels, self.fence).apply(labels)
                layer.refresh()

    def _grow(self, at: Triple) -> None:
        scan, image = self._session.scan, self._session.images.chosen
        tolerance, flat = self.tolerance, None if self.grow_in_3d else self._session.plane()

        def work(labels: EditableArray, shape: Triple, id: int) -> Edit:
            assert scan is not None
            plane = None if flat is None else Plane(flat.axis, flat.index)
            return grown(scan.array(image), at, tolerance, id, plane=plane)

        self._do("that is painted already", work)

    # --- how ----------------------------------------------------------------------------------------------------------------

    def _brush(self) -> Any:
        layer = self._session.painting.brush()
        return layer if layer is not None and layer.editable else None

    def _target(self) -> tuple[Any, EditableArray, Triple, int] | None:
        """The layer that is painted on, its labels, their shape and the chosen class; says what is missing."""
        session, layer = self._session, self._brush()
        if layer is None or session.scan is None:
            session.said.emit("there is nothing to paint on; open a scan that can be written", True)
        elif not session.painting.chosen:
            session.said.emit("choose a class first", True)
        else:
            return layer, layer.data, session.scan.shape, session.painting.chosen
        return None

    def _on_plane(
        self, nothing: str, work: Callable[[EditableArray, Plane, Triple, int], Edit], after: Callable[[], None] | None = None
    ) -> None:
        plane = self._session.plane()
        if plane is None:
            self._session.said.emit("this works on a plane; show the scan in 2D", True)
            return
        there = Plane(plane.axis, plane.index)
        self._do(nothing, lambda labels, shape, id: work(labels, there, shape, id), after)

    def _do(self, nothing: str, work: Callable[[EditableArray, Triple, int], Edit], after: Callable[[], None] | None = None) -> None:
        target = self._target()
        if target is None:
            return
        layer, labels, shape, id = target
        fence, name = self.fence, self._session.palette[id].name

        def paint() -> int:
            edit = restricted(work(labels, shape, id), labels, fence)
            edit = Edit(edit.box, edit.mask & (labels.read(edit.box) != id), id)
            edit.apply(labels)
            return edit.size

        def painted(count: int) -> None:
            self._session.said.emit(f"{count:,} voxel{'s' if count != 1 else ''} painted as {name}" if count else nothing, False)
            if self._session.painting.brush() is layer:
                layer.refresh()
                layer.events.paint(value=[])
                if after is not None:
                    after()

        self._working.start(paint, painted)
