"""What a network is taught by: marks, scans or a column of the library, or a folder of images with a table beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QLineEdit, QListWidget, QListWidgetItem, QWidget

from lithoscope._napari.folder_dialog import ask_folder
from lithoscope._napari.look import button, column, row, text
from lithoscope.errors import LithoscopeError

if TYPE_CHECKING:
    from lithoscope._napari.similar_finder import Finder

MARKS, SCAN, FOLDER = "marks", "scan", "folder"
ROW = 22


class TeachSources(QWidget):
    """Says where items, classes and properties are from, as the command wants it told."""

    changed = Signal()

    def __init__(self, finder: "Finder", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._finder = finder
        self._dialog: QFileDialog | None = None
        self.what = QComboBox()
        self.what.setAccessibleName("What says which items are alike")
        self.what.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.folder_edit, self.table_edit, self.group_edit = QLineEdit(), QLineEdit(), QLineEdit()
        self.folder_edit.setAccessibleName("Folder of images, one folder a class")
        self.folder_edit.setPlaceholderText("images, one folder a class")
        self.browse_button = button("…", "Choose a folder of images")
        self.browse_button.setFixedWidth(26)
        self.table_edit.setAccessibleName("Table of what is known of the images")
        self.table_edit.setPlaceholderText("table (CSV), if there is one")
        self.group_edit.setAccessibleName("What says the sample")
        self.group_edit.setPlaceholderText("sample: column, or name:6")
        self.group_edit.setToolTip("What is of one sample is held out together: a column of the table, or name:6 for the first six letters")
        self._folder_part = QWidget()
        self._folder_part.setLayout(column(row(self.folder_edit, self.browse_button), row(self.table_edit, self.group_edit), spacing=4))
        self.columns = QListWidget()
        self.columns.setAccessibleName("Properties to be learnt")
        self.columns.setFrameShape(QListWidget.Shape.NoFrame)
        self._columns_part = QWidget()
        self._columns_line = text("Properties to be learnt", muted=True)
        self._columns_part.setLayout(column(self._columns_line, self.columns, spacing=2))
        self.setLayout(
            column(row(text("Alike by", muted=True, wrap=False), self.what, spacing=8), self._folder_part, self._columns_part, spacing=4)
        )
        self._siamese = False
        self.what.currentIndexChanged.connect(self._on_what)
        self.folder_edit.editingFinished.connect(self.changed)
        self.group_edit.editingFinished.connect(self.changed)
        self.table_edit.editingFinished.connect(self._on_table)
        self.columns.itemChanged.connect(lambda *_: self.changed.emit())
        self.browse_button.clicked.connect(self._on_browse)
        finder.loaded.connect(self.refill)
        self.refill()

    @property
    def key(self) -> str:
        """marks, scan, folder, or a column."""
        return str(self.what.currentData())

    def refill(self, _words: str = "") -> None:
        """Another library is loaded."""
        memory, before = self._finder.memory, self.what.currentData()
        blocker = QSignalBlocker(self.what)
        self.what.clear()
        if memory is not None:
            self.what.addItem("my marks, alike and unlike", MARKS)
            for name, kind in memory.library.kinds.items():
                if kind == "text":
                    self.what.addItem(f"column {name}", name)
            self.what.addItem("scans: those of one scan are", SCAN)
        self.what.addItem("a folder of images", FOLDER)
        kept = before if before != FOLDER or self.folder_edit.text().strip() else None
        self.what.setCurrentIndex(max(0, self.what.findData(kept)))
        blocker.unblock()
        self._on_what()

    def show_siamese(self, siamese: bool) -> None:
        """Whether properties are learnt."""
        self._siamese = siamese
        self._fill_columns()

    def properties(self) -> list[str]:
        """The columns that are ticked."""
        if not self._siamese:
            return []
        items = [self.columns.item(i) for i in range(self.columns.count())]
        return [item.text() for item in items if item is not None and item.checkState() == Qt.CheckState.Checked]

    def problem(self) -> str:
        """What is missing, or nothing."""
        memory = self._finder.memory
        if self.key == FOLDER and not Path(self.folder_edit.text().strip() or "-").is_dir():
            return "choose a folder of images"
        if self.key == MARKS and memory is not None:
            from lithoscope.similarity.marks import Marks

            try:
                pairs = Marks.of(memory.library).pairs
            except LithoscopeError as error:
                return str(error)
            if not any(m.alike for m in pairs) or not any(not m.alike for m in pairs):
                return "mark found places as alike and others as unlike, on the page Find"
        if self._siamese and not self.properties():
            return "tick a property to be learnt" if self.columns.count() else "nothing measured is known here; name a table with numbers"
        return ""

    def arguments(self) -> dict[str, Any]:
        """What the command is to be told."""
        if self.key == FOLDER:
            told: dict[str, Any] = {"source": self.folder_edit.text().strip()}
            told |= {"metadata": self.table_edit.text().strip() or None, "group": self.group_edit.text().strip() or None}
        else:
            memory = self._finder.memory
            told = {"source": "" if memory is None else memory.library.uri, "label": self.key}
        return {**told, "properties": self.properties() or None}

    def _numbers(self) -> list[str]:
        memory = self._finder.memory
        if self.key != FOLDER:
            return [] if memory is None else [name for name, kind in memory.library.kinds.items() if kind == "number"]
        table = self.table_edit.text().strip()
        if not table:
            return []
        from lithoscope.retrieval.metadata import read_csv

        try:
            return list(read_csv(Path(table)).numbers)
        except LithoscopeError as error:
            self._columns_line.setText(str(error))
            return []

    def _fill_columns(self) -> None:
        ticked = set(self.properties())
        self._columns_line.setText("Properties to be learnt")
        names = self._numbers() if self._siamese else []
        blocker = QSignalBlocker(self.columns)
        self.columns.clear()
        for name in names:
            item = QListWidgetItem(name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable)
            item.setCheckState(Qt.CheckState.Checked if name in ticked else Qt.CheckState.Unchecked)
            self.columns.addItem(item)
        self.columns.setFixedHeight(ROW * max(1, min(6, len(names))) + 4)
        blocker.unblock()
        self._columns_part.setVisible(self._siamese)
        self.columns.setVisible(bool(names))
        self.changed.emit()

    def _on_what(self, *_: Any) -> None:
        self._folder_part.setVisible(self.key == FOLDER)
        self._fill_columns()

    def _on_table(self) -> None:
        self._fill_columns()

    def _on_browse(self) -> None:
        self._dialog = ask_folder(self, "A folder of images", self._on_selected)

    def _on_selected(self, path: str) -> None:
        self.folder_edit.setText(path)
        self.changed.emit()
