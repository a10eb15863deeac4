"""Forms are made from the fields of a method."""

from dataclasses import dataclass
from typing import Literal

import pytest
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSpinBox

from lithoscope._napari.forms import ParameterForm
from lithoscope.errors import InputError
from lithoscope.parameters import configured, parameter, parameters
from lithoscope.segmenters import REGISTRY


@dataclass
class Example:
    size: int = parameter(3, "How large.", minimum=1, maximum=9, unit="voxels")
    weight: float = parameter(0.5, "How heavy.", minimum=0, step=0.01)
    kind: Literal["a", "b"] = parameter("a", "Which kind.")
    plane: Literal["z", "y"] | None = parameter(None, "Which plane.")
    turned: bool = parameter(False, "Whether turned.")
    bounds: tuple[float, ...] = parameter((), "Some bounds.")
    depth: int | None = parameter(None, "How deep.", minimum=1)
    angle: int = parameter(10, "How far, when turned.", shown_if=("turned", True), level="advanced")


@pytest.fixture
def form(qtbot):
    made = ParameterForm()
    qtbot.addWidget(made)
    made.show_parameters(parameters(Example))
    made.show()
    return made


def test_defaults_come_back_as_they_were(form):
    assert configured(Example, form.values()) == Example()


def test_every_field_has_its_own_kind_of_widget_and_a_name_to_be_read(form):
    kinds = {"size": QSpinBox, "kind": QComboBox, "turned": QCheckBox, "bounds": QLineEdit}
    assert all(isinstance(form.field(name), kind) for name, kind in kinds.items())
    assert form.field("size").accessibleName() == "Size"
    assert "1 to 9" in form.field("size").toolTip()
    assert form.field("size").suffix() == " voxels"


def test_values_are_shown_and_read_back(form):
    wished = {"size": 7, "weight": 0.25, "kind": "b", "plane": "y", "turned": True, "bounds": (1.5, 80.0), "depth": 4, "angle": 3}
    with_signal = []
    form.changed.connect(lambda: with_signal.append(1))
    form.set_values(wished)
    assert form.values() == wished
    assert not with_signal


def test_left_open_is_auto(form):
    assert form.values()["depth"] is None
    assert form.values()["plane"] is None
    assert form.field("depth").text() == "auto"


def test_a_condition_hides_a_field_and_its_value(form, qtbot):
    assert "angle" not in form.values()
    with qtbot.waitSignal(form.changed):
        form.field("turned").setChecked(True)
    assert form.values()["angle"] == 10


def test_what_cannot_be_understood_is_told_in_one_line(form):
    form.field("bounds").setText("80, many")
    assert "bounds" in form.error()
    with pytest.raises(InputError):
        form.values()


@pytest.mark.parametrize("method", sorted(REGISTRY) or ["otsu"])
def test_every_method_has_a_form_that_gives_its_defaults(method, qtbot):
    form = ParameterForm()
    qtbot.addWidget(form)
    kind = REGISTRY[method]
    form.show_parameters(parameters(kind))
    assert configured(kind, form.values()) == kind()


def test_at_most_six_fields_of_a_method_are_basic():
    for kind in REGISTRY.values():
        assert sum(p.level == "basic" for p in parameters(kind)) <= 6
