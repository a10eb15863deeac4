"""The results of the scan: choose one to see it, double-click to rename it, correct and export it."""

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QWidget

from lithoscope._napari.look import button, column, row, text

ROW = 24
MOST_ROWS = 6

NOTHING = "Nothing yet: choose a method and run it."


class ResultsList(QWidget):
    """Names of results; says what the person wishes and does nothing itself."""

    shown = Signal(str)
    """Show this result; empty: none."""
    correct = Signal(str)
    """Correct this result, or end correcting it."""
    export = Signal(str)
    renamed = Signal(str, str)
    deleted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._doomed = ""
        self._list = QListWidget()
        self._list.setAccessibleName("Results")
        self._list.setToolTip("Tick a result to see it; double-click its name to rename it")
        self._list.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self._empty = text(NOTHING, muted=True)
        self._correct = button(
            "Correct", "Correct the chosen result with the brush", "Paint over the result where it is wrong; the prediction itself is kept"
        )
        self._export = button("Export…", "Export the chosen result")
        self._delete = button("Delete", "Delete the chosen result")
        self._correct.setCheckable(True)
        self._buttons = QWidget()
        self._buttons.setLayout(row(self._correct, self._export, 1, self._delete, spacing=4))
        self.setLayout(column(text("Results", bold=True), self._empty, self._list, self._buttons, spacing=4))
        self._list.itemChanged.connect(self._on_item)
        self._list.currentRowChanged.connect(self._on_row)
        self._correct.clicked.connect(self._on_correct)
        self._export.clicked.connect(self._on_export)
        self._delete.clicked.connect(self._on_delete)

    @property
    def current(self) -> str:
        """The chosen result, or nothing."""
        r = self._list.currentRow()
        return self._names[r] if 0 <= r < len(self._names) else ""

    def show_results(self, names: Sequence[str], shown: str, correcting: bool) -> None:
        """List these results; the one on show is ticked."""
        blocker = QSignalBlocker(self._list)
        chosen = self.current
        self._names = list(names)
        self._list.clear()
        for name in self._names:
            item = QListWidgetItem(name)
            item.setFlags(
                Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable
            )
            item.setCheckState(Qt.CheckState.Checked if name == shown else Qt.CheckState.Unchecked)
            item.setSizeHint(QSize(0, ROW))
            self._list.addItem(item)
        self._list.setFixedHeight(max(1, min(len(self._names), MOST_ROWS)) * ROW + 2 * self._list.frameWidth() + 4)
        place = shown if shown in self._names else chosen
        if place in self._names:
            self._list.setCurrentRow(self._names.index(place))
        elif self._names:
            self._list.setCurrentRow(0)
        blocker.unblock()
        for part in (self._list, self._buttons):
            part.setVisible(bool(self._names))
        self._empty.setVisible(not self._names)
        self._correct.setChecked(correcting)
        self._correct.setText("Done correcting" if correcting else "Correct")
        self._spare()

    def _on_item(self, item: QListWidgetItem) -> None:
        before = self._names[self._list.row(item)]
        if item.text().strip() != before:
            self.renamed.emit(before, item.text().strip())
        else:
            self.shown.emit(before if item.checkState() == Qt.CheckState.Checked else "")

    def _on_row(self, _row: int) -> None:
        self._spare()

    def _on_correct(self) -> None:
        if self.current:
            self.correct.emit(self.current)

    def _on_export(self) -> None:
        if self.current:
            self.export.emit(self.current)

    def _on_delete(self) -> None:
        """Ask by the button itself: a second press deletes."""
        if self._doomed != self.current:
            self._doomed = self.current
            self._delete.setText(f"Delete {self.current}?")
        elif self._doomed:
            name = self._doomed
            self._spare()
            self.deleted.emit(name)

    def _spare(self) -> None:
        self._doomed = ""
        self._delete.setText("Delete")
