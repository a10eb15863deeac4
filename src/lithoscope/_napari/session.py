"""What the docks of one viewer share: the open scan, its layers, its classes and the worker's jobs.

It knows no widget. Everything slow is done in a thread (opening) or in the worker process (jobs); the signals tell the docks.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize, ref

from napari.layers import Layer
from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from lithoscope._napari import layers as ours
from lithoscope._napari import looking
from lithoscope._napari.background import Background, is_heard
from lithoscope._napari.brush_box import hide_brush_box
from lithoscope._napari.correcting_tools import CorrectingTools
from lithoscope._napari.images import Images
from lithoscope._napari.keys import Keys
from lithoscope._napari.layer_stack import LayerStack
from lithoscope._napari.painting import Painting
from lithoscope._napari.preview import Plane
from lithoscope._napari.preview_layer import PreviewLayer
from lithoscope._napari.preview_owners import PreviewOwners
from lithoscope._napari.result_on_show import ResultOnShow
from lithoscope._napari.scan_opening import ScanOpening
from lithoscope._napari.worker_client import Job, WorkerClient
from lithoscope.classes import ClassTable
from lithoscope.errors import LithoscopeError
from lithoscope.record import RunRecord
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

_SESSIONS: "WeakKeyDictionary[Any, Session]" = WeakKeyDictionary()


def session_of(napari_viewer: Any) -> "Session":
    """The one session of a viewer, also behind the proxy that napari hands to plugins."""
    viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
    if viewer not in _SESSIONS:
        _SESSIONS[viewer] = Session(viewer)
    return _SESSIONS[viewer]


class Session(QObject):
    """One viewer's scan. It holds the viewer weakly: it must not keep a closed window alive."""

    scan_changed = Signal()
    """Another scan is open, or none."""
    facts_changed = Signal()
    """Voxel size, unit or field of view of the open scan changed."""
    classes_changed = Signal()
    results_changed = Signal()
    """A result came, went, or is shown or corrected now."""
    plane_changed = Signal()
    closing = Signal()
    """The window closes: threads end."""
    said = Signal(str, bool)
    """One sentence for the person; True when something went wrong."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._keys = Keys(self)
        self.jobs = WorkerClient(self)
        self.jobs.finished.connect(self._on_job)
        self.reading = Background(self)
        self._then: dict[int, Callable[[Job], None]] = {}
        self.scan: Scan | None = None
        self.classes = ClassTable()
        self.readonly = ""
        """Who holds strokes that cannot be written here, or nothing."""
        self.unfinished: dict[str, RunRecord] = {}
        """Runs of an earlier session that can be resumed."""
        self.finish_in_background = False
        self.stack = LayerStack(self._viewer, self._keys.bind)
        self.preview = PreviewLayer(self.stack)
        self.previewing = PreviewOwners(self)
        self.previewing.changed.connect(self.plane_changed)  # who has the layer shows what is his
        self.painting = Painting(self)
        self.images = Images(self)
        self.tools = CorrectingTools(self)
        self.on_show = ResultOnShow(self)
        self._opening = ScanOpening(self)
        hide_brush_box(viewer)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.dims.events.current_step.connect(self._on_plane)
        viewer.dims.events.order.connect(self._on_plane)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        finalize(viewer, _shut, ref(self)).atexit = False
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut)

    # --- the scan -------------------------------------------------------------------------------------------------

    @property
    def viewer(self) -> Any:
        viewer = self._viewer()
        assert viewer is not None
        return viewer

    def open(self, path: Path | str) -> None:
        """Open a scan, its strokes and its classes; `scan_changed` follows."""
        self._opening.open(Path(path))

    def adopt(self, layer: Layer) -> bool:
        """Open the scan that a layer shows, when it says which."""
        return self._opening.adopt(layer)

    def close_scan(self) -> None:
        """Take the scan's layers away and give its strokes back."""
        self._opening.close()

    def forget(self) -> None:
        """Close the scan and say so."""
        self.close_scan()
        self.scan_changed.emit()

    def leave(self) -> None:
        """Close the scan in several turns of the event loop; `scan_changed` follows."""
        self._opening.close_in_turns()

    # --- layers ---------------------------------------------------------------------------------------------------

    def layer(self, kind: ours.Kind) -> Layer | None:
        """The layer of this kind, if it is still in the viewer."""
        return self.stack.get(kind)

    def _on_inserted(self, event: Any) -> None:
        """A scan that was dropped into the window is taken up; beside an open one it is only shown."""
        layer = event.value
        if self.stack.kind_of(layer) is not None:
            return
        if self.scan is None:
            self.adopt(layer)
        elif ours.about(layer).get("kind") == "image" and ours.about(layer)["path"] != str(self.scan.path):
            self.said.emit(f"{layer.name} is shown beside {self.scan.name}; to work on it, close {self.scan.name} first", False)

    def overlays(self) -> list[Layer]:
        """The layers that lie over the image."""
        return self.stack.overlays()

    def _on_removed(self, event: Any) -> None:
        """The person deleted a layer: without its image the scan is closed, without the others they are only not shown."""
        kind = self.stack.kind_of(event.value)
        if kind is None:
            return
        self.stack.forget(kind)
        if kind == "image":
            QTimer.singleShot(0, self.leave)
        elif kind == "result":
            self.on_show.gone()

    def _on_ndisplay(self, event: Any = None) -> None:
        self.hide_in_3d()
        self.plane_changed.emit()

    def hide_in_3d(self) -> None:
        """Hide painted layers that are too large for 3D, and say so."""
        if self.stack.fit_dimensions():
            self.said.emit("strokes and corrections of a scan of this size are shown in 2D only", False)

    # --- the plane in view ------------------------------------------------------------------------------------------

    def _on_plane(self, event: Any = None) -> None:
        if self.scan is not None:
            self.plane_changed.emit()

    def plane(self) -> Plane | None:
        """The plane of the scan in view, or None in 3D and where the slider is beside the scan."""
        image = self.layer("image")
        return None if image is None or self.scan is None else looking.plane_in_view(self.viewer, image, self.scan)

    def place_in_view(self) -> Triple:
        """The voxel in the middle of the view, or 0, 0, 0 without a scan."""
        image = self.layer("image")
        return (0, 0, 0) if image is None or self.scan is None else looking.place_in_view(self.viewer, image, self.scan)

    def go_to(self, place: Triple) -> None:
        """Bring a voxel of the scan into the middle of the view."""
        if (image := self.layer("image")) is not None:
            looking.go_to(self.viewer, image, place)

    def show_preview(self, labels: Any, classes: ClassTable, origin: Triple, **more: Any) -> None:
        """Lay labels over the plane in view; see `PreviewLayer.show`."""
        if self.scan is not None:
            self.preview.show(self.scan, labels, classes, origin, **more)

    def hide_preview(self) -> None:
        """Take the preview away."""
        self.stack.put_away("preview")

    def place_layers(self) -> None:
        """Give every layer the scan's voxel size, after it changed."""
        if self.scan is None:
            return
        plane = self.plane()
        placed = ours.placed(self.scan.voxel)
        self.hide_preview()
        for layer in self.stack.all():
            layer.scale, layer.units = placed["scale"], placed["units"]
        if plane is not None:
            dims = self.viewer.dims
            dims.set_point(dims.ndim - 3 + plane.axis, plane.index * placed["scale"][plane.axis])
        self.viewer.reset_view()
        self.facts_changed.emit()

    # --- classes and painting ---------------------------------------------------------------------------------------

    @property
    def palette(self) -> ClassTable:
        """The classes that painting gives now: the scan's, or those of the result that is corrected."""
        return self.on_show.classes if self.correcting else self.classes

    def change_classes(self, table: ClassTable) -> None:
        """Take up other names, colours or classes, and keep them."""
        if self.scan is None:
            return
        if self.correcting:
            self.on_show.change_classes(table)
            return
        from lithoscope.labels.classes_file import save_classes

        with self.telling():
            save_classes(self.scan, table)
            self.classes = table
        strokes = self.layer("strokes")
        if strokes is not None:
            strokes.colormap = ours.colormap(self.classes)
        self.classes_changed.emit()

    # --- results ------------------------------------------------------------------------------------------------------

    def results(self) -> list[str]:
        """The names of the scan's results."""
        if self.scan is None:
            return []
        from lithoscope.labels.results import results

        return list(results(self.scan))

    def classes_of(self, name: str) -> ClassTable:
        """The classes of a result; empty when it cannot be read."""
        if self.scan is not None:
            from lithoscope.labels.results import open_result

            with self.telling():
                return open_result(self.scan, name).classes
        return ClassTable()

    @property
    def shown(self) -> str:
        """The name of the result on show."""
        return self.on_show.name

    @property
    def correcting(self) -> bool:
        """Whether the result on show is painted on."""
        return self.on_show.correcting

    def show_result(self, name: str) -> None:
        """Show a result, not to be painted on; an empty name shows none."""
        self.on_show.show(name)

    def correct(self, name: str) -> None:
        """Show a result with its corrections, to be painted on."""
        self.on_show.correct(name)

    # --- jobs -----------------------------------------------------------------------------------------------------------

    def run(self, command: str, arguments: dict[str, Any], title: str, then: Callable[[Job], None] | None = None) -> Job:
        """Have the worker do something; `then` is told how it ended."""
        self.painting.flush()
        job = self.jobs.submit(command, arguments, title)
        if then is not None and not job.over:
            self._then[job.id] = then
        return job

    def _on_job(self, job: Job) -> None:
        then = self._then.pop(job.id, None)
        if job.state == "done":
            self.said.emit(f"{job.title}: done", False)
        elif job.state == "cancelled":
            self.said.emit(f"{job.title}: cancelled", False)
        else:
            hint = "; what was done is kept: press Resume to go on" if job.command in ("segment", "filter") and job.done else ""
            self.said.emit(f"{job.title}: {job.message}{hint}", True)
        if then is not None and is_heard(then):
            then(job)

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Tell the person of an error that they can mend, and go on."""
        try:
            yield
        except LithoscopeError as error:
            self.said.emit(str(error), True)

    def shut(self) -> None:
        """The window closes: everything painted is on disk, the worker is told."""
        self.closing.emit()
        self.reading.close()
        self.jobs.close(finish=self.finish_in_background)
        self.painting.shut()
        self.scan = None
        self.stack.take()


def _shut(session: "ref[Session]") -> None:
    found = session()
    if found is not None:
        found.shut()
