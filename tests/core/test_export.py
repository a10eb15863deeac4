"""Masks written for other programs, read back by readers that are not ours."""

import errno
import json
import tracemalloc

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image, ImageSequence

from lithoscope.classes import Class, ClassTable
from lithoscope.errors import InputError, MissingError, ResourceError, StorageError, TakenError
from lithoscope.export import export_labels, parse_values, writers
from lithoscope.job import Cancelled
from lithoscope.record import RunRecord
from lithoscope.volume.voxel import Voxel

TABLE = ClassTable.of([Class(1, "pore", "#3b7dd8", 1.0), Class(2, "clay", "#e69f00"), Class(3, "grain", "#2ca25f")])
VOXEL = Voxel((2.5, 1.25, 1.25), "um")


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 4, (9, 31, 23)).astype(np.uint8)


@pytest.fixture
def write(labels, tmp_path):
    def written(name, array=labels, **options):
        record = RunRecord(kind="export", method="export", parameters={}, source={"result": "otsu"})
        return export_labels(array, TABLE, tmp_path / name, record, voxel=VOXEL, **options)

    return written


@pytest.mark.parametrize("compression", writers.COMPRESSIONS)
@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_holds_the_labels_page_by_page(labels, write, tmp_path, monkeypatch, compression, big):
    if big:
        monkeypatch.setattr(writers, "CLASSIC_TIFF", 0)
    write("mask.tif", compression=compression)
    with tifffile.TiffFile(tmp_path / "mask.tif") as file:
        assert file.is_bigtiff == big
        assert len(file.pages) == 9
        assert file.pages[0].compression == {"none": 1, "lzw": 5}.get(compression, 8)
        np.testing.assert_array_equal(file.asarray(), labels)
    if not big:
        pages = [np.array(page) for page in ImageSequence.Iterator(Image.open(tmp_path / "mask.tif"))]
        np.testing.assert_array_equal(pages, labels)


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_tells_imagej_its_axes_and_voxel_size(write, tmp_path, monkeypatch, big):
    if big:
        monkeypatch.setattr(writers, "CLASSIC_TIFF", 0)
    write("mask.tif")
    with tifffile.TiffFile(tmp_path / "mask.tif") as file:
        assert file.is_imagej
        described = file.imagej_metadata
        assert (described["images"], described["slices"], described["unit"], described["spacing"]) == (9, 9, "micron", 2.5)
        assert described["max"] == 3
        assert file.series[0].axes == "ZYX"
        over, under = file.pages[0].tags["XResolution"].value
        assert over / under == pytest.approx(1 / 1.25)
        assert file.pages[0].tags["ResolutionUnit"].value == 1


def test_a_single_slice_is_a_tiff_too(write, tmp_path, labels):
    write("mask.tif", labels[:1])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif").squeeze(), labels[0])


def test_values_stand_for_classes(write, tmp_path, labels):
    write("mask.tif", values={1: 0, 2: 128, 3: 255})
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), np.array([0, 0, 128, 255], np.uint8)[labels])


def test_values_beyond_255_make_16_bits(write, tmp_path, labels):
    record = write("mask.tif", values={0: 7, 3: 1000})
    read = tifffile.imread(tmp_path / "mask.tif")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, np.array([7, 1, 2, 1000])[labels])
    assert record.parameters["values"] == {"0": 7, "1": 1, "2": 2, "3": 1000}


@pytest.mark.parametrize(
    ("values", "words"),
    [({7: 1}, "no class 7"), ({1: -1}, "0 to 65535"), ({1: 70000}, "0 to 65535"), ({1: 3}, "number for 3 too")],
)
def test_values_that_make_no_sense_are_refused(write, values, words):
    with pytest.raises(InputError, match=words):
        write("mask.tif", values=values)


def test_values_are_parsed():
    assert parse_values(["1=0", "2=255"]) == parse_values("1=0,2=255") == {1: 0, 2: 255}
    for wrong in (["1"], ["a=1"], ["1=0", "1=2"]):
        with pytest.raises(InputError):
            parse_values(wrong)


@pytest.mark.parametrize("values", [None, {3: 300}])
def test_an_ome_zarr_is_valid_and_holds_the_labels(write, tmp_path, labels, values):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader
    from ome_zarr_models.v05 import ImageLabel

    write("mask.zarr", values=values)
    image = ImageLabel.from_zarr(zarr.open_group(tmp_path / "mask.zarr", mode="r"))
    assert image.ome_attributes.multiscales[0].datasets[0].coordinateTransformations[0].scale == [2.5, 1.25, 1.25]
    (node,) = Reader(parse_url(tmp_path / "mask.zarr"))()
    expected = labels if values is None else np.array([0, 1, 2, 300])[labels]
    np.testing.assert_array_equal(np.asarray(node.data[0]), expected)


def test_every_level_of_an_ome_zarr_picks_labels_of_the_level_before(write, tmp_path):
    labels = np.random.default_rng(0).integers(0, 4, (5, 3, 1300)).astype(np.uint8)
    write("mask.zarr", labels)
    group = zarr.open_group(tmp_path / "mask.zarr", mode="r")
    for level in range(3):
        np.testing.assert_array_equal(group[str(level)][:], labels[..., :: 2**level])


def test_deep_levels_are_right_where_slabs_are_thin(write, tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "slab_depth", lambda shape, dtype: 1)
    labels = np.random.default_rng(0).integers(0, 4, (1100, 2, 3)).astype(np.uint8)
    write("mask.zarr", labels)
    group = zarr.open_group(tmp_path / "mask.zarr", mode="r")
    for level in range(3):
        np.testing.assert_array_equal(group[str(level)][:], labels[:: 2**level])


@pytest.mark.parametrize(("name", "suffix"), [("masks", "tif"), ("masks/*.tif", "tif"), ("masks/*.png", "png")])
@pytest.mark.parametrize("high", [3, 500])
def test_a_folder_holds_one_file_a_slice_in_order(write, tmp_path, labels, name, suffix, high):
    write(name, values={3: high})
    files = sorted((tmp_path / "masks").iterdir())
    assert [f.name for f in files[:2]] == [f"slice_0000.{suffix}", f"slice_0001.{suffix}"]
    read = np.stack([np.array(Image.open(f)) for f in files])
    np.testing.assert_array_equal(read, np.array([0, 1, 2, high])[labels])
    assert (tmp_path / "masks.json").exists()


def test_a_raw_file_comes_with_a_note_of_its_shape(write, tmp_path, labels):
    write("mask.raw", values={2: 600})
    read = np.fromfile(tmp_path / "mask.raw", "<u2").reshape(labels.shape)
    np.testing.assert_array_equal(read, np.array([0, 1, 600, 3])[labels])
    note = (tmp_path / "mask.raw.txt").read_text()
    assert "shape (z, y, x): 9 31 23" in note
    assert "uint16" in note


def test_a_numpy_file_holds_the_labels(write, tmp_path, labels):
    write("mask.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), labels)


def test_the_record_lies_beside(write, tmp_path):
    record = write("mask.tif", values={1: 9})
    kept = json.loads((tmp_path / "mask.tif.json").read_text())
    assert kept == record.to_json()
    assert kept["output"] == "mask.tif"
    assert kept["parameters"]["format"] == "tiff"
    assert kept["source"] == {"result": "otsu"}


@pytest.mark.parametrize("name", ["mask.tif", "mask.zarr", "mask.raw", "mask.npy", "masks", "ein Maß 試料.tif"])
def test_existing_targets_are_replaced_only_when_asked(write, tmp_path, labels, name):
    write(name, labels[:2])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TakenError, match="--overwrite"):
        write(name)
    assert sorted(tmp_path.rglob("*")) == before
    write(name, overwrite=True)
    assert not list(tmp_path.glob(".*"))
    if name == "masks":
        assert len(list((tmp_path / name).iterdir())) == len(labels)


def test_a_folder_of_someone_else_is_never_replaced(write, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    with pytest.raises(TakenError, match="not written by an export"):
        write("photos", overwrite=True)
    assert (tmp_path / "photos" / "cat.png").exists()


@pytest.mark.parametrize("name", ["mask.tif", "mask.zarr", "mask.raw", "mask.npy", "masks", "masks/*.png"])
def test_cancelling_leaves_nothing(write, tmp_path, name, monkeypatch):
    def cancel(progress):
        if progress.done == 4:
            raise Cancelled

    monkeypatch.setattr(writers, "slab_depth", lambda shape, dtype: 2)
    with pytest.raises(Cancelled):
        write(name, report=cancel)
    assert list(tmp_path.iterdir()) == []


def test_cancelling_keeps_what_was_to_be_replaced(write, tmp_path, labels):
    def cancel(progress):
        raise Cancelled

    write("mask.tif")
    with pytest.raises(Cancelled):
        write("mask.tif", overwrite=True, report=cancel)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), labels)


@pytest.mark.parametrize("name", ["mask.tif", "mask.zarr", "mask.raw", "mask.npy", "masks"])
def test_a_disk_that_fills_up_is_said_and_leaves_nothing(write, tmp_path, name, labels):
    class Full:
        shape, dtype = labels.shape, labels.dtype

        def __getitem__(self, key):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="full; free some space"):
        write(name, Full())
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_cleared_away(write, tmp_path):
    (tmp_path / ".mask.tif.partial").write_bytes(b"half")
    write("mask.tif")
    assert not list(tmp_path.glob(".*"))


def test_what_the_disk_cannot_hold_is_not_begun(write, tmp_path, monkeypatch):
    import shutil
    from collections import namedtuple

    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "total used free")(10, 10, 10))
    with pytest.raises(ResourceError, match="free some space"):
        write("mask.raw")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_a_wrong_suffix_and_a_wrong_compression_are_said(write):
    with pytest.raises(MissingError, match="make it first"):
        write("nowhere/mask.tif")
    with pytest.raises(InputError, match=r"\.xyz is not written"):
        write("mask.xyz")
    with pytest.raises(InputError, match=r"\.nii is not written"):
        write("mask.nii")
    with pytest.raises(InputError, match="zlib"):
        write("mask.tif", compression="jpeg")


@pytest.mark.parametrize(("name", "values"), [("mask.tif", None), ("mask.raw", {1: 9}), ("mask.npy", {1: 999}), ("masks", None)])
def test_memory_does_not_grow_with_the_volume(write, name, values, monkeypatch):
    class Deep:
        shape, dtype = (320, 256, 256), np.dtype(np.uint8)

        def __getitem__(self, key):
            z = range(*key[0].indices(self.shape[0]))
            return np.full((len(z), 256, 256), 1 + z[0] % 3, np.uint8)

    monkeypatch.setattr(writers, "slab_depth", lambda shape, dtype: 8)
    monkeypatch.setattr(writers, "BUFFER", 1 << 20)
    write("warm" + name, np.ones((2, 3, 4), np.uint8))
    tracemalloc.start()
    write(name, Deep(), values=values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6
