"""The voxel size of a layer that becomes a scan: kept with its unit, and where there is none, the unit is asked for."""

import numpy as np
import pytest

from lithoscope._napari.import_form import ImportForm
from lithoscope.volume.voxel import Voxel


@pytest.fixture
def form(session, qtbot, tmp_path):
    made = ImportForm(session)
    qtbot.addWidget(made)

    def of(**layer):
        session.viewer.add_image(np.zeros((4, 8, 8), np.uint8), **layer)
        made.offer()
        made._target.setText(str(tmp_path / "made.zarr"))
        return made

    return of


def test_a_scale_without_a_unit_asks_for_it_and_is_kept(form):
    asking = form(scale=(3, 2, 2))
    assert asking.voxel.size.text() == "3 2 2"
    assert not asking._go.isEnabled()
    assert "choose the unit" in asking._size.text()
    asking.voxel.unit.setCurrentText("nm")
    assert asking._go.isEnabled()
    assert (asking.wish().voxel_size, asking.wish().unit) == ((3, 2, 2), "nanometer")


def test_a_scale_that_is_no_voxel_size_is_cleared(form):
    asking = form(scale=(3, 2, 2))
    asking.voxel.size.clear()
    assert asking._go.isEnabled()
    assert asking.wish().voxel_size is None


def test_a_layer_with_unit_or_without_scale_asks_nothing(form):
    asking = form(scale=(2, 2, 2), units=("mm",) * 3)
    assert asking._go.isEnabled()
    assert Voxel(asking.wish().voxel_size, asking.wish().unit) == Voxel((2, 2, 2), "mm")
    plain = form()
    plain._what.setCurrentIndex(plain._what.findText("Image [1]"))
    assert plain.voxel.size.text() == ""


def test_a_file_can_be_given_a_voxel_size(session, qtbot, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 8, 8), np.uint8))
    made = ImportForm(session)
    qtbot.addWidget(made)
    made.offer()
    made._source.setText(str(tmp_path / "a.npy"))
    made.voxel.size.setText("2.5")
    assert not made._go.isEnabled()
    made.voxel.unit.setCurrentText("µm")
    qtbot.waitUntil(made._go.isEnabled, timeout=60_000)  # the file is looked into in a thread
    assert made.wish().voxel_size == (2.5, 2.5, 2.5)
