"""The table of numbered grains: a row a grain, sorted by any column."""

from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from lithoscope.measure.grains import GrainTable

ROW = 22
MOST_ROWS = 7
NARROW = ((3, 50), (4, 46), (5, 34))
"""Columns of few digits and their widths; diameter and volume share what is left."""


class GrainModel(QAbstractTableModel):
    """What a table of grains holds, looked up as it is scrolled into view."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns: list[tuple[str, str, Any, str]] = []
        self.order = np.zeros(0, np.int64)
        """Which grain, from 0, is in each row."""

    def show_table(self, table: GrainTable | None) -> None:
        """Hold these grains."""
        self.beginResetModel()
        self._columns = [] if table is None else _columns(table)
        self.order = np.arange(0 if table is None else len(table))
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        return len(self.order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        return len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The words of a cell."""
        if not index.isValid():
            return None
        _, _, values, form = self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return format(values[self.order[index.row()]].item(), form).replace("e+0", "e").replace("e+", "e")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        """The words of a heading."""
        if orientation == Qt.Orientation.Horizontal and section < len(self._columns):
            name, tip, _, _ = self._columns[section]
            return {Qt.ItemDataRole.DisplayRole: name, Qt.ItemDataRole.ToolTipRole: tip}.get(Qt.ItemDataRole(role))
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column."""
        if 0 <= column < len(self._columns):
            self.layoutAboutToBeChanged.emit()
            self.order = np.argsort(self._columns[column][2], kind="stable")
            if order == Qt.SortOrder.DescendingOrder:
                self.order = self.order[::-1]
            self.layoutChanged.emit()


def _columns(table: GrainTable) -> list[tuple[str, str, Any, str]]:
    u, cut = table.unit, "1 where it reaches a face of the scan or of the field of view: it is larger than was measured"
    return [
        ("grain", "The number of the grain in the result", np.arange(1, len(table) + 1), "d"),
        (f"⌀ {u}", f"Equivalent diameter: of the ball of the same volume, in {u}", table.diameter, ".4g"),
        (f"{u}³", f"Volume in {u}³", table.volume, ".3g"),
        ("spher.", "Sphericity: the surface of the ball of the same volume over its own, 1 for a ball", table.sphericity, ".2f"),
        ("touch", "How many other grains share a face with it", table.contacts, "d"),
        ("cut", cut, table.cut.astype(np.int64), "d"),
    ]


class GrainView(QTableView):
    """Shows the grains; a double click goes to one."""

    wanted = Signal(int)
    """Go to this grain, counted from 0."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.grains = GrainModel(self)
        self.setModel(self.grains)
        self.setAccessibleName("Grains")
        self.setToolTip("Click a heading to sort; double-click a row to go to the grain")
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        across, down = self.horizontalHeader(), self.verticalHeader()
        assert across is not None
        assert down is not None
        across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        across.setMinimumSectionSize(30)
        across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        down.hide()
        down.setDefaultSectionSize(ROW)
        self.setFixedHeight((MOST_ROWS + 1) * ROW + 8)
        self.grains.modelReset.connect(self._fit)
        self.doubleClicked.connect(self._on_double_click)
        self.activated.connect(self._on_double_click)

    def _fit(self) -> None:
        across = self.horizontalHeader()
        assert across is not None
        for place, width in NARROW:
            if place < self.grains.columnCount():
                across.setSectionResizeMode(place, QHeaderView.ResizeMode.Fixed)
                across.resizeSection(place, width)

    def _on_double_click(self, index: QModelIndex) -> None:
        self.wanted.emit(int(self.grains.order[index.row()]))
