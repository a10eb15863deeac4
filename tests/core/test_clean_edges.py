"""Results at the edge of what can be cleaned and separated: one slice, nothing labelled, far more pieces than two bytes can number."""

import numpy as np
import pytest
from labels_data import make_scan
from scipy import ndimage
from skimage import morphology
from test_clean_results import made_result

from lithoscope.errors import InputError
from lithoscope.labels.clean import clean, clean_in_place
from lithoscope.labels.clean_preview import preview_plane
from lithoscope.labels.cleaning.steps import parse_steps
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import open_result
from lithoscope.labels.separate import separate
from lithoscope.measure.grains import grains_of, load_grains, save_grains

EVERY = ["islands=9", "holes=9", "largest", "majority=1", "median=1", "opening=1,class=1", "closing=1,class=2", "merge=1+2", "renumber"]


def made(tmp_path, shape, values, shard=(16, 16, 16), classes=2):
    scan = make_scan(tmp_path / "rock.zarr", shape, shard=shard)
    made_result(scan, values, classes=classes)
    return scan


def test_one_slice_is_cleaned_as_a_picture(tmp_path):
    rng = np.random.default_rng(0)
    plane = (ndimage.gaussian_filter(rng.normal(size=(50, 60)), 1.5) > 0).astype(np.uint8) + np.uint8(1)
    scan = made(tmp_path, (1, 50, 60), plane[None])
    clean(scan, "a", ["islands=20,class=1,to=2"], output="b")
    expected = morphology.remove_small_objects(plane == 1, max_size=19, connectivity=1)
    assert np.array_equal(open_result(scan, "b").array[0] == 1, expected)
    clean(scan, "a", ["holes=all,class=2"], output="c")
    assert np.array_equal(open_result(scan, "c").array[0] == 2, ndimage.binary_fill_holes(plane == 2))
    with pytest.raises(InputError, match="nothing leads through slices"):
        clean(scan, "a", ["through=z"], output="d")
    clean(scan, "a", ["opening=2,class=1"], output="d")
    y, x = np.ogrid[-2:3, -2:3]
    opened = ndimage.binary_opening(plane == 1, y * y + x * x <= 4)
    assert np.array_equal((open_result(scan, "d").array[0] == 1)[4:-4, 4:-4], opened[4:-4, 4:-4])
    found = open_result(scan, "a")
    shown = preview_plane(scan, found, found.array, parse_steps(["islands=20,class=1,to=2"]), 0, 0)
    assert np.array_equal(shown.labels, open_result(scan, "b").array[...])
    assert not shown.note


def test_one_slice_is_separated_as_a_picture(tmp_path):
    y, x = np.ogrid[:40, :60]
    discs = ((y - 20) ** 2 + (x - 18) ** 2 <= 144) | ((y - 20) ** 2 + (x - 40) ** 2 <= 144)
    scan = made(tmp_path, (1, 40, 60), np.where(discs, 1, 2).astype(np.uint8)[None])
    separate(scan, "a", output="grains")
    table = grains_of(scan, "grains")
    assert len(table) == 2
    assert table.contacts.tolist() == [1, 1]
    assert not table.cut.any()


@pytest.mark.parametrize("step", EVERY)
def test_a_result_in_which_nothing_is_labelled_stays_so(tmp_path, step):
    scan = made(tmp_path, (20, 20, 20), np.zeros((20, 20, 20), np.uint8))
    record = clean(scan, "a", [step], output="b")
    assert not open_result(scan, "b").array[...].any()
    assert record.learnt["changed"] == [0]
    assert "no voxel of class 1" in record.notes[0]
    if step not in ("merge=1+2", "renumber"):
        assert clean_in_place(scan, "a", [step]) == 0
        with corrected(scan, "a") as labels:
            assert not labels.can_undo
    with pytest.raises(InputError, match="no voxel of class 1"):
        separate(scan, "a", output="g")


def test_more_pieces_than_two_bytes_number_are_cleaned_separated_and_measured(tmp_path):
    values = np.full((64, 96, 96), 2, np.uint8)
    values[::2, ::2, ::2] = 1
    values[20:30, 20:30, 20:30] = 1
    scan = made(tmp_path, values.shape, values, shard=(32, 64, 64))
    record = clean(scan, "a", ["islands=2,class=1"], output="b")
    numbers, _ = ndimage.label(values == 1)
    expected = np.where(numbers == numbers[25, 25, 25], 1, 2)
    assert np.array_equal(open_result(scan, "b").array[...], expected)
    assert record.learnt["changed"][0] > 65_535
    grains = separate(scan, "a", output="g").learnt["grains"]
    assert grains > 65_535
    table = grains_of(scan, "g")
    assert len(table) == grains
    assert table.voxels.sum() == (values == 1).sum()
    again = load_grains(save_grains(table, tmp_path / "g.csv")[0])
    assert np.array_equal(again.voxels, table.voxels)
    assert again.unit == "µm"
    said, wanted = again.summary(), table.summary()
    assert {k: v for k, v in said.items() if k != "unit"} == pytest.approx({k: v for k, v in wanted.items() if k != "unit"}, rel=1e-3)
