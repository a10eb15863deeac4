"""The Segment dock: classes, a method with its live preview, the run, and the results with their corrections and exports."""

from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFrame, QWidget

from lithoscope._napari import actions
from lithoscope._napari.class_table import ClassList
from lithoscope._napari.cleaning_panel import CleaningPanel
from lithoscope._napari.correcting_panel import CorrectingPanel
from lithoscope._napari.device_badge import DeviceBadge
from lithoscope._napari.dock import Dock
from lithoscope._napari.export_form import ExportForm
from lithoscope._napari.folding import Folding
from lithoscope._napari.look import button, column, row, rule, text
from lithoscope._napari.method_panel import MethodPanel
from lithoscope._napari.remembered import Remembered
from lithoscope._napari.results_list import ResultsList
from lithoscope._napari.teaching_panel import TeachingPanel
from lithoscope._napari.training_panel import TrainingPanel

HINTS = (
    "1  Choose a method; see it on this plane.",
    "2  Drag the lines of the histogram.",
    "3  Run on the volume; go on looking.",
    "4  Correct with the brush, then export.",
)


HOW_TO_CORRECT = "Paint where the result is wrong; the eraser marks what is outside. Ctrl+Z takes back. What the method said is kept."


class SegmentDock(Dock):
    """From a scan to an exported mask."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._name = text(bold=True)
        self._line = text(muted=True)
        self._device = DeviceBadge(self.session)
        self._hints = QFrame()
        self._hints.setObjectName("hints")
        self._got_it = button("Got it", "Hide these hints")
        self._hints.setLayout(column(*(text(h) for h in HINTS), row(1, self._got_it), spacing=3, margin=8))
        self.classes = ClassList()
        self.painting_tools = CorrectingPanel(self.session)
        self._how = text(HOW_TO_CORRECT, muted=True)
        self.methods = MethodPanel(self.session)
        self.training = TrainingPanel(self.session, self.methods)
        self._training_place = QWidget()
        self._training_place.setLayout(column(self.training))
        self._below = rule()
        self.results = ResultsList()
        self.export_form = ExportForm(self.session)
        self.export_form.hide()
        self.cleaning = CleaningPanel(self.session)
        self.cleaning_fold = Folding("Clean and separate", self.cleaning)
        self.teaching = TeachingPanel(self.session)
        self.body.setLayout(
            column(
                column(row(self._name, self._device), self._line, spacing=0),
                self._hints,
                self.classes,
                self.painting_tools,
                self._how,
                rule(),
                self.methods,
                self._training_place,
                self._below,
                self.results,
                self.export_form,
                self.cleaning_fold,
                self.teaching,
            )
        )
        self._remembered = Remembered(self.session, self.methods, self._hints)
        self._got_it.clicked.connect(self._remembered.hints_read)
        self._counting = QTimer(self)
        self._counting.setSingleShot(True)
        self._counting.setInterval(300)
        self._counting.timeout.connect(self._count)
        self.classes.chosen.connect(self.session.painting.choose)
        self.classes.edited.connect(self.session.change_classes)
        self.classes.refused.connect(self._on_refused)
        self.results.shown.connect(self.session.show_result)
        self.results.correct.connect(self._on_correct)
        self.results.export.connect(self._on_export)
        self.results.renamed.connect(self._on_renamed)
        self.results.deleted.connect(self._on_deleted)
        self.export_form.closed.connect(self.export_form.hide)
        self.teaching.wanted.connect(self._on_network)
        self.session.classes_changed.connect(self.show_classes)
        self.session.painting.class_chosen.connect(self.classes.choose)
        self.session.results_changed.connect(self.show_results)
        self.session.facts_changed.connect(self.show_line)
        self.session.painting.painted.connect(self._counting.start)
        self.finish()

    def restyle(self) -> None:
        super().restyle()
        self.methods.set_colours(self.colours)
        self.cleaning.set_colours(self.colours)
        self.teaching.set_colours(self.colours)
        self.training.set_colours(self.colours)

    def put_away(self) -> None:
        super().put_away()
        self.painting_tools.put_away()
        self.cleaning.put_away()
        self.methods.taught.live.close()
        if not self.session.previewing:  # what a filter or a proposal shows is not ours
            self.session.hide_preview()

    def on_scan(self) -> None:
        super().on_scan()
        self.export_form.hide()
        self.methods.on_scan()
        self.teaching.on_scan()
        self.training.forget()
        self._remembered.on_scan()
        self.show_line()
        self.show_classes()
        self.show_results()
        self._count()

    def show_line(self) -> None:
        """The scan in one line: "soil · 40 × 500 × 500 · 5 µm · uint8"."""
        scan = self.session.scan
        if scan is not None:
            size = "×".join(str(n) for n in scan.shape)
            self._name.setText(scan.name)
            self._line.setText(" · ".join([size, str(scan.voxel) if scan.voxel else "voxel size not known", str(scan.dtype)]))

    def show_classes(self) -> None:
        """Show the classes that painting gives now."""
        correcting = self.session.correcting
        title = f"Correcting {self.session.shown}" if correcting else "Classes"
        self.classes.show_classes(self.session.palette, title=title, fixed=correcting)
        self._how.setVisible(correcting)
        self.methods.setVisible(not correcting)
        self._training_place.setVisible(not correcting)
        self._below.setVisible(not correcting)
        if correcting:
            self.classes.show_counts({})
        else:
            self._count()
        self.classes.choose(self.session.painting.chosen)

    def show_results(self) -> None:
        """List the results."""
        self.results.show_results(self.session.results(), self.session.shown, self.session.correcting)

    def _count(self) -> None:
        if not self.session.correcting:
            self.session.painting.count(self._on_counts)

    def _on_counts(self, counts: dict[int, int]) -> None:
        if not self.session.correcting:
            self.classes.show_counts(counts)
            self.methods.taught.show_counts(counts)

    def _on_correct(self, name: str) -> None:
        if self.session.correcting and self.session.shown == name:
            self.session.show_result(name)
        else:
            self.session.correct(name)

    def _on_network(self, folder: str) -> None:
        self.methods.choose("dino", {"backbone": folder})

    def _on_export(self, name: str) -> None:
        self.export_form.offer(name, self.session.classes_of(name))

    def _on_renamed(self, old: str, new: str) -> None:
        actions.rename_result(self.session, old, new)

    def _on_deleted(self, name: str) -> None:
        actions.delete_result(self.session, name)

    def _on_refused(self, words: str) -> None:
        self.session.said.emit(words, True)
