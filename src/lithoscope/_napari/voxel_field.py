"""The size of a voxel as a person types it: one number or three, and a unit."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLineEdit, QWidget

from lithoscope._napari.look import row
from lithoscope.errors import InputError
from lithoscope.volume.voxel import Voxel

UNITS = ("nm", "µm", "mm", "cm", "m", "inch")
ASKED = "unit?"


class VoxelField(QWidget):
    """Numbers and their unit; nothing typed means that the file says it, or nobody. The unit is asked for, not guessed."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.size = QLineEdit()
        self.size.setAccessibleName("Voxel size along z, y and x")
        self.size.setPlaceholderText("as the file says, or z y x")
        self.unit = QComboBox()
        self.unit.setAccessibleName("Unit of the voxel size")
        self.unit.addItems((ASKED, *UNITS))
        self.setLayout(row(self.size, self.unit))
        self.size.textChanged.connect(self.changed)
        self.unit.currentIndexChanged.connect(self.changed)

    def show_size(self, size: tuple[float, float, float] | None, unit: str = "") -> None:
        """Show what is known; without a unit it is asked for."""
        sizes = () if size is None else size[:1] if len(set(size)) == 1 else size
        self.size.setText(" ".join(f"{s:g}" for s in sizes))
        unit = "inch" if unit == "in" else unit
        self.unit.setCurrentText(unit if unit in UNITS else ASKED)

    def problem(self) -> str:
        """What is missing, in words."""
        try:
            self.voxel()
        except InputError as error:
            return str(error)
        return ""

    def voxel(self) -> Voxel | None:
        """What was typed; raises `InputError` where it is no voxel size."""
        words, unit = self.size.text().strip(), self.unit.currentText()
        if words and unit == ASKED:
            raise InputError(f"choose the unit of the voxel size {words}, or clear it")
        return voxel_typed(words, unit)


def voxel_typed(words: str, unit: str) -> Voxel | None:
    """The voxel size that a person typed; None for nothing."""
    parts = words.replace(",", " ").replace("×", " ").split()
    if not parts:
        return None
    try:
        sizes = [float(p) for p in parts]
    except ValueError:
        raise InputError(f"voxel size {words!r} is not one number or three (z y x)") from None
    if len(sizes) not in (1, 3):
        raise InputError(f"voxel size {words!r} is not one number or three (z y x)")
    z, y, x = sizes * 3 if len(sizes) == 1 else sizes
    return Voxel((z, y, x), unit)
