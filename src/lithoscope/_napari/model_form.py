"""Keeping what was taught as a model, and segmenting by a model that was kept."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QLineEdit, QSizePolicy, QWidget

from lithoscope._napari import actions
from lithoscope._napari.folder_dialog import ask_folder
from lithoscope._napari.look import button, column, mark_bad, row, text
from lithoscope._napari.more_scans import MoreScans
from lithoscope._napari.session import Session


class ModelForm(QWidget):
    """Two buttons, and below them the form of the one that was pressed."""

    save = Signal(object, object)
    """Keep the method, as it is taught now by this scan and by those of a list of paths, in a folder."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._dialog: QFileDialog | None = None
        self.save_button = button("Save model…", "Save what was learnt as a model", "Keep what was learnt, to use it on other scans")
        self.apply_button = button("Apply a model…", "Segment by a model that was saved", "Segment this scan by a model that was saved")
        self.folder = QLineEdit()
        self.folder.setAccessibleName("Folder of the new model")
        self._save = button("Save", "Teach the method and save the model")
        self.known = QComboBox()
        self.known.setAccessibleName("Model")
        self.known.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.known.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._other = button("Other…", "Choose the folder of another model")
        self._apply = button("Apply", "Segment the volume by this model")
        self._note = text(muted=True)
        self.teachers = MoreScans(session, "taught by", "Add a scan whose strokes teach the model too")
        self.targets = MoreScans(session, "segments", "Add a scan that the model segments too")
        self._saving, self._applying = QWidget(), QWidget()
        self._saving.setLayout(column(row(self.folder, self._save), self.teachers, spacing=4))
        self._applying.setLayout(column(row(self.known, self._other, self._apply), self.targets, spacing=4))
        for part in (self.save_button, self.apply_button):
            part.setCheckable(True)
        self.setLayout(column(row(self.save_button, self.apply_button, 1), self._saving, self._applying, self._note, spacing=4))
        self.save_button.clicked.connect(self._on_save_button)
        self.apply_button.clicked.connect(self._on_apply_button)
        self.folder.textChanged.connect(self._check)
        self.teachers.changed.connect(self._check)
        self._save.clicked.connect(self._on_save)
        self._other.clicked.connect(self._on_other)
        self._apply.clicked.connect(self._on_apply)
        self.close_forms()

    def close_forms(self) -> None:
        """Show the two buttons alone."""
        for part in (self.save_button, self.apply_button):
            part.setChecked(False)
        self.teachers.clear()
        self.targets.clear()
        self._unfold()

    def can_save(self, able: bool) -> None:
        """Whether there is something to be learnt."""
        self.save_button.setEnabled(able)

    def _unfold(self) -> None:
        self._saving.setVisible(self.save_button.isChecked())
        self._applying.setVisible(self.apply_button.isChecked())
        self._check()

    def _on_save_button(self, on: bool) -> None:
        self.apply_button.setChecked(False)
        scan = self._session.scan
        if on and scan is not None:
            folder, n = actions.models_folder(scan.sidecar), 1
            while (folder / f"{scan.name}-{n}").exists():
                n += 1
            self.folder.setText(str(folder / f"{scan.name}-{n}"))
            self.folder.setCursorPosition(len(self.folder.text()))
        self._unfold()

    def _on_apply_button(self, on: bool) -> None:
        self.save_button.setChecked(False)
        if on:
            self.known.clear()
            for folder in actions.models(self._session):
                self.known.addItem(folder.name, folder)
        self._unfold()

    def _check(self, *_: object) -> None:
        words, bad = "", False
        if self.save_button.isChecked():
            folder = Path(self.folder.text()).expanduser()
            bad = not self.folder.text().strip() or folder.exists()
            words = (
                f"{folder.name} exists already; choose another name"
                if bad
                else ("classes of several scans are the same if their names are" if self.teachers.paths else "the strokes as they are now")
            )
            self._save.setEnabled(not bad)
            self.folder.setToolTip(self.folder.text())
        elif self.apply_button.isChecked():
            self._apply.setEnabled(self.known.count() > 0)
            words = "" if self.known.count() else "no model is kept with this scan; Other… takes one from elsewhere"
        self._note.setText(words)
        self._note.setVisible(bool(words))
        mark_bad(self._note, bad)

    def _on_save(self) -> None:
        self.save.emit(Path(self.folder.text()).expanduser(), list(self.teachers.paths))
        self.close_forms()

    def _on_other(self) -> None:
        self._dialog = ask_folder(self, "The folder of a model", self._on_chosen)

    def _on_chosen(self, folder: str) -> None:
        self.known.addItem(Path(folder).name, Path(folder))
        self.known.setCurrentIndex(self.known.count() - 1)
        self._check()

    def _on_apply(self) -> None:
        folder = self.known.currentData()
        if folder is not None:
            actions.apply_model(self._session, folder, actions.free_result_name(self._session, folder.name), list(self.targets.paths))
            self.close_forms()
