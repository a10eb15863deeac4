"""Numbered grains in a layer."""

import numpy as np

from lithoscope._napari.layers import result_layer
from lithoscope.classes import ClassTable
from lithoscope.labels.results import create, open_result
from lithoscope.record import RunRecord
from lithoscope.volume.convert import import_scan


def test_each_grain_has_a_colour_that_is_seen(tmp_path):
    np.save(tmp_path / "pack.npy", np.zeros((4, 6, 8), np.uint8))
    scan = import_scan(tmp_path / "pack.npy", tmp_path / "pack.zarr", field_of_view=None)
    with create(scan, "grains", RunRecord("separate", "separate", {}, {}), ClassTable(), dtype=np.uint32) as writer:
        writer.write(scan.box, np.arange(70_000, 70_192, dtype=np.uint32).reshape(scan.shape))
        writer.finish(writer.record)
    layer = result_layer(scan, open_result(scan, "grains"), "grains", None)
    assert np.asarray(layer.data[3, 5, 7]) == 70_191
    assert layer.get_color(70_001)[3] == 1
