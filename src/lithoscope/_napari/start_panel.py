"""What every dock shows while no scan is open: the three ways to get one."""

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from lithoscope._napari.actions import make_sample
from lithoscope._napari.import_form import ImportForm
from lithoscope._napari.look import button, column, text
from lithoscope._napari.session import Session


class StartPanel(QWidget):
    """Open a scan · Import this layer · Sample scan."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._dialog: QFileDialog | None = None
        self._words = text("Work begins with a scan: an OME-Zarr folder on disk. Open one, or make one from a layer or a file.", muted=True)
        self.open_button = button("Open a scan…", tip="Open an OME-Zarr folder; strokes and results come back with it")
        self.import_button = button(
            "Import a layer or file…", tip="Turn a TIFF, a folder of slices, a raw file or the layer in view into a scan"
        )
        self.sample_button = button("Sample scan", tip="Make a small simulated rock whose truth is known, and open it")
        self.form = ImportForm(session)
        self.form.hide()
        self.setLayout(column(self._words, self.open_button, self.import_button, self.sample_button, self.form))
        self.open_button.clicked.connect(self._on_open)
        self.import_button.clicked.connect(self._on_import)
        self.sample_button.clicked.connect(self._on_sample)
        self.form.closed.connect(self.form.hide)

    def explain(self, shown: bool) -> None:
        """Show or leave out the sentence above the buttons."""
        self._words.setVisible(shown)

    def _on_open(self) -> None:
        dialog = QFileDialog(self, "Open a scan (an OME-Zarr folder)")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setModal(False)
        dialog.fileSelected.connect(self._on_chosen)
        self._dialog = dialog
        dialog.show()

    def _on_chosen(self, path: str) -> None:
        self._session.open(Path(path))

    def _on_import(self) -> None:
        self.form.offer()
        self.form.show()

    def _on_sample(self) -> None:
        make_sample(self._session)
