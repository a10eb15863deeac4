"""The table of phases: how much of each there is, and both intervals, never mixed."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from lithoscope._napari.look import swatch
from lithoscope.classes import ClassTable

ROW = 24
HEAD = ("phase", "%", "sampling", "labelling")
TIPS = (
    "",
    "Fraction of the voxels that have a class, within the field of view",
    "95 % interval by bootstrap over blocks: what another part of the same material would give. Not the errors of the segmentation.",
    "95 % interval from the spot check: the errors of the labels. Not what another part of the material would give.",
)


class PhaseTable(QTableWidget):
    """One row a class, and one for the porosity."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(HEAD), parent)
        self.setAccessibleName("Phases")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setHorizontalHeaderLabels(list(HEAD))
        for place, tip in enumerate(TIPS):
            if (item := self.horizontalHeaderItem(place)) is not None:
                item.setToolTip(tip)
        across, down = self.horizontalHeader(), self.verticalHeader()
        assert across is not None
        assert down is not None
        down.hide()
        across.setMinimumSectionSize(40)
        across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_phases(self, classes: ClassTable, fractions: Mapping[int, float], porosity: float | None, measured: Mapping[str, Any]) -> None:
        """Show these fractions; intervals are those of `measured` (the `measure` command's answer), where it has any."""
        labelling = (measured.get("labelling") or {}).get("fractions", {})
        phases = measured.get("phases", {})
        self.setRowCount(len(classes) + (porosity is not None))
        for row, c in enumerate(classes):
            of, by = phases.get(str(c.id), {}), labelling.get(str(c.id), {})
            self._put(row, c.name, fractions.get(c.id), _interval(of), _interval(by))
            if (item := self.item(row, 0)) is not None:
                item.setIcon(swatch(c.colour))
        if porosity is not None:
            row = len(classes)
            given = {"low": measured.get("porosity_low"), "high": measured.get("porosity_high")}
            self._put(row, "porosity", porosity, _interval(given), "")
        self._fit()

    def _put(self, row: int, name: str, fraction: float | None, sampling: str, labelling: str) -> None:
        for column, words in enumerate((name, "–" if fraction is None else f"{100 * fraction:.2f}", sampling, labelling)):
            item = QTableWidgetItem(words)
            item.setToolTip(words)
            if column:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)
        self.setRowHeight(row, ROW)

    def _fit(self) -> None:
        across = self.horizontalHeader()
        assert across is not None
        self.setFixedHeight(self.rowCount() * ROW + across.sizeHint().height() + 2 * self.frameWidth() + 2)

    def as_text(self) -> str:
        """The table as tab-separated text, for the clipboard."""
        cells = [[self.item(row, column) for column in range(len(HEAD))] for row in range(self.rowCount())]
        rows = ["\t".join(HEAD), *("\t".join("" if item is None else item.text() for item in row) for row in cells)]
        return "\n".join(rows)


def _interval(of: Mapping[str, Any]) -> str:
    low, high = of.get("low"), of.get("high")
    return "" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}"
