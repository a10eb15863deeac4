"""Opening a scan in a window and closing it: what is read in a thread becomes layers, strokes and classes of the session."""

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtCore import QObject

from lithoscope._napari import layers as ours
from lithoscope._napari.background import sentence
from lithoscope._napari.collecting import Collections
from lithoscope._napari.handover import Handover
from lithoscope._napari.opening import Opened, opened, take_up_units, warm
from lithoscope._napari.turns import Turns
from lithoscope._napari.worker_client import Job
from lithoscope.classes import ClassTable

if TYPE_CHECKING:
    from lithoscope._napari.session import Session


class ScanOpening(QObject):
    """Gives the session a scan and takes it away."""

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._session = session
        self._collections = Collections()
        session.closing.connect(self._collections.lengthen)
        self._handover = Handover()
        session.closing.connect(self._handover.restore)
        self._turns = Turns(self)
        self._asked: set[Path] = set()
        """Scans that are being read: a second wish for one of them, as a double click makes, is the same wish."""
        session.closing.connect(self._turns.stop)
        session.reading.failed.connect(self._on_failure)
        session.reading.start(warm, take_up_units)

    def open(self, place: Path, *, patient: bool = False) -> None:
        """Open a scan, its strokes and its classes. Unless `patient`, grey values that were never counted are counted in a job first."""
        session = self._session
        if place in self._asked:
            return
        self._asked.add(place)
        self._turns.finish()
        session.said.emit(f"opening {place.name} …", False)
        if session.scan is not None and _same(session.scan.path, place):
            session.on_show.end_correcting()
            session.painting.close()  # or it would find its own lock
        session.reading.start(lambda: opened(place, patient=patient), self._on_opened)

    def adopt(self, layer: Layer) -> bool:
        """Open the scan that a layer shows, when it says which."""
        about, scan = ours.about(layer), self._session.scan
        if about.get("kind") != "image" or "path" not in about or (scan is not None and str(scan.path) == about["path"]):
            return False
        self.open(Path(about["path"]))
        return True

    def close(self) -> None:
        """Take the scan's layers away and give its strokes back."""
        self._turns.finish()
        self._close()

    def close_in_turns(self) -> None:
        """The same, a layer at a time, since napari takes long over each; then say that no scan is open."""
        self._turns.start(self._closing())

    def _closing(self) -> Generator[None, None, None]:
        for kind in reversed(ours.ORDER):
            if kind != "image" and self._session.layer(kind) is not None:
                self._session.stack.drop(kind)
                yield
        self._close()
        self._session.scan_changed.emit()

    def _close(self) -> None:
        session = self._session
        if session.scan is None:
            return
        for kind in reversed(ours.ORDER):
            session.stack.drop(kind)
        session.painting.close()
        session.on_show.forget()
        session.scan, session.readonly = None, ""
        session.classes = ClassTable()

    def _on_opened(self, found: Opened) -> None:
        session = self._session
        self._asked.clear()
        if found.uncounted:
            path = found.scan.path
            session.said.emit(f"counting the grey values of {path.name}, once …", False)
            session.run("info", {"scan": str(path)}, f"count {found.scan.name}", lambda job: self._on_counted(job, path))
            return
        self._collections.shorten()
        self._handover.quicken()
        self._turns.start(self._shown(found))

    def _shown(self, found: Opened) -> Generator[None, None, None]:
        """Show the scan, or give its strokes back if the window closes meanwhile."""
        try:
            yield from self._showing(found)
        except GeneratorExit:
            if found.strokes is not None:
                found.strokes.close()
            raise

    def _showing(self, found: Opened) -> Generator[None, None, None]:
        """The scan's layers come one by one and those of the former scan go; it is the session's when all are there."""
        session = self._session
        former = session.stack.take()
        for old in former:
            old.units = ours.placed(found.scan.voxel)["units"]  # napari warns of unlike units, and these go in a moment
        self._close()
        shows = {"kind": "image", "path": str(found.scan.path)}
        given = (layer for layer in session.viewer.layers if layer not in former and shows.items() <= ours.about(layer).items())
        session.stack.add("image", next(given, None) or ours.image_layer(found.scan))
        yield
        if found.strokes is not None:
            layer = ours.strokes_layer(found.scan, found.strokes, found.classes, editable=not found.readonly)
            session.stack.add("strokes", session.painting.watch(layer))
            yield
        for old in former:
            session.stack.remove(old)
            yield
        session.scan, session.classes, session.readonly, session.unfinished = found.scan, found.classes, found.readonly, found.unfinished
        session.painting.strokes = found.strokes
        for kind in ("image", "strokes"):
            if (own := session.layer(kind)) is not None:
                own.name = ours.layer_name(found.scan.name, kind)  # free now, if the scan was open before
        session.hide_in_3d()
        session.painting.choose_first()
        session.said.emit(f"read-only: {session.readonly}" if session.readonly else "", bool(session.readonly))
        session.scan_changed.emit()

    def _on_counted(self, job: Job, path: Path) -> None:
        if job.state == "done":
            self.open(path, patient=True)

    def _on_failure(self, error: BaseException) -> None:
        session = self._session
        self._asked.clear()
        session.said.emit(sentence(error), True)
        if session.scan is not None and session.painting.strokes is None:
            session.forget()  # it was to be opened anew, and is gone


def _same(one: Path, other: Path) -> bool:
    """Whether two paths, which may be written differently, are of one scan."""
    try:
        return one == other or one.samefile(other)
    except OSError:  # one of them is gone
        return False
