"""The sample scan on disk, and what is made of it: measures, masks, pictures."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from lithoscope.errors import InputError, MissingError, TakenError
from lithoscope.export import export
from lithoscope.job import Cancelled
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import open_result
from lithoscope.measure.phases import measure
from lithoscope.picture import bar_length, slice_picture
from lithoscope.sample import simulate
from lithoscope.volume.box import Box
from lithoscope.volume.simulate import Scanner, rock

SHAPE = (20, 61, 70)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("sample") / "rock.zarr", shape=SHAPE, seed=4)


@pytest.fixture
def own(tmp_path):
    return simulate(tmp_path / "own.zarr", shape=(12, 60, 60), seed=1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_scan_and_truth_are_those_of_the_rock(tmp_path, dtype):
    scan = simulate(tmp_path / "rock.zarr", shape=SHAPE, seed=4, dtype=dtype)
    image, truth = rock(SHAPE, 4, dtype=dtype)
    np.testing.assert_array_equal(scan.array()[:], image)
    np.testing.assert_array_equal(open_result(scan, "truth").array[:], truth)
    assert scan.voxel.size == (2.5, 2.5, 2.5)


def test_the_field_of_view_is_where_the_truth_is(sample):
    inside = sample.field_of_view.inside(sample.box)
    np.testing.assert_array_equal(open_result(sample, "truth").array[:] > 0, inside)
    assert sample.histogram.minimum > 0


def test_a_scan_without_a_circle_has_no_field_of_view(tmp_path):
    assert simulate(tmp_path / "rock.zarr", shape=(3, 20, 20), scanner=Scanner(circular=False)).field_of_view is None


def test_an_existing_sample_is_replaced_only_when_asked(own):
    with pytest.raises(TakenError):
        simulate(own.path, shape=(8, 30, 30))
    assert simulate(own.path, shape=(4, 30, 30), overwrite=True).shape == (4, 30, 30)


@pytest.mark.parametrize("late", [False, True])
def test_a_cancelled_sample_leaves_nothing(tmp_path, late):
    def cancel(progress):
        if not late or "truth" in progress.message:
            raise Cancelled

    with pytest.raises(Cancelled):
        simulate(tmp_path / "rock.zarr", shape=SHAPE, report=cancel)
    assert list(tmp_path.iterdir()) == []


def test_senseless_samples_are_refused(tmp_path):
    with pytest.raises(InputError, match="uint8 or uint16"):
        simulate(tmp_path / "rock.zarr", dtype="float32")
    with pytest.raises(InputError, match="z y x"):
        simulate(tmp_path / "rock.zarr", shape=(0, 3, 3))


def test_the_truth_measured_against_itself_is_perfect(sample):
    found = measure(sample, "truth", truth="truth")
    truth = open_result(sample, "truth").array[:]
    assert found["mean_iou"] == 1
    for id in (1, 2, 3):
        assert found["phases"][str(id)]["fraction"] == pytest.approx((truth == id).sum() / (truth > 0).sum())
    assert found["porosity"] == pytest.approx(found["phases"]["1"]["fraction"] + 0.5 * found["phases"]["2"]["fraction"])
    json.dumps(found, allow_nan=False)


def test_a_truth_in_a_file_needs_a_map_where_its_values_are_unclear(own, tmp_path):
    truth = open_result(own, "truth").array[:]
    tifffile.imwrite(tmp_path / "masks.tif", np.array([9, 0, 128, 255], np.uint8)[truth])
    with pytest.raises(InputError, match=r"masks.tif holds 0, 9, 128 and 255; say which class each is: --map"):
        measure(own, "truth", truth=tmp_path / "masks.tif")
    found = measure(own, "truth", truth=tmp_path / "masks.tif", value_map={9: 0, 0: 1, 128: 2, 255: 3})
    assert found["mean_iou"] == 1
    swapped = measure(own, "truth", truth=tmp_path / "masks.tif", value_map={9: 0, 0: 1, 128: 3, 255: 2})
    assert swapped["iou"]["1"] == 1
    assert swapped["iou"]["2"] == 0
    np.save(tmp_path / "truth.npy", truth)
    assert measure(own, "truth", truth=tmp_path / "truth.npy")["truth"] == "truth.npy"


def test_corrections_are_measured_and_exported_and_recorded(own, tmp_path):
    before = measure(own, "truth")["phases"]["2"]["voxels"]
    truth = open_result(own, "truth").array[:]
    box = Box((2, 10, 10), (5, 16, 20))
    with corrected(own, "truth") as labels:
        labels.write(box, None, 2)
        labels.flush()
    changed = int((truth[box.slices] != 2).sum())
    assert measure(own, "truth")["phases"]["2"]["voxels"] == before + changed
    record = export(own, "truth", tmp_path / "mask.tif")
    expected = truth.copy()
    expected[box.slices] = 2
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), expected)
    kept = json.loads((tmp_path / "mask.tif.json").read_text())
    assert kept["source"]["corrected_voxels"] == record.source["corrected_voxels"] == changed
    assert kept["source"]["result_record"]["method"] == "simulated rock"


def test_a_result_deleted_meanwhile_is_not_exported_as_empty(own, tmp_path):
    def gone(progress):
        if progress.done == 0:
            shutil.rmtree(own.path)

    with pytest.raises(MissingError, match="deleted"):
        export(own, "truth", tmp_path / "mask.tif", report=gone)
    assert not (tmp_path / "mask.tif").exists()


def test_a_picture_shows_slice_and_classes_side_by_side(sample, tmp_path):
    path = slice_picture(sample, "truth", tmp_path / "picture.png")
    with Image.open(path) as image:
        image.load()
        assert image.width > 2 * image.height * 0.8
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
    assert {(0x3B, 0x7D, 0xD8), (0xE6, 0x9F, 0x00), (0x2C, 0xA2, 0x5F)} <= colours
    with pytest.raises(InputError, match="0:20"):
        slice_picture(sample, "truth", tmp_path / "other.png", z=20)


@pytest.mark.parametrize(("width", "length"), [(300, 100), (299, 50), (3, 1), (0.07, 0.02), (15, 5)])
def test_scale_bars_are_round_lengths(width, length):
    assert bar_length(width) == pytest.approx(length)
