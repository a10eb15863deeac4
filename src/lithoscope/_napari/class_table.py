"""The table of classes: click or press 1–9 to take a brush in hand; names, colours and porosities are edited in their cells."""

from collections.abc import Mapping

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from lithoscope._napari.look import button, column, row, swatch, text
from lithoscope.classes import ClassTable
from lithoscope.errors import LithoscopeError

ROW = 24
MOST_ROWS = 7
KEY, COLOUR, NAME, POROSITY, COUNT = range(5)
HEADS = ("", "", "class", "porosity", "painted")


class ClassList(QWidget):
    """Shows a `ClassTable`; says what the person wishes and changes nothing itself."""

    chosen = Signal(int)
    edited = Signal(object)
    """The table that the person wants."""
    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = ClassTable()
        self._counts: dict[int, int] = {}
        self._fixed = False
        self._dialog: QColorDialog | None = None
        self._title = text("Classes", bold=True, wrap=False)
        self._rows = QTableWidget(0, len(HEADS))
        self._rows.setAccessibleName("Classes")
        self._rows.setAccessibleDescription("Choose a class to paint it; keys 1 to 9 choose the first nine")
        self._rows.setToolTip(
            "Choose a class (click, or 1–9) to paint it. Double-click, or press F2, to change its name or its porosity: "
            "1 for pore, 0 for solid, between for what has pores too small to be seen."
        )
        self._rows.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._rows.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._rows.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._rows.setTabKeyNavigation(False)
        self._rows.setShowGrid(False)
        self._header()
        self._rows.currentCellChanged.connect(self._on_current)
        self._rows.cellClicked.connect(self._on_clicked)
        self._rows.itemChanged.connect(self._on_edited)
        self._rows.cellDoubleClicked.connect(self._on_double_click)
        self._none = text("None yet. + Class adds one that you can paint.", muted=True)
        self._add = button("+ Class", "Add a class", "Add a class to paint")
        self._colour = button("Colour…", "Change the colour of the chosen class")
        self._remove = button("Remove", "Remove the chosen class")
        self._add.clicked.connect(self._on_add)
        self._colour.clicked.connect(self._on_colour)
        self._remove.clicked.connect(self._on_remove)
        self.setLayout(column(row(self._title, 1, self._add, self._colour, self._remove, spacing=4), self._rows, self._none, spacing=4))
        self.show_classes(ClassTable())

    def _header(self) -> None:
        across, down = self._rows.horizontalHeader(), self._rows.verticalHeader()
        assert across is not None
        assert down is not None
        self._rows.setHorizontalHeaderLabels(HEADS)
        across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for place in (POROSITY, COUNT):
            head = self._rows.horizontalHeaderItem(place)
            assert head is not None
            head.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        across.setFixedHeight(ROW - 4)
        across.setHighlightSections(False)
        down.hide()
        down.setDefaultSectionSize(ROW)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        across.setMinimumSectionSize(10)
        across.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for place, width in ((KEY, 24), (COLOUR, 28), (POROSITY, 62), (COUNT, 72)):
            self._rows.setColumnWidth(place, width)

    def show_classes(self, table: ClassTable, *, title: str = "Classes", fixed: bool = False) -> None:
        """Show this table; a `fixed` one, as a result's, gets no classes and loses none."""
        blocker = QSignalBlocker(self._rows)
        chosen = self.current
        self._table = table
        self._title.setText(title)
        self._fixed = fixed
        for part in (self._add, self._remove):
            part.setVisible(not fixed)
        self._rows.setRowCount(len(table))
        for r, c in enumerate(table):
            key = QTableWidgetItem(str(r + 1) if r < 9 else "")
            key.setToolTip(f"Key {r + 1} takes this brush" if r < 9 else "")
            colour = QTableWidgetItem(swatch(c.colour), "")
            colour.setData(Qt.ItemDataRole.AccessibleTextRole, f"colour {c.colour}")
            name = QTableWidgetItem(c.name)
            porosity = QTableWidgetItem(f"{c.porosity:g}")
            porosity.setData(Qt.ItemDataRole.AccessibleDescriptionRole, f"porosity of {c.name}")
            count = QTableWidgetItem("")
            for item in (porosity, count):
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for place, item in enumerate((key, colour, name, porosity, count)):
                flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
                item.setFlags(flags | Qt.ItemFlag.ItemIsEditable if place in (NAME, POROSITY) else flags)
                self._rows.setItem(r, place, item)
        self._rows.setVisible(bool(len(table)))
        self._none.setVisible(not len(table))
        height = ROW * (1 + min(max(len(table), 1), MOST_ROWS)) + 2 * self._rows.frameWidth() - 2
        self._rows.setFixedHeight(height)
        blocker.unblock()
        self.show_counts(self._counts)
        self.choose(chosen)
        self._enable()

    def show_counts(self, counts: Mapping[int, int]) -> None:
        """Show how many voxels of each class are painted."""
        self._counts = dict(counts)
        blocker = QSignalBlocker(self._rows)
        for r, c in enumerate(self._table):
            item = self._rows.item(r, COUNT)
            if item is not None:
                item.setText(f"{self._counts[c.id]:,}" if c.id in self._counts else "")
                item.setToolTip("painted voxels")
        blocker.unblock()
        self._enable()

    @property
    def current(self) -> int:
        """The id of the chosen class, or 0."""
        r = self._rows.currentRow()
        return self._table.classes[r].id if 0 <= r < len(self._table) else 0

    def choose(self, id: int) -> None:
        """Mark a class as chosen, without saying so."""
        blocker = QSignalBlocker(self._rows)
        rows = [r for r, c in enumerate(self._table) if c.id == id]
        if rows:
            self._rows.setCurrentCell(rows[0], NAME)
        else:
            self._rows.clearSelection()
        blocker.unblock()
        self._enable()

    def _enable(self) -> None:
        for part in (self._colour, self._remove):
            part.setEnabled(self.current != 0)

    def _on_current(self, r: int, _c: int, before: int, _b: int) -> None:
        if r != before:
            self._on_clicked(r, 0)

    def _on_clicked(self, r: int, _c: int) -> None:
        if 0 <= r < len(self._table):
            self._enable()
            self.chosen.emit(self._table.classes[r].id)

    def _on_edited(self, item: QTableWidgetItem) -> None:
        if item.row() >= len(self._table):
            return
        before, words = self._table.classes[item.row()], item.text().strip()
        if item.column() == NAME and words != before.name:
            self._change(before.id, name=words)
        elif item.column() == POROSITY and words != f"{before.porosity:g}":
            try:
                self._change(before.id, porosity=float(words.replace(",", ".")))
            except ValueError:
                self.refused.emit(f"porosity {words!r} is not a number from 0 (solid) to 1 (pore)")
                self._again()

    def _on_double_click(self, r: int, c: int) -> None:
        if c == COLOUR:
            self._on_colour()

    def _on_add(self) -> None:
        try:
            wished = self._table.add()
        except LithoscopeError as error:
            self.refused.emit(str(error))
            return
        self.edited.emit(wished)
        self.chosen.emit(wished.last)

    def _on_remove(self) -> None:
        id = self.current
        if not id:
            return
        count = self._counts.get(id, 0)
        if count:
            self.refused.emit(f"{self._table[id].name} has {count:,} painted voxels; erase them first, so that no work is lost unseen")
            return
        self.edited.emit(self._table.remove(id))

    def _on_colour(self) -> None:
        id = self.current
        if not id:
            return
        dialog = QColorDialog(QColor(self._table[id].colour), self)
        dialog.setWindowTitle(f"Colour of {self._table[id].name}")
        dialog.setModal(False)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(self._on_colour_chosen)
        self._dialog = dialog
        dialog.show()

    def _on_colour_chosen(self, colour: QColor) -> None:
        if self.current:
            self._change(self.current, colour=colour.name())

    def _again(self) -> None:
        """Show what holds, after something was refused."""
        self.show_classes(self._table, title=self._title.text(), fixed=self._fixed)

    def _change(self, id: int, **changes: str | float) -> None:
        try:
            self.edited.emit(self._table.change(id, **changes))
        except LithoscopeError as error:
            self.refused.emit(str(error))
            self._again()
