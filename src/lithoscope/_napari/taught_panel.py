"""What the Segment dock shows of methods that learn from strokes: how sure they are, where they are not, and how they score."""

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from lithoscope._napari.live import Live, Seen, Wish
from lithoscope._napari.look import button, column, row, text
from lithoscope._napari.session import Session
from lithoscope.labels.heldout import too_few
from lithoscope.volume.box import Triple

SLIDER_MS = 30
"""How long the slider rests before its plane is asked for."""


class TaughtPanel(QWidget):
    """Certainty, the next doubtful place and the held-out score of the method that is being taught."""

    failed = Signal(object)
    _stroked = Signal()
    learnt = Signal()
    """The counts of what is painted changed, or the method has learnt anew."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._wish: Wish | None = None
        self._shows = self._seeking = False
        self._version = 0
        self._counts: dict[int, int] = {}
        self._last: Seen | None = None
        self._been: list[Triple] = []
        self.live = Live(self)
        self.certainty = QCheckBox("Certainty")
        self.certainty.setToolTip("Glaring where the method is not sure of the class: strokes there teach it most")
        self.next = button("Next doubtful place ▸", tip="Go to where the method is least sure; paint there what it is")
        self._score = text()
        self._score.setAccessibleName("Score on strokes that were held out")
        self._working = text(muted=True)
        keeps = self._working.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)  # what comes and goes with every stroke must not move what lies beneath
        self._working.setSizePolicy(keeps)
        self.setLayout(column(row(self.certainty, 1, self.next), self._score, self._working, spacing=4))
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._ask)
        self.live.seen.connect(self._on_seen)
        self.live.scored.connect(self._on_scored)
        self.live.doubtful.connect(self._on_doubtful)
        self.live.failed.connect(self.failed)
        self.live.working.connect(self._on_working)
        self.certainty.toggled.connect(self._on_certainty)
        self.next.clicked.connect(self.seek)
        self._asks = False
        self._stroked.connect(self._on_stroked, Qt.ConnectionType.QueuedConnection)
        session.painting.painted.connect(self._on_painted)
        session.closing.connect(self.live.close)
        self._refresh()

    def on_scan(self) -> None:
        """Another scan is open, or none."""
        self.live.stop()
        self._wish = self._last = None
        self._seeking = False
        self._been, self._counts = [], {}
        self._version += 1
        self._refresh()

    def show_counts(self, counts: dict[int, int]) -> None:
        """How many voxels of each class are painted."""
        before, self._counts = self._painted(), dict(counts)
        if self._painted() != before:
            self._soon.start(0)
        self._refresh()
        self.learnt.emit()

    def missing(self) -> str:
        """What is to be painted before anything can be learnt, in words."""
        classes = self._session.classes
        if len(classes) < 2:
            return "add two classes with + Class, then paint a stroke of each"
        known = [c.name for c in classes if self._counts.get(c.id)]
        if len(known) < 2:
            return "paint at least two classes" + (f"; so far only {known[0]} is painted" if known else "")
        return ""

    def taught_by(self) -> str:
        """What the method learns from, in words."""
        ids = [i for i in self._counts if i in self._session.classes]
        words = f"learns from {sum(self._counts[i] for i in ids):,} painted voxels of {len(ids)} classes"
        few = too_few(self._counts, self._session.classes)
        return f"{words}; {few}" if few else words

    def show_method(self, name: str, values: dict[str, Any], *, shows: bool) -> None:
        """Teach this method; with `shows`, show what it says of the plane in view."""
        scan, strokes, plane = self._session.scan, self._session.painting.strokes, self._session.plane()
        if scan is None or strokes is None:
            return
        self._shows = shows
        before = self._wish
        classes, image = self._session.classes, self._session.images.chosen
        self._wish = Wish(scan, strokes, classes, name, values, self._version, self._painted(), plane, image=image)
        moved = before is not None and before.plane != plane
        if before is not None and (before.method, before.values, before.image) != (name, values, image):
            self._last = None
            self._score.setText("")
        if moved:
            self.live.stop()  # the slider comes first
        self._soon.start(SLIDER_MS if moved else 0)
        self._refresh()

    def leave(self) -> None:
        """Another method is chosen."""
        self._soon.stop()
        self.live.stop()
        self._seeking = False
        self._wish = self._last = None

    def seek(self) -> None:
        """Go to the next doubtful place, once it is found."""
        self._seeking = True
        self._ask()

    def _painted(self) -> bool:
        return not self.missing()

    def _ask(self) -> None:
        if self._wish is not None and self._session.scan is self._wish.scan:
            classes, focus = self._session.classes, self._session.place_in_view()
            wish = replace(self._wish, version=self._version, painted=self._painted(), classes=classes, focus=focus)
            certain = self.certainty.isChecked()
            self.live.ask(replace(wish, certain=certain, seek=self._seeking, shown=tuple(self._been)))

    def _on_painted(self) -> None:
        self._version += 1
        if not self._session.correcting:
            self.live.touched()
            if not self._asks:
                self._asks = True
                self._stroked.emit()

    def _on_stroked(self) -> None:
        """Ask about a stroke once napari, which tells of it before its last write, is done with it; a timer would wait until the stroke
        is drawn, this does not: the method learns meanwhile."""
        self._asks = False
        self._soon.stop()
        self._ask()

    def _on_seen(self, seen: Seen) -> None:
        if self._wish is None or seen.scan is not self._wish.scan:  # of one that was open before
            return
        self._last = seen
        self._show()
        self._refresh()
        self.learnt.emit()

    def _show(self) -> None:
        seen = self._last
        if (
            seen is not None
            and self._shows
            and not self._session.shown
            and not self._session.previewing
            and self._session.plane() == seen.plane
        ):
            sure = seen.certainty if self.certainty.isChecked() else None
            if self.certainty.isChecked() and sure is None:
                self._ask()
            self._session.show_preview(seen.labels, seen.classes, seen.box.start, certainty=sure)

    def _on_certainty(self, on: bool) -> None:
        self._show()

    def _on_scored(self, scores: dict[str, Any]) -> None:
        if self._wish is not None:
            self._score.setText(described(scores))
            self._refresh()

    def _on_doubtful(self, place: Triple | None) -> None:
        self._seeking = False
        if self._wish is None:
            return
        if place is None:
            self._session.said.emit("nothing is doubtful in the planes that were looked at", False)
            return
        self._been.append(place)
        self._session.go_to(place)
        z, y, x = place
        self._session.said.emit(f"in the middle of the view (z {z}, y {y}, x {x}) it is least sure: paint what is there", False)

    def _on_working(self, words: str) -> None:
        self._working.setText(words)
        self._working.setVisible(bool(words))

    def _refresh(self) -> None:
        ready = self._last is not None
        self.certainty.setEnabled(ready)
        self.next.setEnabled(ready)
        if not self._painted():
            self._score.setText("")
        self._score.setVisible(bool(self._score.text()))


def described(scores: dict[str, Any]) -> str:
    """Held-out scores in one line: "held out  IoU .87   pore .91 · clay .79"."""
    if not scores:
        return ""
    if "missing" in scores:
        return str(scores["missing"])
    classes = " · ".join(f"{name} {two_digits(value)}" for name, value in scores["iou"].items())
    return f"held out  IoU {two_digits(scores['mean_iou'])}   {classes}"


def two_digits(value: float) -> str:
    """A share as .87, or 1."""
    return "–" if value != value else f"{value:.2f}".removeprefix("0")
