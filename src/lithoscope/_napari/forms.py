"""Forms made from the fields of a method: one row a parameter, basic ones in sight, advanced ones folded away."""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, get_args, get_origin

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QLabel, QLineEdit, QSpinBox, QToolButton, QVBoxLayout, QWidget

from lithoscope._napari.backbone_chooser import BackboneChooser
from lithoscope.errors import InputError
from lithoscope.parameters import Parameter, parsed

AUTO = "auto"
HUGE = 2**31 - 1
TINY = 1e-3
"""Numbers that are smaller by default are typed: 1e-07 is not what arrows are for."""


class ParameterForm(QWidget):
    """Edits the parameters of one method at a time."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parameters: dict[str, Parameter] = {}
        self._fields: dict[str, QWidget] = {}
        self._labels: dict[str, QLabel] = {}
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(2)
        self._advanced_button = QToolButton()
        self._advanced_button.setText("Advanced settings")
        self._advanced_button.setAccessibleName("Show or hide the advanced settings")
        self._advanced_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._advanced_button.setArrowType(Qt.ArrowType.RightArrow)
        self._advanced_button.setCheckable(True)
        self._advanced_button.setAutoRaise(True)
        self._advanced_button.toggled.connect(self._fold)
        self._basic = QWidget()
        self._advanced = QWidget()
        for part in (self._basic, self._advanced_button, self._advanced):
            self._rows.addWidget(part)
        self.show_parameters(())

    def show_parameters(self, parameters: Sequence[Parameter], values: Mapping[str, Any] | None = None) -> None:
        """Show these parameters, at `values` or else at their defaults."""
        self._parameters = {p.name: p for p in parameters}
        self._fields, self._labels = {}, {}
        self._basic = self._replaced(self._basic, [p for p in self._parameters.values() if p.level == "basic"])
        advanced = [p for p in self._parameters.values() if p.level == "advanced"]
        self._advanced = self._replaced(self._advanced, advanced)
        self._advanced_button.setVisible(bool(advanced))
        self._advanced.setVisible(bool(advanced) and self._advanced_button.isChecked())
        if values:
            self.set_values(values)
        self._follow_conditions()

    def field(self, name: str) -> QWidget:
        """The widget that edits this parameter."""
        return self._fields[name]

    def values(self) -> dict[str, Any]:
        """What the form says, checked; raises `InputError` with one line for the person."""
        return {name: parsed(self._parameters[name], _read(widget)) for name, widget in self._fields.items() if self._applies(name)}

    def error(self) -> str:
        """What is wrong with what was typed, or nothing."""
        try:
            self.values()
        except InputError as error:
            return str(error)
        return ""

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show these values without saying that something changed."""
        for name, value in values.items():
            if name in self._fields:
                blocker = QSignalBlocker(self._fields[name])
                _write(self._fields[name], value)
                blocker.unblock()
        self._follow_conditions()

    def _replaced(self, old: QWidget, parameters: Sequence[Parameter]) -> QWidget:
        new = QWidget()
        layout = QFormLayout(new)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(4)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        for p in parameters:
            widget, signal = _field(p)
            widget.setAccessibleName(p.label)
            widget.setAccessibleDescription(p.help)
            label = QLabel(p.label)
            label.setBuddy(widget)
            for part in (widget, label):
                part.setToolTip(_tip(p))
            signal.connect(self._on_change)
            self._fields[p.name], self._labels[p.name] = widget, label
            layout.addRow(label, widget)
        self._rows.replaceWidget(old, new)
        old.setParent(None)
        old.deleteLater()
        return new

    def _on_change(self, *_: Any) -> None:
        self._follow_conditions()
        self.changed.emit()

    def _fold(self, shown: bool) -> None:
        self._advanced_button.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self._advanced.setVisible(shown)

    def _follow_conditions(self) -> None:
        for name, widget in self._fields.items():
            shown = self._applies(name)
            widget.setVisible(shown)
            self._labels[name].setVisible(shown)

    def _applies(self, name: str) -> bool:
        condition = self._parameters[name].shown_if
        if condition is None:
            return True
        other, wanted = condition
        if other not in self._fields:
            return True
        value = _read(self._fields[other])
        return bool(self._applies(other) and (value in wanted if isinstance(wanted, (tuple, list)) else value == wanted))


def _tip(p: Parameter) -> str:
    limits = ""
    if p.minimum is not None and p.maximum is not None:
        limits = f" ({p.minimum:g} to {p.maximum:g})"
    elif p.minimum is not None:
        limits = f" (at least {p.minimum:g})"
    return f"{p.help}{limits}"


def _plain(hint: Any) -> tuple[Any, bool]:
    """A type without its None, and whether it had one."""
    arguments = get_args(hint)
    if NoneType in arguments and get_origin(hint) is not tuple:
        return next(a for a in arguments if a is not NoneType), True
    return hint, False


def _field(p: Parameter) -> tuple[QWidget, Any]:
    """The widget for a parameter, at its default, and the signal of its change."""
    if p.name == "backbone":
        chooser = BackboneChooser()
        _write(chooser, p.default)
        return chooser, chooser.changed
    kind, optional = _plain(p.type)
    if p.choices:
        combo = QComboBox()
        for choice in p.choices:
            combo.addItem(AUTO if choice is None else str(choice), choice)
        _write(combo, p.default)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        return combo, combo.currentIndexChanged
    if kind is bool and not optional:
        box = QCheckBox()
        _write(box, p.default)
        return box, box.toggled
    if kind is int:
        low = int(p.minimum) if p.minimum is not None else -HUGE
        spin = QSpinBox()
        spin.setRange(max(low - (1 if optional else 0), -HUGE), int(p.maximum) if p.maximum is not None else HUGE)
        spin.setSingleStep(int(p.step or 1))
        return _number(spin, p, optional)
    tiny = isinstance(p.default, float) and 0 < abs(p.default) < TINY
    if kind is float and not tiny:
        step = p.step or 0.1
        low_f = p.minimum if p.minimum is not None else -1e12
        double = QDoubleSpinBox()
        double.setDecimals(max(2, len(f"{step:.10f}".rstrip("0").partition(".")[2])))
        double.setRange(low_f - (step if optional else 0), p.maximum if p.maximum is not None else 1e12)
        double.setSingleStep(step)
        return _number(double, p, optional)
    line = QLineEdit()
    _write(line, p.default)
    line.setPlaceholderText(AUTO if optional or p.default in ((), None, "") else "")
    return line, line.editingFinished


def _number(spin: "QSpinBox | QDoubleSpinBox", p: Parameter, optional: bool) -> tuple[QWidget, Any]:
    if optional:
        spin.setSpecialValueText(AUTO)
    if p.unit:
        spin.setSuffix(f" {p.unit}")
    spin.setKeyboardTracking(False)
    _write(spin, p.default)
    return spin, spin.valueChanged


def _read(widget: QWidget) -> Any:
    if isinstance(widget, BackboneChooser):
        return widget.value()
    if isinstance(widget, QComboBox):
        return widget.currentData()
    if isinstance(widget, QCheckBox):
        return widget.isChecked()
    if isinstance(widget, (QSpinBox, QDoubleSpinBox)):
        return None if widget.specialValueText() and widget.value() == widget.minimum() else widget.value()
    assert isinstance(widget, QLineEdit)
    return widget.text().strip()


def _write(widget: QWidget, value: Any) -> None:
    if isinstance(widget, BackboneChooser):
        widget.set_value(str(value))
    elif isinstance(widget, QComboBox):
        found = [i for i in range(widget.count()) if widget.itemData(i) == value]
        widget.setCurrentIndex(found[0] if found else 0)
    elif isinstance(widget, QCheckBox):
        widget.setChecked(bool(value))
    elif isinstance(widget, (QSpinBox, QDoubleSpinBox)):
        widget.setValue(widget.minimum() if value is None else value)
    elif isinstance(widget, QLineEdit):
        values = value if isinstance(value, (tuple, list)) else () if value in (None, "") else (value,)
        widget.setText(", ".join(f"{v:.7g}" if isinstance(v, float) else str(v) for v in values))
