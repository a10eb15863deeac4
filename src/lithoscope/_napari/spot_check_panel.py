"""The spot check: random voxels are shown one after the other, and a person names each by one key."""

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QSpinBox, QWidget

from lithoscope._napari.look import button, column, row, swatch, text
from lithoscope._napari.spot_mark import SpotMark
from lithoscope._napari.worker_client import Job
from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.measure import named_places
from lithoscope.measure.named_places import SpotCheck

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

ABOUT = "Random places of the result on show, in each class by its size. Naming them gives accuracy and true fractions, with intervals."
HOW = "What is in the middle of the cross? Keys 1–9 name it, S skips, Backspace goes back. The result is hidden meanwhile."
ACROSS = 2


class SpotCheckPanel(QWidget):
    """Begins, goes on with and ends the spot check of the result on show."""

    changed = Signal()
    """There are more answers, or fewer."""

    def __init__(self, session: "Session", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.check: SpotCheck | None = None
        self._scan: Any = None
        """The scan that `check` is of: another may have a result of the same name."""
        self._at = 0
        self._skipped: set[int] = set()
        self._classes = ClassTable()
        self._mark = SpotMark(session, self._name_nth, self._skip, self._back)
        self.count = QSpinBox()
        self.count.setRange(20, 5000)
        self.count.setSingleStep(50)
        self.count.setValue(200)
        self.count.setAccessibleName("Number of places")
        self.count.setToolTip("How many places are drawn; about 200 give an accuracy to a few per cent")
        self.begin = button("Begin", "Begin a spot check")
        self.go_on = button("Go on", "Go on with the spot check")
        self.pause = button("Pause", "Pause the spot check; the answers are kept")
        self._about = text(ABOUT, muted=True)
        self._how = text(HOW, muted=True)
        self._where = text(bold=True)
        self._answers = QWidget()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        self._answers.setLayout(self._grid)
        self.skip = button("Skip", tip="Leave this place for later (S)")
        self.back = button("Back", tip="To the place before (Backspace)")
        self._found = text()
        self._steps = QWidget()
        self._steps.setLayout(column(self._how, self._where, self._answers, row(self.back, self.skip, 1, self.pause, spacing=4), spacing=4))
        self._start = QWidget()
        self._start.setLayout(
            column(self._about, row(self.count, text("places", wrap=False), 1, self.begin, self.go_on, spacing=4), spacing=4)
        )
        self.setLayout(column(self._start, self._steps, self._found, spacing=4))
        self.begin.clicked.connect(self._on_begin)
        self.go_on.clicked.connect(self.resume)
        self.pause.clicked.connect(self.stop)
        self.skip.clicked.connect(self._skip)
        self.back.clicked.connect(self._back)
        session.results_changed.connect(self.on_result)
        session.scan_changed.connect(self.on_result)
        self.on_result()

    @property
    def labelling(self) -> dict[str, Any] | None:
        """What follows from the answers so far; None while they are too few."""
        if self.check is None:
            return None
        try:
            return self.check.checked().to_json()
        except InputError:
            return None

    def on_result(self) -> None:
        """Another result is on show."""
        scan, name = self._session.scan, self._session.shown
        if self._mark.shown:
            if scan is self._scan and self.check is not None and self.check.result == name:
                return
            self.stop()
        self.check, self._scan = None, scan
        self._classes = self._session.on_show.classes
        if scan is not None and name:
            with self._session.telling():
                self.check = named_places.load(scan, name)
        self._show()

    def _on_begin(self) -> None:
        scan, name = self._session.scan, self._session.shown
        if scan is None or not name:
            self._session.said.emit("choose a result first", True)
            return
        arguments = {"scan": str(scan.path), "result": name, "count": self.count.value(), "overwrite": True}
        self._session.run("spotcheck", arguments, f"places of {name}", partial(self._on_drawn, name))

    def _on_drawn(self, name: str, job: Job) -> None:
        scan = self._session.scan
        here = scan is not None and job.arguments["scan"] == str(scan.path)
        if job.state == "done" and here and name == self._session.shown:
            self.on_result()
            self.resume()

    def resume(self) -> None:
        """Show the first place that nobody has named."""
        if self.check is None or self.check.next is None:
            return
        self._skipped.clear()
        self._names()
        self._go(self.check.next)

    def stop(self) -> None:
        """End for now; the answers are kept."""
        self._mark.hide()
        self._show()

    # --- one place after the other ------------------------------------------------------------------------------------------

    def _go(self, number: int) -> None:
        assert self.check is not None
        self._at = number
        self._mark.show(self.check.drawn.places[number].at)
        self._show()

    def _next(self) -> None:
        assert self.check is not None
        todo = [i for i in range(len(self.check.drawn.places)) if i not in self.check.seen]
        waiting = [i for i in todo if i not in self._skipped] or todo
        if waiting:
            self._go(next((i for i in waiting if i > self._at), waiting[0]))
        else:
            self.stop()
            self._session.said.emit("every place is named", False)

    def name(self, id: int) -> None:
        """Name the place that is shown."""
        scan = self._session.scan
        if self.check is None or scan is None or not self._mark.shown:
            return
        with self._session.telling():
            self.check = self.check.named(self._at, id)
            named_places.save(scan, self.check)
        self.changed.emit()
        self._next()

    def _name_nth(self, n: int) -> None:
        if 1 <= n <= len(self._classes):
            self.name(self._classes.ids[n - 1])

    def _skip(self) -> None:
        if self.check is not None and self._mark.shown:
            self._skipped.add(self._at)
            self._next()

    def _back(self) -> None:
        if self.check is not None and self._mark.shown and self._at:
            self._skipped.discard(self._at - 1)
            self._go(self._at - 1)

    # --- what is shown ------------------------------------------------------------------------------------------------------

    def _names(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for n, c in enumerate(self._classes):
            made = QPushButton(f"{n + 1}  {c.name}")
            made.setIcon(swatch(c.colour))
            made.setAccessibleName(f"This is {c.name}")
            made.setAutoDefault(False)
            made.clicked.connect(lambda _=False, id=c.id: self.name(id))
            self._grid.addWidget(made, n // ACROSS, n % ACROSS)

    def _show(self) -> None:
        check, running = self.check, self._mark.shown
        self._start.setVisible(not running)
        self._steps.setVisible(running)
        self.begin.setText("Begin anew" if check is not None and check.seen else "Begin")
        self.go_on.setVisible(check is not None and bool(check.seen) and check.next is not None)
        self.begin.setEnabled(bool(self._session.shown))
        if check is None:
            self._found.hide()
            return
        self._where.setText(f"Place {self._at + 1} of {len(check.drawn.places)}" + (self._former() if running else ""))
        self.back.setEnabled(self._at > 0)
        self._found.setText(self._words(check))
        self._found.setVisible(bool(check.seen))

    def _former(self) -> str:
        """What was said of this place before, if one went back to it."""
        assert self.check is not None
        id = self.check.seen.get(self._at)
        return f" · named {self._classes[id].name}" if id in self._classes and id is not None else ""

    def _words(self, check: SpotCheck) -> str:
        found = self.labelling
        lines = [f"{len(check.seen)} of {len(check.drawn.places)} named."]
        if found is None:
            return lines[0] + " Two of each class are needed for an estimate."
        a = found["accuracy"]
        lines[0] += f" Accuracy {100 * a['value']:.1f} % ({100 * a['low']:.1f}–{100 * a['high']:.1f})."
        for id, of in found["fractions"].items():
            name = self._classes[int(id)].name if int(id) in self._classes else f"class {id}"
            true = f"{100 * of['value']:.1f} % ({100 * of['low']:.1f}–{100 * of['high']:.1f})"
            lines.append(f"{name}: {true}, in the result {100 * of['mapped']:.1f} %")
        return "\n".join(lines)
