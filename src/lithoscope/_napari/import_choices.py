"""What a file or folder leaves open when it is imported: which dataset, channel and time, what a raw file holds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QWidget

from lithoscope._napari.look import row

if TYPE_CHECKING:
    from lithoscope.volume.formats.contents import Contents

TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
CHOOSE = "choose …"
WORDS = {"dataset": ("Dataset", "Dataset of the file"), "channel": ("Channel", "Channel"), "time": ("Time", "Time point")}


class ImportChoices(QWidget):
    """Rows that are seen only where there is something to choose or to say."""

    changed = Signal()
    """Another volume is meant: look into the file again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.combos = {key: _combo(name) for key, (_, name) in WORDS.items()}
        self.shape = QLineEdit()
        self.shape.setAccessibleName("Shape z y x of the raw file")
        self.shape.setPlaceholderText("shape z y x")
        self.type = _combo("Type of the raw file's values")
        self.type.addItem("type …", None)
        for name in TYPES:
            self.type.addItem(name, name)
        self.order = _combo("Byte order of the raw file")
        for name in ("little", "big"):
            self.order.addItem(f"{name}-endian", name)
        self.separate = QCheckBox("The slices are separate images")
        self.separate.setToolTip("Unrelated images, such as micrographs: no method looks from one to the next")
        self._form = form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        self._rows: dict[str, int] = {}
        for key, (word, _) in WORDS.items():
            self._rows[key] = form.rowCount()
            form.addRow(word, self.combos[key])
        for key, word, parts in (
            ("raw", "Raw", (self.shape,)),
            ("type", "", (self.type, self.order)),
            ("separate", "", (self.separate,)),
        ):
            holder = QWidget()
            holder.setLayout(row(*parts))
            self._rows[key] = form.rowCount()
            form.addRow(word, holder)
        self.setLayout(form)
        for combo in (*self.combos.values(), self.type, self.order):
            combo.activated.connect(self._on_change)
        self.shape.editingFinished.connect(self._on_change)
        self.separate.toggled.connect(self._on_change)
        self.clear()

    def clear(self) -> None:
        """Forget what was chosen: another file is meant."""
        for combo in self.combos.values():
            combo.clear()
        self.shape.clear()
        self.type.setCurrentIndex(0)
        self.order.setCurrentIndex(0)
        self.separate.blockSignals(True)
        self.separate.setChecked(False)
        self.separate.blockSignals(False)
        for place in self._rows.values():
            self._form.setRowVisible(place, False)

    def show_contents(self, found: "Contents") -> None:
        """Offer what there is to choose; what was chosen before stays so."""
        for key, combo in self.combos.items():
            there = found.choices.get(key, {})
            if [combo.itemData(n) for n in range(combo.count()) if combo.itemData(n) is not None] != list(there):
                combo.clear()
                combo.addItem(CHOOSE, None)
                for value, words in there.items():
                    combo.addItem(words, value)
            if key == "dataset" and combo.currentData() is None and found.taken:
                combo.setCurrentIndex(max(combo.findData(found.taken), 0))
            self._form.setRowVisible(self._rows[key], bool(there))
        self._offer_raw(found)
        self._form.setRowVisible(self._rows["separate"], (found.shape is not None and found.shape[0] > 1) or self.separate.isChecked())

    def _offer_raw(self, found: "Contents") -> None:
        raw = found.raw is not None
        if found.raw is not None:
            if found.raw.shape is not None and not self.shape.text():
                self.shape.setText(" ".join(str(n) for n in found.raw.shape))
            if found.raw.dtype is not None and self.type.currentData() is None:
                self.type.setCurrentIndex(max(self.type.findData(str(found.raw.dtype)), 0))
            if found.raw.byte_order == "big" and not self._form.isRowVisible(self._rows["type"]):
                self.order.setCurrentIndex(1)
        self._form.setRowVisible(self._rows["raw"], raw)
        self._form.setRowVisible(self._rows["type"], raw)

    def wishes(self) -> dict[str, Any]:
        """What was chosen, as `open_source` takes it."""
        found: dict[str, Any] = {}
        for key, combo in self.combos.items():
            if (value := combo.currentData()) is not None:
                found[key] = value if key == "dataset" else int(value)
        if self._form.isRowVisible(self._rows["raw"]):
            numbers = [int(n) for n in self.shape.text().replace(",", " ").replace("×", " ").replace("x", " ").split() if n.isdigit()]
            if len(numbers) == 3:
                found["shape"] = tuple(numbers)
            if self.type.currentData() is not None:
                found["dtype"] = self.type.currentData()
            if "shape" in found and "dtype" in found:
                found["byte_order"] = self.order.currentData()
        if self.separate.isChecked():
            found["separate"] = True
        return found

    def arguments(self) -> Mapping[str, Any]:
        """What was chosen, as the import command takes it."""
        found = self.wishes()
        if found.pop("separate", False):
            found["separate_slices"] = True
        if "shape" in found:
            found["shape"] = list(found["shape"])
        return found

    def _on_change(self, *_: object) -> None:
        self.changed.emit()


def _combo(name: str) -> QComboBox:
    made = QComboBox()
    made.setAccessibleName(name)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    return made
