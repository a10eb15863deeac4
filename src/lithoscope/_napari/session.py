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
from lithoscope._napari.background import Background, sentence
from lithoscope._napari.collecting import give_back, set_aside
from lithoscope._napari.images import Images
from lithoscope._napari.keys import Keys
from lithoscope._napari.layer_stack import LayerStack
from lithoscope._napari.opening import Opened, corrections_of, opened, outdated, take_up_units, warm
from lithoscope._napari.painting import Painting
from lithoscope._napari.preview import Plane
from lithoscope._napari.preview_layer import PreviewLayer
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
        self.reading.failed.connect(self._on_failure)
        self.reading.start(warm, take_up_units)
        self._then: dict[int, Callable[[Job], None]] = {}
        self.scan: Scan | None = None
        self.classes = ClassTable()
        self.result_classes = ClassTable()
        self.readonly = ""
        """Who holds strokes that cannot be written here, or nothing."""
        self.unfinished: dict[str, RunRecord] = {}
        """Runs of an earlier session that can be resumed."""
        self.shown = ""
        """The name of the result on show."""
        self.correcting = False
        self.finish_in_background = False
        self._short_collections = False
        self._stack = LayerStack(self._viewer, self._keys.bind)
        self.preview = PreviewLayer(self._stack)
        self.painting = Painting(self)
        self.images = Images(self)
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
        self._open(Path(path))

    def _open(self, place: Path, *, patient: bool = False) -> None:
        self.said.emit(f"opening {place.name} …", False)
        if self.scan is not None and self.scan.path == place:
            self._end_correcting()
            self.painting.close()  # or it would find its own lock
        self.reading.start(lambda: opened(place, patient=patient), self._on_opened)

    def adopt(self, layer: Layer) -> bool:
        """Open the scan that a layer shows, when it says which."""
        about = ours.about(layer)
        if about.get("kind") != "image" or "path" not in about or (self.scan is not None and str(self.scan.path) == about["path"]):
            return False
        self.open(about["path"])
        return True

    def _on_opened(self, found: Opened) -> None:
        if found.uncounted:
            path = found.scan.path
            self.said.emit(f"counting the grey values of {path.name}, once …", False)
            self.run("info", {"scan": str(path)}, f"count {found.scan.name}", lambda job: self._on_counted(job, path))
            return
        if not self._short_collections:
            self._short_collections = True
            set_aside()
        former = self._stack.take()
        for old in former:
            old.units = ours.placed(found.scan.voxel)["units"]  # napari warns of unlike units, and these go in a moment
        self.close_scan()
        self.scan, self.classes, self.readonly, self.unfinished = found.scan, found.classes, found.readonly, found.unfinished
        self.painting.strokes = found.strokes
        shows = {"kind": "image", "path": str(found.scan.path)}
        given = (layer for layer in self.viewer.layers if layer not in former and shows.items() <= ours.about(layer).items())
        self._stack.add("image", next(given, None) or ours.image_layer(found.scan))
        if found.strokes is not None:
            layer = ours.strokes_layer(found.scan, found.strokes, self.classes, editable=not self.readonly)
            self._stack.add("strokes", self.painting.watch(layer))
        for old in former:
            self._stack.remove(old)
        for kind in ("image", "strokes"):
            if (own := self.layer(kind)) is not None:
                own.name = ours.layer_name(found.scan.name, kind)  # free now, if the scan was open before
        self._hide_in_3d()
        self.painting.choose_first()
        self.said.emit(f"read-only: {self.readonly}" if self.readonly else "", bool(self.readonly))
        self.scan_changed.emit()

    def _on_counted(self, job: Job, path: Path) -> None:
        if job.state == "done":
            self._open(path, patient=True)

    def close_scan(self) -> None:
        """Take the scan's layers away and give its strokes back."""
        if self.scan is None:
            return
        for kind in reversed(ours.ORDER):
            self._stack.drop(kind)
        self.painting.close()
        self.scan, self.shown, self.correcting, self.readonly = None, "", False, ""
        self.classes = self.result_classes = ClassTable()

    def forget(self) -> None:
        """Close the scan and say so."""
        self.close_scan()
        self.scan_changed.emit()

    # --- layers ---------------------------------------------------------------------------------------------------

    def layer(self, kind: ours.Kind) -> Layer | None:
        """The layer of this kind, if it is still in the viewer."""
        return self._stack.get(kind)

    def _on_inserted(self, event: Any) -> None:
        """A scan that was dropped into the window is taken up; beside an open one it is only shown."""
        layer = event.value
        if self.scan is None:
            self.adopt(layer)
        elif ours.about(layer).get("kind") == "image" and self.scan is not None and ours.about(layer)["path"] != str(self.scan.path):
            self.said.emit(f"{layer.name} is shown beside {self.scan.name}; to work on it, close {self.scan.name} first", False)

    def overlays(self) -> list[Layer]:
        """The layers that lie over the image."""
        return self._stack.overlays()

    def _on_removed(self, event: Any) -> None:
        """The person deleted a layer: without its image the scan is closed, without the others they are only not shown."""
        kind = self._stack.kind_of(event.value)
        if kind is None:
            return
        self._stack.forget(kind)
        if kind == "image":
            QTimer.singleShot(0, self.forget)
        elif kind == "result":
            self._end_correcting()
            self.shown = ""
            self.results_changed.emit()

    def _on_ndisplay(self, event: Any = None) -> None:
        self._hide_in_3d()
        self.plane_changed.emit()

    def _hide_in_3d(self) -> None:
        if self._stack.fit_dimensions():
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
        self._stack.put_away("preview")

    def place_layers(self) -> None:
        """Give every layer the scan's voxel size, after it changed."""
        if self.scan is None:
            return
        plane = self.plane()
        placed = ours.placed(self.scan.voxel)
        self.hide_preview()
        for layer in self._stack.all():
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
        return self.result_classes if self.correcting else self.classes

    def change_classes(self, table: ClassTable) -> None:
        """Take up other names, colours or classes, and keep them."""
        if self.scan is None:
            return
        from lithoscope.labels.classes_file import save_classes

        self.classes = table
        with self.telling():
            save_classes(self.scan, table)
        strokes = self.layer("strokes")
        if strokes is not None:
            strokes.colormap = ours.colormap(table)
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

    def show_result(self, name: str) -> None:
        """Show a result as it was predicted; an empty name shows none."""
        if self.scan is None:
            return
        self._end_correcting()
        self.shown = ""
        if not name:
            self._stack.drop("result")
        else:
            from lithoscope.labels.results import open_result

            with self.telling():
                found = open_result(self.scan, name)
                self.result_classes = found.classes
                self._stack.add("result", ours.result_layer(self.scan, found, name, corrections_of(self.scan, found)))
                self.shown = name
                self.hide_preview()
                if outdated(self.scan, found.record):
                    self.said.emit(f"{name} was made with another field of view; run it again to bring it up to date", False)
        self.results_changed.emit()

    def correct(self, name: str) -> None:
        """Show a result with its corrections, to be painted on."""
        if self.scan is None:
            return
        from lithoscope.labels.corrections import corrected
        from lithoscope.labels.results import open_result

        self._end_correcting()
        with self.telling():
            self.result_classes = open_result(self.scan, name).classes
            store = self.painting.corrected = corrected(self.scan, name)
            layer = ours.corrected_layer(self.scan, store, self.result_classes, name, editable=store.holder is None)
            self._stack.add("result", self.painting.watch(layer))
            if store.holder is not None:
                self.said.emit(f"read-only: {store.holder}", True)
            self.hide_preview()
            self.shown, self.correcting = name, True
        self._hide_in_3d()
        self.results_changed.emit()
        self.classes_changed.emit()
        if self.correcting and self.palette.ids:
            self.painting.choose(self.palette.ids[0])

    def _end_correcting(self) -> None:
        if self.painting.corrected is not None:
            self._stack.drop("result")
            with self.telling():
                self.painting.corrected.close()
            self.painting.corrected = None
        if self.correcting:
            self.correcting = False
            self.painting.choose_first()
            self.classes_changed.emit()

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
            hint = "; what was done is kept: press Resume to go on" if job.command == "segment" and job.done else ""
            self.said.emit(f"{job.title}: {job.message}{hint}", True)
        if then is not None:
            then(job)

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Tell the person of an error that they can mend, and go on."""
        try:
            yield
        except LithoscopeError as error:
            self.said.emit(str(error), True)

    def _on_failure(self, error: BaseException) -> None:
        self.said.emit(sentence(error), True)
        if self.scan is not None and self.painting.strokes is None:
            self.forget()  # it was to be opened anew, and is gone

    def shut(self) -> None:
        """The window closes: everything painted is on disk, the worker is told."""
        self.closing.emit()
        if self._short_collections:
            self._short_collections = False
            give_back()
        self.reading.close()
        self.jobs.close(finish=self.finish_in_background)
        self.painting.shut()
        self.scan = None
        self._stack.take()


def _shut(session: "ref[Session]") -> None:
    found = session()
    if found is not None:
        found.shut()
