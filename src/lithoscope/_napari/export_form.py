"""Exporting a result: to which file, with which value for each class."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLineEdit, QWidget

from lithoscope._napari.actions import export
from lithoscope._napari.look import button, column, row, text
from lithoscope._napari.session import Session
from lithoscope.classes import ClassTable

KINDS = {
    "TIFF for Fiji, one file": ".tif",
    "TIFF slices in a folder": "",
    "OME-Zarr": ".zarr",
    "raw bytes": ".raw",
}


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
        self._note = text(muted=True)
        self._go = button("Export", "Write the file")
        self._close = button("Close", "Close the export form")
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Format", self._kind)
        place = QWidget()
        place.setLayout(row(self._target, self._browse))
        form.addRow("To", place)
        form.addRow("Values", self._values)
        layout = column(self._title)
        layout.addLayout(form)
        layout.addWidget(self._note)
        layout.addLayout(row(1, self._close, self._go))
        self.setLayout(layout)
        self._kind.currentTextChanged.connect(self._propose)
        self._target.textChanged.connect(self._check)
        self._browse.clicked.connect(self._on_browse)
        self._go.clicked.connect(self._on_go)
        self._close.clicked.connect(self.closed)

    def offer(self, result: str, classes: ClassTable) -> None:
        """Show the form for this result."""
        self._result = result
        self._title.setText(f"Export {result}")
        self._values.setPlaceholderText("  ".join(f"{c.id}={c.id}" for c in list(classes)[:6]) or "1=1")
        self._propose()
        self.show()

    def _propose(self, *_: object) -> None:
        scan = self._session.scan
        if scan is not None:
            suffix = KINDS[self._kind.currentText()]
            self._target.setText(str(_free(scan.path.parent / f"{scan.name}-{self._result}{suffix}")))
        self._check()

    def _check(self, *_: object) -> None:
        self._target.setToolTip(self._target.text())
        target = Path(self._target.text()).expanduser()
        taken = bool(self._target.text()) and target.exists()
        self._go.setEnabled(bool(self._target.text()) and not taken)
        self._note.setText(f"{target.name} exists already; choose another name" if taken else "Corrections are included, and recorded.")

    def _on_browse(self) -> None:
        dialog = QFileDialog(self, "Export to", self._target.text())
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setModal(False)
        dialog.fileSelected.connect(self._target.setText)
        self._dialog = dialog
        dialog.show()

    def _on_go(self) -> None:
        export(self._session, self._result, Path(self._target.text()).expanduser(), self._values.text().replace(",", " ").split())
        self.closed.emit()


def _free(path: Path) -> Path:
    """This path, or the same with a number that nobody has used."""
    found, n = path, 2
    while found.exists():
        found, n = path.with_name(f"{path.stem}-{n}{path.suffix}"), n + 1
    return found
