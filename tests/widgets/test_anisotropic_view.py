"""Voxels of 3 × 1 × 1 µm in view: every layer has their scale, and what is looked at is where it should be."""

import numpy as np
import pytest

from lithoscope._napari.scan_dock import ScanDock
from lithoscope.volume.convert import import_scan
from lithoscope.volume.field_of_view import Cylinder
from lithoscope.volume.voxel import Voxel


@pytest.fixture
def opened(session, tmp_path, qtbot):
    values = np.random.default_rng(0).integers(0, 255, (20, 40, 44), np.uint8)
    np.save(tmp_path / "a.npy", values)
    import_scan(tmp_path / "a.npy", tmp_path / "a.zarr", field_of_view=None, voxel=Voxel((3, 1, 1)))
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.open(tmp_path / "a.zarr")
    return session


def test_every_layer_and_the_outline_have_the_scans_scale_and_unit(opened, qtbot):
    dock = ScanDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.field.edit_button.click()
    qtbot.waitUntil(lambda: dock.field.outline.editing, timeout=60_000)
    dock.field.outline.show(Cylinder(20, 22, 10))
    dock.filter.live.setChecked(True)
    qtbot.waitUntil(lambda: opened.layer("preview") is not None, timeout=60_000)
    assert len(opened.viewer.layers) == 4
    for layer in opened.viewer.layers:
        assert tuple(layer.scale) == (3, 1, 1)
        assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert opened.viewer.dims.range[0].step == 3


def test_plane_and_place_are_those_of_the_voxels(opened):
    opened.viewer.dims.set_point(0, 3 * 7)
    assert (opened.plane().axis, opened.plane().index) == (0, 7)
    opened.go_to((11, 5, 6))
    assert opened.plane().index == 11
    assert opened.place_in_view() == (11, 5, 6)
