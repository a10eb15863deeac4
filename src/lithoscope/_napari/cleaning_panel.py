"""Cleaning and separating the result on show: a step, others before it, the plane in view as it would be, and the run."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QCheckBox, QLineEdit, QWidget

from lithoscope._napari import cleaning_actions
from lithoscope._napari.actions import free_result_name
from lithoscope._napari.cleaning_form import GRAINS, StepForm
from lithoscope._napari.cleaning_preview import CleaningPreview
from lithoscope._napari.grains_panel import GrainsPanel
from lithoscope._napari.look import Colours, button, column, mark_bad, row, text
from lithoscope.errors import LithoscopeError
from lithoscope.labels.cleaning.steps import Place, Step, classes_after, meaning

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

NOTHING = "Choose a result in the list above."
NUMBERED = "These are numbered grains; choose the result that they were separated from to clean it."


class CleaningPanel(QWidget):
    """Folded away in the Segment dock until it is wanted; works on the result on show."""

    started = Signal()
    """A run was begun."""

    def __init__(self, session: "Session", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._before: list[Step] = []
        self._named = False
        self.form = StepForm()
        self._list = text(muted=True)
        self._list.setAccessibleName("Steps so far")
        self.then = button("Then …", "Keep this step and add another", "Keep this step, and do another one after it in the same run")
        self.clear = button("Clear", "Forget the steps so far")
        self.preview_box = QCheckBox("Preview on the plane in view")
        self.in_place = QCheckBox("as a correction")
        self.in_place.setToolTip("Correct this result instead of making a new one; Ctrl+Z takes all of it back")
        self.in_place.setAccessibleName("Clean as a correction of this result")
        self.output = QLineEdit()
        self.output.setAccessibleName("Name of the new result")
        self.output.setToolTip("The name of the new result; deleting it undoes everything")
        self._into = text("Into", muted=True, wrap=False)
        self.run_button = button("Clean", "Clean the result on show")
        self.note = text(muted=True)
        self.note.setAccessibleName("About the cleaning")
        self.grains = GrainsPanel(session)
        self._body = QWidget()
        self._body.setLayout(
            column(
                self.form,
                self._list,
                row(self.preview_box, 1, self.then, self.clear, spacing=4),
                row(self._into, self.output, self.in_place, self.run_button, spacing=4),
                spacing=4,
            )
        )
        self.setLayout(column(self._body, self.note, self.grains, spacing=4))
        self.preview = CleaningPreview(session, self._say)
        self.form.changed.connect(self.refresh)
        self.then.clicked.connect(self._on_then)
        self.clear.clicked.connect(self._on_clear)
        self.preview_box.toggled.connect(self.refresh)
        self.in_place.toggled.connect(self.refresh)
        self.output.textEdited.connect(self._on_named)
        self.run_button.clicked.connect(self.run)
        session.results_changed.connect(self.on_result)
        session.classes_changed.connect(self.on_result)
        session.facts_changed.connect(self.on_result)
        session.scan_changed.connect(self.on_scan)
        self.on_scan()

    @property
    def steps(self) -> list[Step]:
        """The steps of the next run, in order."""
        return [*self._before, self.form.step()]

    def put_away(self) -> None:
        """Show the result as it is, for good."""
        self.preview_box.setChecked(False)
        self.preview.deleteLater()

    def set_colours(self, colours: Colours) -> None:
        """Take up the theme's colours."""
        self.grains.set_colours(colours)

    def on_scan(self) -> None:
        """Another scan is open, or none."""
        self._before.clear()
        self.preview_box.setChecked(False)
        self.on_result()

    def on_result(self) -> None:
        """Another result is on show, or its classes changed."""
        session = self._session
        on_show = session.on_show
        self.preview.renew()
        self._before = self._before if session.shown and len(on_show.classes) else []
        self._show_classes()
        if not self._named or not session.shown:
            self._propose()
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show what would be done, and what is missing for it."""
        grains, problem = self.form.name == GRAINS, self._problem()
        usable = bool(self._session.shown) and not self._numbered
        self._body.setVisible(usable)
        for part in (self.preview_box, self.then, self.in_place):
            part.setVisible(not grains)
        self.clear.setVisible(bool(self._before) and not grains)
        self._list.setVisible(not grains)
        in_place = self.in_place.isChecked() and not grains
        self.output.setVisible(not in_place)
        self._into.setVisible(not in_place)
        self.run_button.setText("Separate" if grains else "Correct" if in_place else "Clean")
        self.run_button.setAccessibleName(f"{self.run_button.text()} the result on show")
        if not grains and not self.form.missing():
            self._list.setText(" → ".join(str(step) for step in self.steps))
        else:
            self._list.setText(" → ".join(map(str, self._before)))
        self.run_button.setEnabled(not problem)
        self.then.setEnabled(not self._step_problem())
        if usable and not self._named:
            self._propose()
        if self.preview_box.isChecked() and usable and not grains and not self._step_problem():
            self.preview.ask(self.steps)
            if problem:
                self._say(problem)
        else:
            self.preview.stop()
            self._say(problem)

    def run(self) -> None:
        """Do it to the whole volume, in the worker."""
        session, name = self._session, self._session.shown
        if self._problem():
            return
        steps, output = ([] if self.form.name == GRAINS else self.steps), self.output.text().strip()
        self.preview_box.setChecked(False)
        self._named = False
        if self.form.name == GRAINS:
            cleaning_actions.separate(session, name, self.form.ids[0], self.form.height.value(), output)
        elif self.in_place.isChecked():
            cleaning_actions.correct(session, name, steps)
        else:
            cleaning_actions.clean(session, name, steps, output)
        self._before.clear()
        self.refresh()
        self.started.emit()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Folded away: the result is shown as it is."""
        super().hideEvent(event)
        if not self.isVisible():
            self.preview_box.setChecked(False)

    # --- what is missing -------------------------------------------------------------------------------------------------

    @property
    def _numbered(self) -> bool:
        """Whether the result on show holds grains."""
        return bool(self._session.shown) and not len(self._session.on_show.classes)

    def _problem(self) -> str:
        """Why the run cannot begin, or nothing."""
        session = self._session
        if not session.shown:
            return NOTHING
        if self._numbered:
            return NUMBERED
        in_place = self.in_place.isChecked() and self.form.name != GRAINS
        if problem := self._step_problem():
            return problem
        if in_place:
            other = [step.name for step in self.steps if step.name in ("merge", "renumber")]
            return f"{other[0]} changes the classes, which a correction cannot; make a new result" if other else ""
        name = self.output.text().strip()
        if not name:
            return "give the result a name"
        if name.casefold() in {other.casefold() for other in session.results()}:
            return f"there is a result {name} already; choose another name"
        return ""

    def _step_problem(self) -> str:
        """What is wrong with the steps, or nothing."""
        session = self._session
        if self.form.missing() or session.scan is None or self.form.name == GRAINS:
            return self.form.missing()
        flat = session.scan.separate_slices or session.scan.shape[0] == 1
        place = Place(session.on_show.classes, session.scan.voxel, flat)
        try:
            for step in self.steps:
                meaning(step, place)
                place = Place(classes_after(step, place.classes), place.voxel, flat)
        except LithoscopeError as error:
            return str(error)
        return ""

    # --- the steps and the name -----------------------------------------------------------------------------------------

    def _on_then(self) -> None:
        if not self._step_problem():
            self._before.append(self.form.step())
            self._show_classes()
            self.refresh()

    def _on_clear(self) -> None:
        self._before.clear()
        self._show_classes()
        self.refresh()

    def _show_classes(self) -> None:
        """Offer the classes that there are after the steps so far."""
        scan, classes = self._session.scan, self._session.on_show.classes
        for step in self._before:
            classes = classes_after(step, classes)
        self.form.show_classes(classes, None if scan is None else scan.voxel)

    def _on_named(self, *_: object) -> None:
        self._named = bool(self.output.text().strip())
        self.refresh()

    def _propose(self) -> None:
        shown = self._session.shown
        what = "grains" if self.form.name == GRAINS else "cleaned"
        self.output.setText(free_result_name(self._session, f"{shown} {what}") if shown else "")

    def _say(self, words: str, bad: bool = False) -> None:
        self.note.setText(words)
        self.note.setVisible(bool(words))
        mark_bad(self.note, bad)
