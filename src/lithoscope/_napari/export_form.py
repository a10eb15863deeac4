"""Exporting a result: to which file, which classes, with which value for each."""

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QFormLayout, QLineEdit, QWidget

from lithoscope._napari.actions import export
from lithoscope._napari.look import button, column, row, text
from lithoscope._napari.session import Session
from lithoscope.classes import ClassTable

KINDS = {
    "TIFF for Fiji, one file": ".tif",
    "TIFF slices in a folder": "",
    "OME-Zarr": ".zarr",
    "raw bytes, with a .mhd header": ".raw",
    "NRRD": ".nrrd",
    "PNG slices in a folder": "/*.png",
    "surface of a class, STL": ".stl",
}
ALL, EACH = "", "all"
"""What is written: every class into one file, or each into a file of its own; else one class by its number."""


class ExportForm(QWidget):
    """Asks for a file and the values; a job of the session writes it."""

    closed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._result = ""
        self._dialog: QFileDialog | None = None
        self._title = text(bold=True)
        self._kind = QComboBox()
        self._kind.setAccessibleName("Format")
        self._kind.addItems(list(KINDS))
        self._target = QLineEdit()
        self._target.setAccessibleName("File to write")
        self._browse = button("Browse…", "Choose the file to write")
        self._values = QLineEdit()
        self._values.setAccessibleName("Value of each class in the file")
        self._values.setToolTip("Which value each class gets in the file: 1=0 2=255. Left empty, classes keep their ids.")
        self._which = QComboBox()
        self._which.setAccessibleName("Classes to write")
        self._which.setToolTip("A file of its own holds 1 where the class is and 0 elsewhere, as flow simulations want it")
        for combo in (self._kind, self._which):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(6)
        self._scores = QCheckBox("how likely, 0 to 255")
        self._scores.setAccessibleName("Write how likely each class is")
        self._scores.setToolTip("Write how likely the classes are, in bytes, instead of labels; needs the method that made the result")
        self._note = text(muted=True)
        self._go = button("Export", "Write the file")
        self._close = button("Close", "Close the export form")
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Format", self._kind)
        place = QWidget()
        place.setLayout(row(self._target, self._browse))
        form.addRow("To", place)
        which = QWidget()
        which.setLayout(row(self._which, self._scores))
        form.addRow("Classes", which)
        form.addRow("Values", self._values)
        layout = column(self._title)
        layout.addLayout(form)
        layout.addWidget(self._note)
        layout.addLayout(row(1, self._close, self._go))
        self.setLayout(layout)
        self._kind.currentTextChanged.connect(self._propose)
        self._which.currentIndexChanged.connect(self._check)
        self._scores.toggled.connect(self._check)
        self._target.textChanged.connect(self._check)
        self._browse.clicked.connect(self._on_browse)
        self._go.clicked.connect(self._on_go)
        self._close.clicked.connect(self.closed)

    def offer(self, result: str, classes: ClassTable) -> None:
        """Show the form for this result."""
        self._result = result
        self._title.setText(f"Export {result}")
        blocker = QSignalBlocker(self._which)
        self._which.clear()
        self._which.addItem("all in one file", ALL)
        if len(classes):
            self._which.addItem("each in a file of its own", EACH)
        for c in classes:
            self._which.addItem(f"{c.name} alone", str(c.id))
        blocker.unblock()
        self._scores.setChecked(False)
        self._scores.setEnabled(len(classes) > 0)
        self._values.setPlaceholderText("  ".join(f"{c.id}={c.id}" for c in list(classes)[:6]) or "1=1")
        self._propose()
        self.show()

    def _propose(self, *_: object) -> None:
        scan = self._session.scan
        if scan is not None:
            suffix = KINDS[self._kind.currentText()]
            folder, slash, names = suffix.partition("/")
            place = _free(scan.path.parent / f"{scan.name}-{self._result}{folder}")
            self._target.setText(str(place / names) if slash else str(place))
        self._check()

    def _check(self, *_: object) -> None:
        self._target.setToolTip(self._target.text())
        target = Path(self._target.text()).expanduser()
        taken = bool(self._target.text()) and target.exists()
        apart = self._which.currentData() != ALL or self._scores.isChecked()
        lacking = target.suffix.lower() == ".stl" and (not apart or self._scores.isChecked())
        self._values.setEnabled(not apart)
        self._go.setEnabled(bool(self._target.text()) and not taken and not lacking)
        words = "A surface is of one class: choose it." if lacking else "Corrections are included, and recorded."
        self._note.setText(f"{target.name} exists already; choose another name" if taken else words)

    def _on_browse(self) -> None:
        dialog = QFileDialog(self, "Export to", self._target.text())
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setModal(False)
        dialog.fileSelected.connect(self._target.setText)
        self._dialog = dialog
        dialog.show()

    def _on_go(self) -> None:
        values = self._values.text().replace(",", " ").split() if self._values.isEnabled() else []
        which, scores = str(self._which.currentData()), self._scores.isChecked()
        export(self._session, self._result, Path(self._target.text()).expanduser(), values, classes=[which] if which else [], scores=scores)
        self.closed.emit()


def _free(path: Path) -> Path:
    """This path, or the same with a number that nobody has used."""
    found, n = path, 2
    while found.exists():
        found, n = path.with_name(f"{path.stem}-{n}{path.suffix}"), n + 1
    return found
