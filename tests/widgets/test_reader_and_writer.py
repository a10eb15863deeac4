"""Files are shown lazily and labels saved slab by slab; what is not ours is left alone."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from lithoscope._napari import reader
from lithoscope._napari.reader import get_reader
from lithoscope._napari.writers import write_labels


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 200, (5, 24, 32), np.uint8)


def test_a_scan_is_read_as_a_lazy_image_with_its_window_and_scale(scan_path):
    data, keywords, kind = get_reader(str(scan_path))(str(scan_path))[0]
    assert kind == "image"
    assert data.shape == (24, 40, 48)
    assert keywords["contrast_limits"][0] < keywords["contrast_limits"][1]
    assert keywords["metadata"]["lithoscope"]["path"] == str(scan_path)


def test_a_folder_of_slices_is_read_plane_by_plane(tmp_path, stack):
    for z, plane in enumerate(stack):
        tifffile.imwrite(tmp_path / f"s{z + 8}.tif", plane)
    data, keywords, _ = get_reader(str(tmp_path))(str(tmp_path))[0]
    for key in (2, slice(1, 4), (slice(None), 3), (slice(None), slice(None), 5), (slice(0, 5, 2), slice(3, 9), 1)):
        np.testing.assert_array_equal(np.asarray(data[key]), stack[key])
    assert keywords["name"] == tmp_path.name


def test_a_large_stack_is_ours_and_a_small_one_is_not(tmp_path, stack, monkeypatch):
    tifffile.imwrite(tmp_path / "stack.tif", stack)
    assert get_reader(str(tmp_path / "stack.tif")) is None
    monkeypatch.setattr(reader, "SMALL", 10)
    data, _, _ = get_reader(str(tmp_path / "stack.tif"))(str(tmp_path / "stack.tif"))[0]
    np.testing.assert_array_equal(np.asarray(data), stack)


def test_what_is_not_ours_is_left_to_others(tmp_path, stack, monkeypatch):
    monkeypatch.setattr(reader, "SMALL", 10)
    tifffile.imwrite(tmp_path / "page.tif", stack[0])
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    (tmp_path / "broken.tif").write_bytes(b"II*\0" + b"x" * 99)
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{")
    (tmp_path / "empty").mkdir()
    for name in ("page.tif", "rgb.tif", "broken.tif", "broken.zarr", "empty", "nothing.tif"):
        assert get_reader(str(tmp_path / name)) is None, name
    assert get_reader([str(tmp_path / "page.tif"), str(tmp_path / "rgb.tif")]) is None
    assert get_reader(Path(tmp_path / "page.tif")) is None


@pytest.mark.parametrize("multiscale", [False, True])
def test_labels_are_saved_with_their_voxel_size(tmp_path, stack, multiscale):
    path = str(tmp_path / "mask.tif")
    attributes = {"scale": [2.0, 0.5, 0.5], "units": ("micrometer",) * 3, "multiscale": multiscale}
    assert write_labels(path, [stack, stack[:, ::2, ::2]] if multiscale else stack, attributes) == [path]
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), stack)
        assert file.imagej_metadata["spacing"] == 2.0
        assert file.pages[0].tags["XResolution"].value[0] / file.pages[0].tags["XResolution"].value[1] == pytest.approx(2.0)
    assert [p.name for p in tmp_path.iterdir()] == ["mask.tif"]
