"""Shared files of every kind come in right through the dock's import form."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lithoscope._napari.scan_dock import ScanDock

sys.path.insert(0, str(Path(__file__).parents[1] / "real"))
from independent import values_of, voxel_of

NAMES = [
    "volumes/soil_500x500_slices",
    "volumes/core_dicom",
    "volumes/sand_200x200x100_uint8.raw",
    "volumes/polymer_slice.tif",
    "labelled/body_ct/example_ct_sm.nii.gz",
    "labelled/phantom/phantom_recfbp.tif",
    "geometry/vessels_256cube_LABELS.h5",
    "retrieval/rock_slices",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_dock_imports_it_right(session, shared_data, tmp_path, qtbot, name):
    for suffix, reader in ((".h5", "h5py"), (".gz", "nibabel"), ("_dicom", "pydicom")):
        if name.endswith(suffix):
            pytest.importorskip(reader)
    path, expected = values_of(shared_data, name, tmp_path)
    dock = ScanDock(session.viewer)
    qtbot.addWidget(dock)
    form = dock.start.form
    dock.start.import_button.click()
    form._source.setText(str(path))
    qtbot.waitUntil(lambda: form._contents is not None, timeout=60_000)
    if name == "retrieval/rock_slices":
        form.choices.separate.setChecked(True)
    form._target.setText(str(tmp_path / "scan.zarr"))
    words = " × ".join(str(n) for n in expected.shape) + f" {expected.dtype}"
    qtbot.waitUntil(lambda: words in form._size.text(), timeout=60_000)
    size, unit = voxel_of(name)
    assert ("stays unknown" in form._size.text()) == (size is None)
    form._go.click()
    qtbot.waitUntil(lambda: session.scan is not None, timeout=60_000)
    scan, layer = session.scan, session.layer("image")
    found = np.asarray(scan.levels[0][:])
    assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
    assert scan.voxel == (None if size is None else type(scan.voxel)(size, unit))
    assert tuple(layer.scale) == pytest.approx(size or (1, 1, 1))
    shown = layer.data[0] if layer.multiscale else layer.data
    assert np.array_equal(np.asarray(shown[expected.shape[0] // 2]), expected[expected.shape[0] // 2])
    assert scan.separate_slices == (name == "retrieval/rock_slices")
