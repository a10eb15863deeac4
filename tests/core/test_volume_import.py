"""An import is exact, whole or absent, and refuses what it cannot do before it starts."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError, LithoscopeError, MissingError, ResourceError, StorageError, TakenError, UnreadableError
from lithoscope.job import Cancelled
from lithoscope.volume import convert
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.field_of_view import Cylinder
from lithoscope.volume.pyramid import reduce_image
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel


def array_file(folder, shape=(6, 7, 8), dtype=np.uint16, name="a.npy"):
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    np.save(folder / name, array)
    return folder / name, array


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[st.integers(1, 20)] * 3), st.sampled_from([np.uint8, np.int16, np.float32]))
def test_any_shape_is_imported_exactly(tmp_path_factory, shape, dtype):
    place = tmp_path_factory.mktemp("shapes")
    file, array = array_file(place, shape, dtype)
    scan = import_scan(file, place / "a.zarr")
    assert (scan.shape, scan.dtype) == (shape, dtype)
    assert np.array_equal(scan.levels[0][:], array)
    assert scan.histogram.total == array.size
    assert scan.percentiles["50"] <= np.percentile(array, 50) + 1


def test_every_level_is_the_mean_of_the_one_before_across_slabs(tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope.volume.store.SLAB_BYTES", 600 * 530 * 2 * 16)
    file, array = array_file(tmp_path, (37, 600, 530))
    scan = import_scan(file, tmp_path / "a.zarr")
    assert scan.shard[0] == 16
    assert [level.shape for level in scan.levels] == [(37, 600, 530), (37, 300, 265)]
    assert scan.level_factors == [(1, 1, 1), (1, 2, 2)]
    assert np.array_equal(scan.levels[1][:], reduce_image(array, (1, 2, 2)))
    assert np.array_equal(scan.levels[0][:], array)


def test_scan_passes_the_ome_validator_and_carries_the_voxel_size(tmp_path):
    from ome_zarr_models.v05 import Image

    file, _ = array_file(tmp_path, (4, 600, 5))
    import_scan(file, tmp_path / "a.zarr", voxel=Voxel((3, 2, 1), "um"))
    image = Image.from_zarr(zarr.open_group(tmp_path / "a.zarr", mode="r"))
    multiscale = image.ome_attributes.multiscales[0]
    assert [axis.unit for axis in multiscale.axes] == ["micrometer"] * 3
    assert [list(d.coordinateTransformations[0].scale) for d in multiscale.datasets] == [[3, 2, 1], [3, 4, 1]]
    assert Scan.open(tmp_path / "a.zarr").voxel == Voxel((3, 2, 1), "micrometer")


def test_the_same_values_have_the_same_hash_whatever_their_chunks(tmp_path, monkeypatch):
    file, _ = array_file(tmp_path, (40, 30, 30))
    first = import_scan(file, tmp_path / "a.zarr")
    monkeypatch.setattr("lithoscope.volume.store.SLAB_BYTES", 1)
    second = import_scan(file, tmp_path / "b.zarr")
    assert first.shard != second.shard
    assert first.content_hash == second.content_hash
    assert first.uuid != second.uuid
    counted = second.content_hash
    second.own.pop("content_hash")
    second.count()
    assert second.content_hash == counted


def test_crop_and_bin(tmp_path):
    file, array = array_file(tmp_path, (9, 10, 11))
    scan = import_scan(file, tmp_path / "a.zarr", crop="1:8,:,2:11", bin=2, voxel=Voxel((1, 2, 3), "um"))
    assert np.array_equal(scan.levels[0][:], reduce_image(array[1:8, :, 2:], (2, 2, 2)))
    assert scan.voxel == Voxel((2, 4, 6), "um")
    assert scan.metadata["crop"] == [[1, 8], [0, 10], [2, 11]]
    with pytest.raises(InputError, match="does not lie within"):
        import_scan(file, tmp_path / "b.zarr", crop="0:99,:,:")
    with pytest.raises(InputError, match="bin 0"):
        import_scan(file, tmp_path / "b.zarr", bin=0)


def test_separate_slices_are_not_binned_together_and_are_looked_at_in_2d(tmp_path):
    file, array = array_file(tmp_path, (9, 10, 10))
    scan = import_scan(file, tmp_path / "a.zarr", bin=2, separate_slices=True)
    assert scan.separate_slices
    assert np.array_equal(scan.levels[0][:], reduce_image(array, (1, 2, 2)))
    assert scan.dimensions() == (2, "the slices are separate images")


def test_a_field_of_view_is_counted_inside_only(tmp_path):
    y, x = np.mgrid[0:64, 0:64]
    disc = np.hypot(y - 31.5, x - 31.5) <= 28
    array = np.where(disc, np.random.default_rng(0).integers(50, 90, (20, 64, 64)), 0).astype(np.uint8)
    np.save(tmp_path / "a.npy", array)
    proposed = import_scan(tmp_path / "a.npy", tmp_path / "a.zarr")
    assert isinstance(proposed.field_of_view, Cylinder)
    inside = proposed.inside(proposed.box)
    assert proposed.histogram.total == inside.sum()
    none = import_scan(tmp_path / "a.npy", tmp_path / "b.zarr", field_of_view="none")
    assert none.field_of_view is None
    assert none.histogram.total == array.size
    none.set(field_of_view="cylinder:31.5,31.5,10")
    assert Scan.open(tmp_path / "b.zarr").histogram.total == 20 * (np.hypot(y - 31.5, x - 31.5) <= 10).sum()


@pytest.mark.parametrize("planes", [20, 1])
def test_a_mask_is_taken_in(tmp_path, planes):
    file, array = array_file(tmp_path, (20, 30, 40))
    mask = np.zeros((planes, 30, 40), np.uint8)
    mask[:, 5:20, 10:30] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask, photometric="minisblack")
    scan = import_scan(file, tmp_path / "a.zarr", field_of_view=str(tmp_path / "mask.tif"))
    (tmp_path / "mask.tif").unlink()
    scan = Scan.open(tmp_path / "a.zarr")
    assert np.array_equal(scan.inside(scan.box), np.broadcast_to(mask != 0, array.shape))
    assert scan.histogram.total == 20 * 15 * 20


def test_a_mask_of_another_shape_or_empty_is_refused(tmp_path):
    file, _ = array_file(tmp_path, (20, 30, 40))
    for shape in ((20, 30, 41), (20, 30, 40)):
        np.save(tmp_path / "mask.npy", np.zeros(shape, np.uint8))
        with pytest.raises(InputError, match="the mask"):
            import_scan(file, tmp_path / "a.zarr", field_of_view=str(tmp_path / "mask.npy"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "mask.npy"]


def test_nan_infinities_and_constants_are_fine(tmp_path):
    array = np.full((5, 6, 7), 2.5, np.float32)
    array[0, 0, 0], array[1, 1, 1] = np.nan, np.inf
    np.save(tmp_path / "a.npy", array)
    scan = import_scan(tmp_path / "a.npy", tmp_path / "a.zarr")
    assert (scan.histogram.nan, scan.histogram.infinite) == (1, 1)
    assert scan.window[0] < scan.window[1]
    np.save(tmp_path / "b.npy", np.full((3, 3, 3), np.nan, np.float32))
    empty = import_scan(tmp_path / "b.npy", tmp_path / "b.zarr")
    assert empty.percentiles == {}
    assert json.dumps(empty.info(), allow_nan=False)


@pytest.mark.parametrize("name", ["a b.zarr", "Ґрунт №1.zarr", "土壤 50%.zarr", "a#b?.zarr"])
def test_paths_with_spaces_and_other_letters(tmp_path, name):
    folder = tmp_path / "päth with ☃"
    folder.mkdir()
    file, array = array_file(folder, name="данные 1.npy")
    scan = import_scan(file, folder / name)
    assert np.array_equal(Scan.open(folder / name).levels[0][:], array)
    assert scan.name == Path(name).stem


def test_nothing_is_overwritten_unasked(tmp_path):
    file, _ = array_file(tmp_path)
    import_scan(file, tmp_path / "a.zarr")
    with pytest.raises(TakenError, match="--overwrite"):
        import_scan(file, tmp_path / "a.zarr")
    precious = tmp_path / "precious.zarr"
    precious.mkdir()
    (precious / "thesis.txt").touch()
    with pytest.raises(TakenError, match="not a scan"):
        import_scan(file, precious, overwrite=True)
    assert (precious / "thesis.txt").exists()


def test_overwriting_keeps_the_sidecar_of_equal_values_and_puts_another_aside(tmp_path):
    file, _ = array_file(tmp_path)
    first = import_scan(file, tmp_path / "a.zarr")
    (first.sidecar / "strokes").mkdir()
    again = import_scan(file, tmp_path / "a.zarr", overwrite=True)
    assert again.uuid == first.uuid
    assert (again.sidecar / "strokes").exists()
    np.save(file, np.zeros((4, 4, 4), np.uint8))
    other = import_scan(file, tmp_path / "a.zarr", overwrite=True)
    assert other.shape == (4, 4, 4)
    assert not (other.sidecar / "strokes").exists()
    aside = [p for p in tmp_path.glob("*.lithoscope") if p != other.sidecar]
    assert len(aside) == 1
    assert (aside[0] / "strokes").exists()


@pytest.mark.parametrize(("target", "error"), [("scan", InputError), (".zarr", InputError), ("no/a.zarr", MissingError)])
def test_a_target_that_cannot_be_is_refused(tmp_path, target, error):
    file, _ = array_file(tmp_path)
    with pytest.raises(error):
        import_scan(file, tmp_path / target)


def test_a_failing_source_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    for z in range(40):
        tifffile.imwrite(folder / f"s{z}.tif", np.zeros((5, 5 + (z == 13)), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match=r"s13\.tif"):
        import_scan(folder, tmp_path / "a.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["slices"]


def test_a_cancelled_import_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope.volume.store.SLAB_BYTES", 1)
    file, _ = array_file(tmp_path, (100, 9, 9))

    def report(progress):
        if progress.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        import_scan(file, tmp_path / "a.zarr", report=report)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_progress_reaches_the_end(tmp_path):
    file, _ = array_file(tmp_path)
    seen = []
    import_scan(file, tmp_path / "a.zarr", report=seen.append)
    assert seen[0].done == 0
    assert seen[-1].fraction == 1


def test_a_full_disk_is_said_before_the_start(tmp_path, monkeypatch):
    file, _ = array_file(tmp_path)
    monkeypatch.setattr(convert.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(ResourceError, match="--bin"):
        import_scan(file, tmp_path / "a.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_a_disk_that_fills_up_is_said_and_the_unfinished_scan_removed(tmp_path, monkeypatch):
    file, _ = array_file(tmp_path)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(StorageError, match="is full"):
        import_scan(file, tmp_path / "a.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be written by the superuser; the real case is below")
def test_an_unwritable_target_is_said(tmp_path):
    file, _ = array_file(tmp_path)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    with pytest.raises(StorageError, match="cannot be written"):
        import_scan(file, locked / "a.zarr")


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs a folder that nobody can write to")
def test_a_place_where_nothing_can_be_made_is_said(tmp_path):
    file, _ = array_file(tmp_path)
    with pytest.raises(StorageError):
        import_scan(file, Path("/proc/a.zarr"))


SLOW_IMPORT = """
import sys, time
from lithoscope.volume import store
store.SLAB_BYTES = 1
from lithoscope.volume.convert import import_scan
def report(progress):
    print(progress.done, flush=True)
    if progress.done == 3:
        time.sleep(60)
import_scan(sys.argv[1], sys.argv[2], report=report)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_a_killed_import_leaves_nothing_that_opens_and_the_next_one_replaces_it(tmp_path):
    file, array = array_file(tmp_path, (100, 9, 9))
    target = tmp_path / "a.zarr"
    with subprocess.Popen([sys.executable, "-c", SLOW_IMPORT, str(file), str(target)], stdout=subprocess.PIPE, text=True) as process:
        assert any(line.strip() == "3" for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    partial = tmp_path / "a.zarr.partial"
    assert partial.exists()
    with pytest.raises(MissingError):
        Scan.open(target)
    with pytest.raises(UnreadableError, match="not finished"):
        Scan.open(partial)
    shutil.copytree(partial, tmp_path / "renamed.zarr")
    with pytest.raises(UnreadableError):
        Scan.open(tmp_path / "renamed.zarr")
    scan = import_scan(file, target)
    assert np.array_equal(scan.levels[0][:], array)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.lithoscope", "a.npy", "a.zarr", "renamed.zarr"]


def test_import_of_a_scan_gives_the_same_values(tmp_path):
    file, _ = array_file(tmp_path, (10, 20, 30))
    first = import_scan(file, tmp_path / "a.zarr", voxel=Voxel((1, 1, 2), "nm"))
    second = import_scan(first.path, tmp_path / "b.zarr")
    assert second.voxel == first.voxel
    assert second.content_hash == first.content_hash


def test_errors_are_one_line(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + bytes(100))
    with pytest.raises(LithoscopeError) as caught:
        import_scan(tmp_path / "a.tif", tmp_path / "a.zarr")
    assert "\n" not in str(caught.value)


def test_a_box_of_the_scan_is_read_from_disk_as_it_was(tmp_path):
    from lithoscope.volume.blocks import read

    file, array = array_file(tmp_path, (70, 80, 90))
    scan = import_scan(file, tmp_path / "a.zarr")
    box = Box((-3, 60, 5), (71, 85, 70))
    assert np.array_equal(read(scan.array(), box), np.pad(array, 10, "symmetric")[box.shift((10, 10, 10)).slices])


def test_planes_too_large_for_the_memory_are_refused(tmp_path, monkeypatch):
    import psutil

    file, _ = array_file(tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100})())
    with pytest.raises(ResourceError, match="memory"):
        import_scan(file, tmp_path / "a.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]
