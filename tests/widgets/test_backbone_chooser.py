"""The chooser of backbones says whose a network is, and takes any folder."""

from lithoscope._napari.backbone_chooser import BackboneChooser, described
from lithoscope._napari.forms import ParameterForm
from lithoscope.parameters import parameters
from lithoscope.segmenters import REGISTRY


def test_the_shipped_one_is_shown_with_licence_and_checksum(qtbot):
    chooser = BackboneChooser()
    qtbot.addWidget(chooser)
    assert chooser.value() == "lithoscope-tiny"
    qtbot.waitUntil(lambda: "SHA-256" in chooser._about.text(), timeout=60_000)
    assert "BSD-3-Clause" in chooser._about.text()


def test_one_that_is_not_here_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("LITHOSCOPE_BACKBONES", str(tmp_path))
    words, _ = described("dinov2-base")
    assert "Apache-2.0" in words
    assert "model.safetensors" in words
    assert str(tmp_path) in words


def test_a_folder_can_be_typed_and_goes_into_the_settings(qtbot, tmp_path):
    form = ParameterForm()
    qtbot.addWidget(form)
    form.show_parameters(parameters(REGISTRY["dino"]))
    field = form.field("backbone")
    with qtbot.waitSignal(form.changed, timeout=60_000):
        field.names.setEditText(str(tmp_path))
        field.names.lineEdit().editingFinished.emit()
    assert form.values()["backbone"] == str(tmp_path)
    form.set_values({"backbone": "dinov2-small"})
    assert form.values()["backbone"] == "dinov2-small"
