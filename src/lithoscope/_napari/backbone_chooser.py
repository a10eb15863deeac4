"""Choosing the network whose tokens are used: those that have a name, or any folder or file, with licence and checksum beneath."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QSizePolicy, QWidget

from lithoscope._napari.background import Background
from lithoscope._napari.look import button, column, row, text
from lithoscope.errors import LithoscopeError

SHORT = 12
"""Characters of a checksum that are shown; the whole is in the tip."""


class BackboneChooser(QWidget):
    """A backbone's name, folder or file; says beneath whose it is, under which licence and with which checksum, or how to get it."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        from lithoscope.features.backbones import KNOWN, place

        self.names = QComboBox()
        self.names.setEditable(True)
        self.names.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.names.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.names.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for entry in KNOWN:
            here = place(entry.name) is not None
            self.names.addItem(entry.name if here else f"{entry.name} (not here)", entry.name)
        self._other = button("Other…", tip="Take a folder that holds a network's weights, or a model that was taught with LoRA")
        self._other.setAccessibleName("Other backbone")
        self._other.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._about = text(muted=True)
        self._about.setAccessibleName("About the backbone")
        self.setLayout(column(row(self.names, self._other, spacing=4), self._about, spacing=2))
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_failed)
        self.names.activated.connect(self._on_change)
        edit = self.names.lineEdit()
        assert edit is not None
        edit.editingFinished.connect(self._on_change)
        self._other.clicked.connect(self._ask)
        self._said = ""
        self._describe()

    def setAccessibleName(self, name: str) -> None:  # noqa: N802 - Qt's name
        super().setAccessibleName(name)
        self.names.setAccessibleName(name)

    def value(self) -> str:
        """The name, the folder or the file."""
        typed = self.names.currentText().strip()
        at = self.names.findText(typed)
        return str(self.names.itemData(at)) if at >= 0 else typed

    def set_value(self, value: str) -> None:
        """Show this backbone."""
        at = self.names.findData(value)
        if at >= 0:
            self.names.setCurrentIndex(at)
        else:
            self.names.setEditText(value)
        self._describe()

    def _ask(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder with a network's weights")
        if folder:
            self.set_value(folder)
            self._on_change()

    def _on_change(self, *_: object) -> None:
        if self.value() != self._said:
            self._describe()
            self.changed.emit()

    def _describe(self) -> None:
        self._said = name = self.value()
        self._about.setText("")
        self._work.start(lambda: described(name), self._on_described)

    def _on_described(self, about: tuple[str, str]) -> None:
        words, tip = about
        self._about.setText(words)
        self._about.setToolTip(tip)

    def _on_failed(self, error: BaseException) -> None:
        self._about.setText(str(error) if isinstance(error, LithoscopeError) else "")


def described(name: str) -> tuple[str, str]:
    """Whose a backbone is, its licence and its checksum, in words; and the whole checksum. May read a large file."""
    from lithoscope.features.backbones import KNOWN, how_to_get, known, place, sha256
    from lithoscope.features.layouts import weights_file

    if any(entry.name == name for entry in KNOWN):
        entry, folder = known(name), place(name)
        if folder is None:
            return f"{entry.title} · {entry.licence} · not here: {how_to_get(name)}", how_to_get(name)
        digest = sha256(weights_file(folder))
        return f"{entry.title} · {entry.licence} · SHA-256 {digest[:SHORT]}…", f"SHA-256 {digest}"
    path = Path(name)
    if (path / "model.json").is_file():
        return "a model that was taught with LoRA; its network is used as it was taught", str(path)
    digest = sha256(weights_file(path))
    return f"its publisher's licence · SHA-256 {digest[:SHORT]}…", f"SHA-256 {digest}"
