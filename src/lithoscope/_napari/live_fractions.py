"""The fractions of the result on show, counted in a thread and again after each correction."""

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from lithoscope._napari.background import Background
from lithoscope.labels.corrections import Corrected
from lithoscope.measure.live_counts import Counts, LiveCounts, live_counts

if TYPE_CHECKING:
    from lithoscope._napari.session import Session


class LiveFractions(QObject):
    """Counts only while it is watched: the first count of a result reads all of it."""

    counted = Signal(str, object)
    """The name of a result, and its voxels by label."""

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._session = session
        self._watched = False
        self._counting = Background(self, newest_only=True)
        self._of: tuple[Any, LiveCounts] | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(200)
        self._soon.timeout.connect(self._count)
        session.painting.painted.connect(self._on_painted)
        session.results_changed.connect(self._soon.start)
        session.closing.connect(self._counting.close)

    def watch(self, wanted: bool) -> None:
        """Count from now on, or no longer."""
        self._watched = wanted
        if wanted:
            self._soon.start()

    def _on_painted(self) -> None:
        if self._session.correcting:
            self._soon.start()

    def _count(self) -> None:
        session, scan, name = self._session, self._session.scan, self._session.shown
        if not self._watched or scan is None or not name:
            return
        labels = session.painting.corrected
        if not isinstance(labels, Corrected):
            self._counting.start(lambda: _counted_once(scan, name), lambda counts: self._tell(name, counts))
            return
        if self._of is None or self._of[0] is not labels:
            self._of = (labels, live_counts(scan, labels))
        counts = self._of[1]
        self._counting.start(counts.now, lambda found: self._tell(name, found))

    def _tell(self, name: str, counts: Counts | None) -> None:
        if counts is not None and name == self._session.shown:
            self.counted.emit(name, counts)


def _counted_once(scan: Any, name: str) -> Counts | None:
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    found = open_result(scan, name)
    if found.numbered:
        return None
    with corrected(scan, found, readonly=True) as labels:
        return live_counts(scan, labels).now()
