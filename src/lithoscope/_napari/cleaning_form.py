"""One step of a cleaning as a form: what is done, how large, to which classes; it says the step as the command line writes it."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QLabel, QMenu, QPushButton, QWidget

from lithoscope._napari.look import row
from lithoscope.classes import ClassTable
from lithoscope.labels.cleaning.steps import Step

if TYPE_CHECKING:
    from lithoscope.volume.voxel import Voxel

GRAINS = "separate"
"""What the last entry stands for: no step of a cleaning, but a result of numbered grains."""

STEPS = {
    "islands": ("Remove islands", "Pieces that are smaller become what touches them most"),
    "holes": ("Fill holes", "What a class encloses and is smaller becomes that class"),
    "largest": ("Keep the largest piece", "All other pieces become what touches them most"),
    "through": ("Keep what leads through", "Pieces that do not reach both faces become what touches them most"),
    "majority": ("Majority", "Each voxel becomes the commonest class of the cube around it"),
    "median": ("Median", "Each voxel becomes the middle class of the cube around it, by rising number"),
    "opening": ("Opening", "Parts of a class that are narrower than the ball go"),
    "closing": ("Closing", "Gaps of a class that are narrower than the ball become it"),
    "merge": ("Merge classes", "Several classes become one"),
    "renumber": ("Renumber classes", "Classes become 1, 2, 3 … without gaps"),
    GRAINS: ("Separate grains", "Touching grains or pores of a class are told apart, numbered and measured"),
}
"""What can be done, as the command line calls it: its name, and what it does."""
SIZES = {"islands": 200.0, "holes": 200.0, "majority": 1.0, "median": 1.0, "opening": 2.0, "closing": 2.0}
"""Those that ask for a size, and what is proposed, in voxels."""
VOLUMES = ("islands", "holes")
PIECES = ("islands", "holes", "largest", "through")
NEED_CLASS = ("opening", "closing", "merge")
NEIGHBOURS = {6: "faces (6)", 18: "faces and edges (18)", 26: "corners, too (26)"}


class StepForm(QWidget):
    """Asks for one step at a time; each keeps its size while another is looked at."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes = ClassTable()
        self._chosen: set[int] = set()
        self._sizes: dict[str, tuple[float, int]] = {}
        self._shown = ""
        self._symbol: str | None = None
        self.kind = _combo("What to do")
        for name, (title, tip) in STEPS.items():
            self.kind.addItem(title, name)
            self.kind.setItemData(self.kind.count() - 1, tip, 3)
        self.size = QDoubleSpinBox()
        self.size.setRange(0.01, 1e15)
        self.size.setDecimals(0)
        self.size.setKeyboardTracking(False)
        self.unit = _combo("Unit of the size")
        self.every = QCheckBox("of any size")
        self.every.setAccessibleName("Fill holes of any size")
        self.axis = _combo("Axis that pieces must lead through")
        for axis in "zyx":
            self.axis.addItem(f"along {axis}", axis)
        self.classes = QPushButton()
        self.classes.setAccessibleName("Classes")
        self._menu = QMenu(self.classes)
        self.classes.setMenu(self._menu)
        self.neighbours = _combo("Neighbours that belong to one piece")
        for count, words in NEIGHBOURS.items():
            self.neighbours.addItem(words, count)
        self.to = _combo("Class that it becomes")
        self.height = QDoubleSpinBox()
        self.height.setRange(0.1, 100)
        self.height.setValue(1)
        self.height.setSingleStep(0.5)
        self.height.setDecimals(1)
        self.height.setSuffix(" voxels")
        self.height.setAccessibleName("Height")
        self.height.setToolTip("How much a grain must be thicker than the neck to the next one to be told from it: more splits less")
        layout = QFormLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(4)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._rows: dict[str, tuple[QLabel, QWidget]] = {}
        size = QWidget()
        size.setLayout(row(self.size, self.unit, self.every, spacing=4))
        for name, words, field in (
            ("kind", "Do", self.kind), ("size", "Smaller than", size), ("axis", "Through", self.axis), ("classes", "Classes", self.classes),
            ("to", "Becomes", self.to), ("neighbours", "Neighbours", self.neighbours), ("height", "Height", self.height),
        ):  # fmt: skip
            label = QLabel(words)
            label.setBuddy(field)
            layout.addRow(label, field)
            self._rows[name] = (label, field)
        self.setLayout(layout)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.size.valueChanged.connect(self._on_change)
        self.height.valueChanged.connect(self._on_change)
        self.every.toggled.connect(self._on_change)
        for combo in (self.unit, self.axis, self.neighbours, self.to):
            combo.currentIndexChanged.connect(self._on_change)
        self.show_classes(ClassTable(), None)

    @property
    def name(self) -> str:
        """What is to be done, as the command line calls it."""
        return str(self.kind.currentData())

    def choose(self, name: str) -> None:
        """Show the form of this step."""
        self.kind.setCurrentIndex(self.kind.findData(name))

    def show_classes(self, classes: ClassTable, voxel: "Voxel | None") -> None:
        """Offer these classes, and sizes in the unit of the voxels."""
        self._classes = classes
        self._chosen &= set(classes.ids)
        self._symbol = None if voxel is None else voxel.symbol
        self._menu.clear()
        for c in classes:
            action = self._menu.addAction(f"{c.id}  {c.name}")
            assert action is not None
            action.setCheckable(True)
            action.setChecked(c.id in self._chosen)
            action.toggled.connect(lambda on, id=c.id: self._on_class(id, on))
        blocker = QSignalBlocker(self.to)
        kept = self.to.currentData()
        self.to.clear()
        self.to.addItem("what touches it most", None)
        for c in classes:
            self.to.addItem(f"{c.id}  {c.name}", c.id)
        self.to.setCurrentIndex(max(self.to.findData(kept), 0))
        blocker.unblock()
        self._on_kind()

    def choose_classes(self, *ids: int) -> None:
        """Tick these classes alone."""
        for action, c in zip(self._menu.actions(), self._classes, strict=True):
            action.setChecked(c.id in ids)

    @property
    def ids(self) -> list[int]:
        """The classes that are ticked; none stands for all."""
        return sorted(self._chosen)

    def missing(self) -> str:
        """What the form still lacks, or nothing."""
        if self.name == "merge" and len(self._chosen) < 2:
            return "tick two classes or more to merge"
        if self.name in NEED_CLASS and not self._chosen:
            return "tick a class"
        if self.name == GRAINS and len(self._chosen) != 1:
            return "tick the class whose grains are to be told apart"
        return ""

    def step(self) -> Step:
        """The step as it is set; not of the grains."""
        name, options = self.name, {}
        value = {"through": str(self.axis.currentData()), "merge": "+".join(map(str, self.ids))}.get(name, "")
        if name in SIZES:
            unit = str(self.unit.currentData() or "")
            value = f"{self.size.value():.10g}{unit}{'3' if unit and name in VOLUMES else ''}"
        if name == "holes" and self.every.isChecked():
            value = "all"
        if self._chosen and name in (*PIECES, "opening", "closing"):
            options["class"] = "+".join(map(str, self.ids))
        if name in PIECES and self.neighbours.currentData() != 6:
            options["connectivity"] = str(self.neighbours.currentData())
        if self.to.currentData() is not None and name in ("islands", "largest", "through", "merge"):
            options["to"] = str(self.to.currentData())
        return Step(name, value, options)

    # --- what is shown ------------------------------------------------------------------------------------------------------

    def _on_kind(self, *_: object) -> None:
        if self._shown:
            self._sizes[self._shown] = (self.size.value(), max(self.unit.currentIndex(), 0))
        name = self._shown = self.name
        blockers = [QSignalBlocker(w) for w in (self.unit, self.size)]
        value, unit = self._sizes.get(name, (SIZES.get(name, 1.0), 0))
        self.unit.clear()
        self.unit.addItem("voxels", None)
        if self._symbol is not None:
            self.unit.addItem(f"{self._symbol}³" if name in VOLUMES else self._symbol, self._symbol)
        self.unit.setCurrentIndex(min(unit, self.unit.count() - 1))
        self._fit_decimals()
        self.size.setValue(value)
        for blocker in blockers:
            blocker.unblock()
        self._rows["size"][0].setText("Smaller than" if name in VOLUMES else "Radius")
        self.size.setAccessibleName(f"{STEPS[name][0]}: size")
        self.kind.setToolTip(STEPS[name][1])
        self.every.setVisible(name == "holes")
        self.to.setItemText(0, "the first ticked" if name == "merge" else "what touches it most")
        shown = {
            "size": name in SIZES,
            "axis": name == "through",
            "classes": name not in ("majority", "median", "renumber"),
            "to": name in ("islands", "largest", "through", "merge"),
            "neighbours": name in PIECES,
            "height": name == GRAINS,
        }
        for part, on in shown.items():
            for widget in self._rows[part]:
                widget.setVisible(on)
        self._on_change()

    def _fit_decimals(self) -> None:
        whole = self.unit.currentData() is None and self.name in VOLUMES
        self.size.setDecimals(0 if whole else 2)
        self.size.setMinimum(1 if whole else 0.01)

    def _on_class(self, id: int, on: bool) -> None:
        (self._chosen.add if on else self._chosen.discard)(id)
        self._on_change()

    def _on_change(self, *_: object) -> None:
        blocker = QSignalBlocker(self.size)
        self._fit_decimals()
        blocker.unblock()
        self.size.setEnabled(not (self.name == "holes" and self.every.isChecked()))
        self.unit.setEnabled(self.size.isEnabled())
        names = [c.name for c in self._classes if c.id in self._chosen]
        none = "choose" if self.name in (*NEED_CLASS, GRAINS) else "all"
        self.classes.setText(", ".join(names) or none)
        self.changed.emit()


def _combo(name: str) -> QComboBox:
    made = QComboBox()
    made.setAccessibleName(name)
    made.setToolTip(name)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(6)
    return made
