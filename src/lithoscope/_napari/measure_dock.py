"""The Measure dock: how much of each phase, how sure that is, a spot check, and all methods compared."""

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QHideEvent, QShowEvent, QStandardItemModel
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QSizePolicy, QWidget

from lithoscope._napari.compare_panel import ComparePanel
from lithoscope._napari.dock import Dock
from lithoscope._napari.folding import Folding
from lithoscope._napari.live_fractions import LiveFractions
from lithoscope._napari.look import button, column, main_button, row, rule, text
from lithoscope._napari.phase_plot import KINDS, PhasePlot
from lithoscope._napari.phase_table import PhaseTable
from lithoscope._napari.phase_words import ABOUT, structure_rows, structure_words
from lithoscope._napari.saving import ask_where
from lithoscope._napari.spot_check_panel import SpotCheckPanel
from lithoscope._napari.worker_client import Job
from lithoscope.classes import ClassTable
from lithoscope.measure.live_counts import Counts, fractions

NOTHING = "No result yet: run a method in the Segment dock."


class MeasureDock(Dock):
    """Numbers of the result on show."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._measured: dict[str, Any] = {}
        self._counts: Counts | None = None
        self._classes = ClassTable()
        self.result = QComboBox()
        self.result.setAccessibleName("Result to measure")
        self.result.setToolTip("The result on show; choose another to see and measure it")
        self.kind = QComboBox()
        for key, name in KINDS.items():
            self.kind.addItem(name, key)
        self.kind.setAccessibleName("What is plotted")
        for combo in (self.result, self.kind):
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.phases = PhaseTable()
        self._words = text(muted=True)
        self.structure = QCheckBox("also connected parts and surfaces")
        self.structure.setToolTip("Connected fraction, percolation and surface area of each phase; takes longer")
        self.thickness = QCheckBox("also local thickness")
        self.thickness.setToolTip("How thick each phase is: the size of pores and grains, with its distribution; takes longest")
        self._structure_words = text()
        self._structure_words.setAccessibleName("Connection, surface and thickness")
        self._structure_words.setToolTip(ABOUT)
        self.measure = main_button("Measure")
        self._missing = text(muted=True)
        self.plot = PhasePlot()
        self._plotted = QWidget()
        self._plotted.setLayout(row(text("Plot", wrap=False), self.kind))
        self.copy_table = button("Copy table", tip="Copy the table as text, to be pasted into a spreadsheet")
        self.copy_plot = button("Copy plot", tip="Copy what is plotted as text, to be pasted into a spreadsheet")
        self.report = button(
            "Report…", "Write a report", "One self-contained page with figures, tables and records, and CSV and JSON beside it"
        )
        self.spot = SpotCheckPanel(self.session)
        self.compare = ComparePanel(self.session)
        self.body.setLayout(
            column(
                row(text("Result", wrap=False), self.result),
                self.phases,
                self._words,
                self.structure,
                self.thickness,
                self._structure_words,
                self.measure,
                self._missing,
                self._plotted,
                self.plot,
                row(self.copy_table, self.copy_plot, 1, self.report, spacing=4),
                rule(),
                Folding("Spot check", self.spot),
                rule(),
                Folding("Compare methods", self.compare),
            )
        )
        self.live = LiveFractions(self.session)
        self.live.counted.connect(self._on_counted)
        self.result.activated.connect(self._on_chosen)
        self.measure.clicked.connect(self._on_measure)
        self.kind.currentIndexChanged.connect(self._show_plot)
        self.copy_table.clicked.connect(lambda: self._copy(self._as_text()))
        self.copy_plot.clicked.connect(lambda: self._copy(self.plot.as_text()))
        self.report.clicked.connect(self._on_report)
        self.spot.changed.connect(self._on_spot_check)
        self.session.results_changed.connect(self.show_results)
        self.session.classes_changed.connect(self.show_results)
        self.finish()

    # --- what is shown --------------------------------------------------------------------------------------------------

    def restyle(self) -> None:
        super().restyle()
        self.plot.set_colours(self.colours.background, self.colours.text)
        self._show_plot()

    def put_away(self) -> None:
        super().put_away()
        self.spot.stop()
        self.live.deleteLater()

    def on_scan(self) -> None:
        super().on_scan()
        self._forget()
        self.show_results()

    def show_results(self) -> None:
        """List the results; the one on show is chosen, and its numbers are asked for."""
        names, shown = self.session.results(), self.session.shown
        blocker = QSignalBlocker(self.result)
        self.result.clear()
        self.result.addItem("none on show" if names else "none yet", "")
        for name in names:
            self.result.addItem(name, name)
        self.result.setCurrentIndex(max(0, self.result.findData(shown)))
        blocker.unblock()
        self._classes = self.session.on_show.classes if shown else ClassTable()
        if self._measured.get("result") != shown:
            self._forget()
        for part in (self.measure, self.report, self.copy_table, self.copy_plot):
            part.setEnabled(bool(shown))
        self._missing.setText("" if shown else ("Choose a result to measure it." if names else NOTHING))
        self._missing.setVisible(not shown)
        self._show_numbers()

    def _forget(self) -> None:
        self._measured, self._counts = {}, None
        self._structure_words.hide()
        self._show_plot()

    def _on_counted(self, name: str, counts: Counts) -> None:
        self._counts = counts
        self._show_numbers()

    def _show_numbers(self) -> None:
        found = None if self._counts is None else fractions(self._counts, self._classes)
        parts, porosity = found if found is not None else ({}, None)
        if not any(c.porosity for c in self._classes):
            porosity = None  # nobody said which class is pore
        older = self._older()
        self.phases.show_phases(self._classes, parts, porosity, {} if older else self._measured)
        self.phases.setVisible(len(self._classes) > 0)
        if older:
            self._words.setText("Corrected since it was measured: measure again for the intervals and plots.")
        elif self._measured:
            self._words.setText(_by(self._measured))
        else:
            self._words.setText("Counted as you correct. Measure adds intervals, profiles and plots." if self.session.shown else "")
        self._words.setVisible(bool(self._words.text()))

    def _older(self) -> bool:
        """Whether voxels were corrected since it was measured."""
        if not self._measured or self._counts is None:
            return False
        return any(int(self._counts[int(id)]) != of["voxels"] for id, of in self._measured["phases"].items())

    def _show_plot(self) -> None:
        items, place = self.kind.model(), self.kind.findData("thickness")
        if isinstance(items, QStandardItemModel) and (item := items.item(place)) is not None:
            item.setEnabled("thickness" in self._measured)
            if not item.isEnabled() and self.kind.currentIndex() == place:
                self.kind.setCurrentIndex(0)
        self.plot.show_measured(self._measured, self._classes, str(self.kind.currentData()))
        for part in (self._plotted, self.plot, self.copy_plot):
            part.setVisible(bool(self._measured))

    # --- what is done -----------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self.live.watch(True)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        super().hideEvent(event)
        self.live.watch(False)

    def _on_chosen(self) -> None:
        self.session.show_result(str(self.result.currentData() or ""))

    def _on_measure(self) -> None:
        scan, name = self.session.scan, self.session.shown
        if scan is None or not name:
            return
        self.session.run(
            "measure", {"scan": str(scan.path), "result": name, **self._also()}, f"measure {name}", partial(self._on_measured, name)
        )

    def _on_measured(self, name: str, job: Job) -> None:
        scan = self.session.scan
        here = scan is not None and job.arguments["scan"] == str(scan.path)
        if job.state == "done" and here and name == self.session.shown:
            self._measured = dict(job.result)
            words = structure_words(self._measured, self._classes)
            self._structure_words.setText(words)
            self._structure_words.setVisible(bool(words))
            self._show_numbers()
            self._show_plot()

    def _also(self) -> dict[str, bool]:
        """What is measured beyond fractions."""
        return {"structure": self.structure.isChecked(), "thickness": self.thickness.isChecked()}

    def _on_spot_check(self) -> None:
        if self._measured:
            self._measured["labelling"] = self.spot.labelling
            self._show_numbers()

    def _on_report(self) -> None:
        scan, name = self.session.scan, self.session.shown
        if scan is None or not name:
            return
        proposal = scan.path.with_name(f"{scan.name} {name}.html")
        ask_where(self, "Report", proposal, "Web page (*.html)", partial(self._write_report, scan.path, name))

    def _write_report(self, scan: Path, name: str, out: Path) -> None:
        """Of the scan that it was asked for: another may have been opened while the dialog was."""
        arguments = {"scan": str(scan), "results": [name], "out": str(out), "overwrite": True, **self._also()}
        self.session.run("report", arguments, f"report {out.name}")

    def _as_text(self) -> str:
        """The phases, and what was measured beyond fractions, as tab-separated text."""
        more = structure_rows(self._measured, self._classes)
        return "\n".join([self.phases.as_text(), *(["", *("\t".join(row) for row in more)] if more else [])])

    def _copy(self, words: str) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(words)
            self.session.said.emit("copied", False)


def _by(measured: dict[str, Any]) -> str:
    """What the intervals are made of."""
    lines = [f"Sampling: {measured['interval']['by']}."]
    labelling = measured.get("labelling")
    if labelling:
        lines.append(f"Labelling: spot check of {labelling['named']} places, accuracy {100 * labelling['accuracy']['value']:.1f} %.")
    lines += measured.get("notes", [])
    return " ".join(lines)
