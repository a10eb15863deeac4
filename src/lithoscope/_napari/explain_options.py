"""The options of what is shown: a kind, and only the settings that it has."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from lithoscope._napari.explain_wish import KINDS, NETWORK, Wish
from lithoscope._napari.look import column, row, text

ROW = 24


class ExplainOptions(QWidget):
    """Edits a wish."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = _combo("What is shown", "What is laid over the plane in view")
        self.kind.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for name, title in KINDS:
            self.kind.addItem(title, name)
        self.backbone = _combo("Backbone", "The network that is asked")
        self.basis = _combo("Colours", "The backbone's colours are the same in every scan; those of this scan have more contrast")
        self.basis.addItem("the same for every scan", "backbone")
        self.basis.addItem("fitted to this scan", "scan")
        self.tuned = _combo("Fine-tuned copy", "A fine-tuned copy of the backbone, drawn beside the scan in the same colours")
        self.cut = QCheckBox("by the first component")
        self.cut.setToolTip("Tell foreground from background by the first component")
        self.side = _combo("Above or below", "Which side of the threshold is shown")
        self.side.setMinimumContentsLength(5)
        self.side.addItem("above", False)
        self.side.addItem("below", True)
        self.level = QDoubleSpinBox()
        self.level.setRange(-9, 9)
        self.level.setSingleStep(0.1)
        self.level.setSuffix(" σ")
        self.level.setAccessibleName("Threshold on the first component, in standard deviations")
        self.block = QSpinBox()
        self.block.setRange(1, 12)
        self.block.setValue(12)
        self.block.setAccessibleName("Block of the network")
        self.head = _combo("Head", "One head of the block, or the mean of all")
        self.source = _combo("From", "Whose attention is shown")
        self.source.addItem("the place under the cursor", True)
        self.source.addItem("the class token", False)
        self.window = QSpinBox()
        self.window.setRange(0, 1036)
        self.window.setSingleStep(14)
        self.window.setSpecialValueText("what it is used to")
        self.window.setSuffix(" pixels")
        self.window.setAccessibleName("Side of the window that the network sees at once")
        self.mass = QSpinBox()
        self.mass.setRange(0, 99)
        self.mass.setValue(50)
        self.mass.setSuffix(" % of it")
        self.mass.setSpecialValueText("nothing")
        self.mass.setAccessibleName("Outline the fewest patches that hold this part")
        self.whole = QCheckBox("the whole plane, averaged")
        self.whole.setToolTip("Overlapping windows, one after the other; the network never looks at the plane as a whole")
        self.result = _combo("Result", "The result whose certainty is shown")
        self.results = QListWidget()
        self.results.setAccessibleName("Results to compare")
        self.results.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._blocks: dict[str, tuple[int, int]] = {}
        self._rows: dict[str, QWidget] = {}
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(4)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        cut = QWidget()
        cut.setLayout(column(self.cut, row(self.side, self.level, 1), spacing=3))
        for key, label, widget in (
            ("backbone", "Backbone", self.backbone), ("basis", "Colours", self.basis), ("tuned", "Beside it", self.tuned),
            ("cut", "Foreground", cut),
            ("block", "Block", self.block), ("head", "Head", self.head), ("source", "From", self.source),
            ("window", "Window", self.window), ("mass", "Outline", self.mass), ("whole", "", self.whole),
            ("result", "Result", self.result), ("results", "Results", self.results),
        ):  # fmt: skip
            self._rows[key] = widget
            self._form.addRow(text(label, muted=True, wrap=False), widget)
        self.setLayout(column(row(text("Show", bold=True, wrap=False), self.kind, spacing=8), self._form, spacing=6))
        for box in (self.kind, self.backbone, self.basis, self.tuned, self.side, self.head, self.source, self.result):
            box.currentIndexChanged.connect(self._on_change)
        for spin in (self.level, self.block, self.window, self.mass):
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(self._on_change)
        for check in (self.cut, self.whole):
            check.toggled.connect(self._on_change)
        self.results.itemChanged.connect(self._on_change)
        self._fit()

    def show_backbones(self, found: Sequence[tuple[str, str, int, int]]) -> None:
        """List backbones that are here: name, what is said of it, how many blocks and heads."""
        blocker, chosen = QSignalBlocker(self.backbone), self.backbone.currentData()
        self.backbone.clear()
        for name, tip, depth, heads in found:
            self.backbone.addItem(name, name)
            self.backbone.setItemData(self.backbone.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
            self._blocks[name] = (depth, heads)
        self.backbone.setCurrentIndex(max(self.backbone.findData(chosen), 0))
        blocker.unblock()
        self._fit()

    def show_tuned(self, found: Sequence[tuple[str, str]]) -> None:
        """List fine-tuned copies of backbones: names and folders."""
        blocker, chosen = QSignalBlocker(self.tuned), self.tuned.currentData()
        self.tuned.clear()
        self.tuned.addItem("nothing", "")
        for name, folder in found:
            self.tuned.addItem(f"fine-tuned by {name}", folder)
        self.tuned.setCurrentIndex(max(self.tuned.findData(chosen), 0))
        blocker.unblock()
        self._fit()

    def show_shape(self, name: str, depth: int, heads: int) -> None:
        """Take up how many blocks and heads a backbone has, once it has been opened."""
        if self._blocks.get(name) != (depth, heads):
            self._blocks[name] = (depth, heads)
            self._fit()

    def show_results(self, names: Sequence[str]) -> None:
        """List the scan's results."""
        blockers = [QSignalBlocker(self.result), QSignalBlocker(self.results)]
        chosen, ticked = self.result.currentData(), self._ticked() or tuple(names)
        self.result.clear()
        self.results.clear()
        for name in names:
            self.result.addItem(name, name)
            item = QListWidgetItem(name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if name in ticked else Qt.CheckState.Unchecked)
            self.results.addItem(item)
        self.result.setCurrentIndex(max(self.result.findData(chosen), 0))
        self.results.setFixedHeight(max(1, min(len(names), 5)) * ROW + 6)
        for blocker in blockers:
            blocker.unblock()

    def choose_nothing(self) -> None:
        """Show nothing that follows the plane in view, without saying that this has changed."""
        blocker = QSignalBlocker(self.kind)
        self.kind.setCurrentIndex(0)
        blocker.unblock()
        self._fit()

    def wish(self) -> Wish:
        """What the options say."""
        kind = self.kind.currentData()
        results = self._ticked() if kind == "disagreement" else tuple([self.result.currentData()] if self.result.count() else [])
        return Wish(
            kind=kind,
            backbone=self.backbone.currentData() or "",
            basis=self.basis.currentData(),
            tuned=self.tuned.currentData() or "" if kind == "pca" else "",
            foreground=self.level.value() if self.cut.isChecked() else None,
            below=bool(self.side.currentData()),
            block=self.block.value(),
            head=self.head.currentData(),
            follow=bool(self.source.currentData()) and not self.whole.isChecked(),
            whole=self.whole.isChecked(),
            mass=self.mass.value() / 100,
            window=self.window.value() or None,
            results=results if kind in ("certainty", "disagreement") else (),
        )

    def _ticked(self) -> tuple[str, ...]:
        items = [self.results.item(n) for n in range(self.results.count())]
        return tuple(i.text() for i in items if i is not None and i.checkState() == Qt.CheckState.Checked)

    def _on_change(self, *_: Any) -> None:
        self._fit()
        self.changed.emit()

    def _fit(self) -> None:
        """Show the settings of the kind, and the blocks and heads of the backbone."""
        kind = self.kind.currentData()
        looks = kind in ("attention", "rollout")
        shown = {
            "backbone": kind in NETWORK and self.backbone.count() > 0, "basis": kind == "pca", "cut": kind == "pca",
            "tuned": kind == "pca" and self.tuned.count() > 1,
            "block": kind == "attention", "head": kind == "attention", "source": looks and not self.whole.isChecked(), "window": looks,
            "mass": looks, "whole": looks, "result": kind == "certainty", "results": kind == "disagreement",
        }  # fmt: skip
        for key, on in shown.items():
            self._form.setRowVisible(self._rows[key], on)
        self.side.setEnabled(self.cut.isChecked())
        self.level.setEnabled(self.cut.isChecked())
        depth, heads = self._blocks.get(self.backbone.currentData() or "", (12, 1))
        blockers = [QSignalBlocker(self.block), QSignalBlocker(self.head)]
        if self.block.maximum() != depth or self.head.count() != heads + 1:
            last = self.block.value() == self.block.maximum()
            self.block.setMaximum(depth)
            self.block.setValue(depth if last else min(self.block.value(), depth))
            self.block.setSuffix(f" of {depth}")
            chosen = self.head.currentData()
            self.head.clear()
            self.head.addItem(f"mean of all {heads}", None)
            for n in range(1, heads + 1):
                self.head.addItem(str(n), n)
            self.head.setCurrentIndex(max(self.head.findData(chosen), 0) if chosen else 0)
        for blocker in blockers:
            blocker.unblock()


def _combo(name: str, tip: str) -> QComboBox:
    made = QComboBox()
    made.setAccessibleName(name)
    made.setToolTip(tip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(10)
    return made
