"""Masks as people have them, and files that are no masks at all."""

import numpy as np
import pytest
import tifffile

from lithoscope.errors import InputError, LithoscopeError
from lithoscope.labels.imports import import_labels
from lithoscope.labels.results import open_result, results
from lithoscope.volume.convert import import_scan


def test_the_sandstone_mask_is_refused_without_a_map_and_taken_with_one(shared_data, tmp_path):
    folder = shared_data / "labelled" / "sandstone"
    scan = import_scan(folder / "images0000.tif", tmp_path / "sandstone.zarr")
    with pytest.raises(InputError) as refused:
        import_labels(scan, folder / "masks0000.tif", "truth", kind="truth")
    assert str(refused.value) == "masks0000.tif holds 0 and 255; say which class each is: --map 0=1 255=2"
    import_labels(scan, folder / "masks0000.tif", "truth", kind="truth", value_map={0: 1, 255: 2})
    mask = tifffile.imread(folder / "masks0000.tif")
    np.testing.assert_array_equal(open_result(scan, "truth").array[0], np.where(mask == 255, 2, 1))


def test_no_malformed_tiff_becomes_labels(shared_data, tmp_path):
    np.save(tmp_path / "rock.npy", np.arange(1600, dtype=np.uint16).reshape(4, 20, 20))
    scan = import_scan(tmp_path / "rock.npy", tmp_path / "rock.zarr")
    files = sorted(p for p in (shared_data / "tiff_zoo" / "malformed").rglob("*") if p.is_file())
    assert files
    for path in files:
        with pytest.raises(LithoscopeError) as refused:
            import_labels(scan, path, "bad")
        assert "\n" not in str(refused.value)
    assert results(scan) == []
    assert not list(tmp_path.rglob("*.partial"))
