"""What a form must ask before a file can be imported is found without reading the file."""

import numpy as np
import pytest
import tifffile
import zarr

from lithoscope.volume.formats.contents import look_into

h5py = pytest.importorskip("h5py", reason="h5py, of the extra formats, is not installed")


@pytest.fixture
def nexus(tmp_path):
    with h5py.File(tmp_path / "scan.nxs", "w") as file:
        file["raw/frames"] = np.zeros((5, 7, 6), np.uint16)
        file["entry/recon/data"] = np.zeros((8, 9, 10), np.float32)
        file["entry/flat"] = np.zeros((7, 6), np.uint16)
        file["entry/time series"] = np.zeros((3, 2, 4, 5, 6), np.uint8)
        file["entry/angles"] = np.zeros(5)
    return tmp_path / "scan.nxs"


def test_the_datasets_of_a_file_are_listed_with_shape_and_type(nexus):
    found = look_into(nexus, {})
    assert dict(found.choices["dataset"])["entry/recon/data"] == "entry/recon/data: 8 × 9 × 10 float32"
    assert next(iter(found.choices["dataset"])) == "entry/recon/data"
    assert "entry/angles" not in found.choices["dataset"]
    assert found.shape is None
    assert found.problem == "choose a dataset"
    chosen = look_into(nexus, {"dataset": "entry/recon/data"})
    assert (chosen.shape, str(chosen.dtype), chosen.taken, chosen.problem) == ((8, 9, 10), "float32", "entry/recon/data", "")
    assert chosen.bytes == 8 * 9 * 10 * 4
    assert len(chosen.choices["dataset"]) == 4
    assert look_into(nexus / "entry/recon/data", {}).shape == (8, 9, 10)
    assert "there is no dataset 'entry/nothing'" in look_into(nexus, {"dataset": "entry/nothing"}).problem


def test_channels_and_times_are_asked_for_and_stay_to_be_chosen(nexus):
    found = look_into(nexus, {"dataset": "entry/time series"})
    assert list(found.choices["time"]) == ["0", "1", "2"]
    assert list(found.choices["channel"]) == ["0", "1"]
    assert found.problem == "choose a time point and a channel"
    assert look_into(nexus, {"dataset": "entry/time series", "time": 2}).problem == "choose a channel"
    chosen = look_into(nexus, {"dataset": "entry/time series", "channel": 1, "time": 2})
    assert chosen.shape == (4, 5, 6)
    assert {"time", "channel"} < set(chosen.choices)


def test_a_nexus_default_is_taken_and_the_others_offered(nexus):
    with h5py.File(nexus, "a") as file:
        file.attrs["default"] = "entry/recon"
        file["entry/recon"].attrs["signal"] = "data"
    found = look_into(nexus, {})
    assert (found.taken, found.shape) == ("entry/recon/data", (8, 9, 10))
    assert len(found.choices["dataset"]) == 4


def test_the_name_of_a_raw_file_proposes_and_its_size_is_checked(tmp_path):
    named, other = tmp_path / "x_6x5x4_2.25um_uint16.raw", tmp_path / "volume.raw"
    for file in (named, other):
        file.write_bytes(bytes(4 * 5 * 6 * 2))
    found = look_into(named, {})
    assert (found.shape, str(found.dtype), found.voxel.size) == ((4, 5, 6), "uint16", (2.25,) * 3)
    found = look_into(other, {})
    assert found.raw is not None
    assert "must be given" in found.problem
    assert look_into(other, {"shape": (4, 5, 6), "dtype": "uint16"}).problem == ""
    assert "is cut short" in look_into(other, {"shape": (8, 5, 6), "dtype": "uint16"}).problem


def test_arrays_in_zarr_and_colours_of_pictures_are_offered(tmp_path):
    group = zarr.open_group(str(tmp_path / "g.zarr"), mode="w")
    for name in ("a", "inner/b"):
        group.create_array(name, shape=(3, 4, 5), dtype="u1")
    found = look_into(tmp_path / "g.zarr", {})
    assert set(found.choices["dataset"]) == {"a", "inner/b"}
    assert look_into(tmp_path / "g.zarr", {"dataset": "inner/b"}).shape == (3, 4, 5)
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((20, 30, 3), np.uint8), photometric="rgb")
    found = look_into(tmp_path / "rgb.tif", {})
    assert list(found.choices["channel"]) == ["0", "1", "2"]
    assert look_into(tmp_path / "rgb.tif", {"channel": 2}).shape == (1, 20, 30)


@pytest.mark.parametrize("name", ["nothing.tif", "text.txt", "broken.h5", "empty.tif"])
def test_what_cannot_be_read_is_a_problem_in_one_line(tmp_path, name):
    (tmp_path / "text.txt").write_text("words")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    (tmp_path / "empty.tif").write_bytes(b"")
    found = look_into(tmp_path / name, {})
    assert found.shape is None
    assert found.problem
    assert "\n" not in found.problem
