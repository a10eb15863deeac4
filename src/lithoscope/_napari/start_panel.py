"""What every dock shows while no scan is open: the three ways to get one."""

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QWidget

from lithoscope._napari.actions import make_sample
from lithoscope._napari.folder_dialog import ask_folder
from lithoscope._napari.import_form import ImportForm, importable
from lithoscope._napari.look import button, column, text
from lithoscope._napari.session import Session

LONGEST = 24
"""Letters of a layer's name that a button shows."""


class StartPanel(QWidget):
    """Open a scan · Import this layer · Sample scan."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._dialog: QFileDialog | None = None
        self._words = text("Work begins with a scan: an OME-Zarr folder on disk. Open one, or make one from a layer or a file.", muted=True)
        self.open_button = button("Open a scan …", tip="Open an OME-Zarr folder; strokes and results come back with it")
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
        events = session.viewer.layers.events
        self._heard = (events.inserted, events.removed, events.renamed, session.viewer.layers.selection.events.active)
        for event in self._heard:
            event.connect(self._on_layers)
        self._on_layers()

    def put_away(self) -> None:
        """Hear no more of layers."""
        for event in self._heard:
            event.disconnect(self._on_layers)

    def explain(self, shown: bool) -> None:
        """Show or leave out the sentence above the buttons."""
        self._words.setVisible(shown)

    def _on_layers(self, event: Any = None) -> None:
        """Name the layer that would be imported."""
        layers = self._session.viewer.layers
        active = layers.selection.active
        offered = [layer for layer in ([active] if active is not None else []) + list(layers) if importable(layer)]
        name = offered[0].name if offered else ""
        short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        self.import_button.setText(f"Import {short} …" if name else "Import a file …")
        self.import_button.setAccessibleName(f"Import {name}" if name else "Import a file")

    def _on_open(self) -> None:
        self._dialog = ask_folder(self, "Open a scan (an OME-Zarr folder)", self._on_chosen)

    def _on_chosen(self, path: str) -> None:
        self._session.open(Path(path))

    def _on_import(self) -> None:
        self.form.offer()
        self.form.show()

    def _on_sample(self) -> None:
        make_sample(self._session)
