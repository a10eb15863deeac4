"""The real scans come in with the shape, type and voxel size that are known of them; damaged files come in never."""

import shutil

import numpy as np
import pytest
import tifffile

from lithoscope.errors import LithoscopeError, UnreadableError
from lithoscope.volume.convert import import_scan
from lithoscope.volume.field_of_view import Cylinder

VOLUMES = {
    "volumes/soil_500x500_slices": ((40, 500, 500), "uint8"),
    "volumes/sand_200x200x100_uint8.raw": ((100, 200, 200), "uint8"),
    "volumes/grain1_112x112x121_uint8.raw": ((121, 112, 112), "uint8"),
    "volumes/cement_128x128x128.tif": ((128, 128, 128), "uint8"),
    "volumes/bone_128x128x128.tif": ((128, 128, 128), "uint8"),
    "volumes/polymer3d_8bit_128x128x128.raw": ((128, 128, 128), "uint8"),
    "volumes/polymer_slice.tif": ((1, 600, 600), "float32"),
    "labelled/phantom/phantom_recfbp.tif": ((8, 256, 256), "float32"),
    "labelled/battery/raw_1.tif": ((1, 499, 601), "float32"),
    "geometry/electrode.tiff": ((256, 256, 256), "uint8"),
    "zarr_v2/zarr.zr/blosc": ((512, 512, 3), "uint8"),
    "zarr_v2/zarr.zr/gzip": ((512, 512, 3), "uint8"),
    "zarr_v2/zarr.zr/zlib": ((512, 512, 3), "uint8"),
}


def truth(path, shape, dtype):
    """The values as the plainest reader gives them."""
    if path.is_dir() and not (path / ".zarray").exists():
        return np.stack([tifffile.imread(p) for p in sorted(path.glob("*.tif"))])
    if path.suffix == ".raw":
        return np.fromfile(path, dtype, count=int(np.prod(shape))).reshape(shape)
    if path.suffix in (".tif", ".tiff"):
        return tifffile.imread(path).reshape(shape)
    return None


@pytest.mark.parametrize("name", VOLUMES)
def test_a_real_volume_is_imported_exactly(shared_data, tmp_path, name):
    shape, dtype = VOLUMES[name]
    scan = import_scan(shared_data / name, tmp_path / "scan.zarr")
    assert (scan.shape, str(scan.dtype), scan.voxel) == (shape, dtype, None)
    expected = truth(shared_data / name, shape, dtype)
    if expected is not None:
        assert np.array_equal(scan.levels[0][:], expected)
        assert (scan.histogram.minimum, scan.histogram.maximum) == (expected.min(), expected.max()) or scan.field_of_view is not None
    assert scan.info()["shape"] == list(shape)


def test_all_three_zarr_arrays_hold_the_same(shared_data, tmp_path):
    hashes = {
        import_scan(shared_data / f"zarr_v2/zarr.zr/{kind}", tmp_path / f"{kind}.zarr").content_hash for kind in ("blosc", "gzip", "zlib")
    }
    assert len(hashes) == 1


def test_soil_has_no_field_of_view_and_38_levels(shared_data, tmp_path):
    scan = import_scan(shared_data / "volumes/soil_500x500_slices", tmp_path / "soil.zarr")
    assert scan.field_of_view is None
    assert (scan.histogram.counts > 0).sum() == 38
    assert scan.dimensions()[0] == 3


def test_the_phantom_is_seen_to_lie_in_a_cylinder(shared_data, tmp_path):
    scan = import_scan(shared_data / "labelled/phantom/phantom_recfbp.tif", tmp_path / "phantom.zarr")
    assert isinstance(scan.field_of_view, Cylinder)
    assert scan.field_of_view.cy == pytest.approx(127.5, abs=1)


def test_slices_of_two_series_are_refused(shared_data, tmp_path):
    with pytest.raises(LithoscopeError, match="--pattern"):
        import_scan(shared_data / "labelled/sandstone", tmp_path / "sandstone.zarr")
    scan = import_scan(shared_data / "labelled/sandstone", tmp_path / "sandstone.zarr", pattern="images*")
    assert scan.shape == (2, 1000, 1000)


def test_one_slice_less_is_named(shared_data, tmp_path):
    soil = tmp_path / "soil"
    shutil.copytree(shared_data / "volumes/soil_500x500_slices", soil)
    gone = sorted(soil.iterdir())[17]
    gone.unlink()
    with pytest.raises(LithoscopeError, match="slice 17 is missing"):
        import_scan(soil, tmp_path / "soil.zarr")


REFUSED = ("rgb", "cmyk", "palette", "logluv", "extra_bits", "2c", "3c", "jpg", "jpeg", "bigtiff", "ycbcr")


def test_every_valid_tiff_is_read_or_refused_with_the_reason(shared_data, tmp_path):
    for number, file in enumerate(sorted((shared_data / "tiff_zoo/valid").rglob("*.tif*"))):
        target = tmp_path / f"{number}.zarr"
        name = str(file.relative_to(shared_data / "tiff_zoo/valid")).lower()
        if any(word in name for word in REFUSED) and "palette-1c-1b" not in name:  # whose palette is black and white
            with pytest.raises(UnreadableError, match=r"convert it to grey first|choose one: --channel"):
                import_scan(file, target)
            assert not target.exists()
        else:
            scan = import_scan(file, target)
            expected = tifffile.imread(file)
            assert np.array_equal(scan.levels[0][:].reshape(expected.shape), expected), file.name
            shutil.rmtree(target)


def test_no_malformed_tiff_becomes_a_scan(shared_data, tmp_path):
    files = sorted((shared_data / "tiff_zoo/malformed").iterdir())
    assert len(files) == 63
    for file in files:
        with pytest.raises(UnreadableError) as caught:
            import_scan(file, tmp_path / "scan.zarr")
        assert "\n" not in str(caught.value)
        assert str(file) in str(caught.value)
    assert list(tmp_path.iterdir()) == []
