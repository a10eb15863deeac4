"""The tools of correcting: what they paint, and that it is undone as one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lithoscope.errors import InputError
from lithoscope.labels.correcting import (
    Edit,
    Plane,
    ball,
    copied,
    grown,
    holes,
    interpolated,
    pointed_at,
    polygon,
    restricted,
    tightened,
)
from lithoscope.labels.fence import Fence
from lithoscope.labels.store import LabelStore
from lithoscope.volume.box import Box
from lithoscope.volume.voxel import Voxel

SHAPE = (20, 24, 28)


@pytest.fixture
def store(tmp_path):
    with_labels = LabelStore(tmp_path / "labels", SHAPE)
    yield with_labels
    with_labels.close()


def painted(edit, shape=SHAPE):
    """The edit in an empty volume."""
    whole = np.zeros(shape, np.uint8)
    whole[edit.box.slices][edit.mask] = edit.value
    return whole


def test_paint_keeps_to_the_grey_values_and_classes_that_were_chosen(store):
    grey = np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.uint8)
    store.write(Box((0, 0, 0), (20, 24, 14)), None, 3)
    edit = ball((10, 12, 14), 6, SHAPE, 2)
    kept = restricted(edit, store, Fence(grey, (50, 100), frozenset({3})))
    expected = (painted(edit) == 2) & (grey >= 50) & (grey <= 100) & (store.read(Box.whole(SHAPE)) == 3)
    assert np.array_equal(painted(kept) == 2, expected)
    assert restricted(edit, store, None).size == edit.size


def test_an_edit_is_undone_as_one(store):
    before = store.read(Box.whole(SHAPE))
    assert ball((5, 5, 5), 3, SHAPE, 2).apply(store) is not None
    assert store.read(Box.whole(SHAPE)).any()
    store.undo()
    assert np.array_equal(store.read(Box.whole(SHAPE)), before)
    assert restricted(ball((5, 5, 5), 3, SHAPE, 2), store, Fence(over=frozenset({7}))).apply(store) is None


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-2, 30)] * 3), st.floats(0.5, 9), st.sampled_from([None, (2.0, 1.0, 1.0)]))
def test_a_brush_is_a_ball_in_its_unit(centre, radius, size):
    voxel = None if size is None else Voxel(size)
    edit = ball(centre, radius, SHAPE, 1, voxel=voxel, unit=None if size is None else "um")
    spacing = size or (1, 1, 1)
    grid = np.ogrid[tuple(slice(n) for n in SHAPE)]
    expected = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing, strict=True)) <= radius**2 * (1 + 1e-9)
    assert np.array_equal(painted(edit) == 1, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_polygon_fills_its_plane(axis):
    edit = polygon([(2, 2), (2, 10), (12, 10), (12, 2)], Plane(axis, 7), SHAPE, 3)
    found = np.take(painted(edit), 7, axis)
    assert (found[2:13, 2:11] == 3).all()
    assert edit.size == 11 * 9 == np.count_nonzero(painted(edit))
    assert edit.box.shape[axis] == 1


def test_a_polygon_beyond_the_scan_is_cut():
    edit = polygon([(-5, -5), (-5, 8), (9, 8), (9, -5)], Plane(0, 0), SHAPE, 1)
    assert np.array_equal(painted(edit)[0, :10, :9], np.ones((10, 9)))
    assert edit.size == 90


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_holes_of_a_plane_are_filled_as_scipy_does(store, axis):
    rng = np.random.default_rng(axis)
    store[...] = (rng.random(SHAPE) < 0.6).astype(np.uint8) * np.uint8(2)
    plane = np.take(store.read(Box.whole(SHAPE)), 5, axis) == 2
    edit = holes(store, Plane(axis, 5), SHAPE, 2)
    assert np.array_equal(np.take(painted(edit), 5, axis) == 2, ndimage.binary_fill_holes(plane) & ~plane)


def test_strokes_are_copied_to_the_next_plane(store):
    store.write(Box((4, 3, 3), (5, 9, 8)), None, 2)
    copied(store, Plane(0, 4), SHAPE, 2).apply(store)
    assert np.array_equal(store.read(Box.whole(SHAPE))[5], store.read(Box.whole(SHAPE))[4])
    with pytest.raises(InputError, match="no plane 20"):
        copied(store, Plane(0, 19), SHAPE, 2)


def test_strokes_are_interpolated_between_planes(store):
    ball((2, 12, 10), 6.2, SHAPE, 2).apply(store)
    store.write(Box((0, 0, 0), (20, 24, 28)), None, 0)
    y, x = np.ogrid[:24, :28]
    for z, radius in ((2, 3), (12, 8)):
        store.write(Box((z, 0, 0), (z + 1, 24, 28)), ((y - 12) ** 2 + (x - 14) ** 2 <= radius**2)[None], 2)
    edit = interpolated(store, Plane(0, 12), Plane(0, 2), SHAPE, 2)
    areas = painted(edit).sum(axis=(1, 2)) / 2
    assert areas[3:12].tolist() == sorted(areas[3:12])
    assert areas[7] == pytest.approx(np.pi * 5.5**2, rel=0.1)
    assert not areas[[2, 12]].any()
    with pytest.raises(InputError, match="nothing of class 3"):
        interpolated(store, Plane(0, 2), Plane(0, 12), SHAPE, 3)
    with pytest.raises(InputError, match="no plane between"):
        interpolated(store, Plane(0, 2), Plane(0, 3), SHAPE, 2)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_click_grows_within_its_tolerance(dtype):
    from skimage.segmentation import flood

    grey = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=SHAPE), 2)
    grey = ((grey - grey.min()) / (grey.max() - grey.min()) * 200).astype(dtype)
    at = (9, 10, 11)
    expected = flood(grey.astype(float), at, connectivity=1, tolerance=30)
    assert np.array_equal(painted(grown(grey, at, 30, 1)) == 1, expected)
    plane = painted(grown(grey, at, 30, 1, plane=Plane(1, 10)))
    assert np.array_equal(plane[:, 10] == 1, flood(grey[:, 10].astype(float), (9, 11), connectivity=1, tolerance=30))
    assert plane.sum() == plane[:, 10].sum()


def test_what_is_under_the_cursor_is_told(store):
    store.write(Box((4, 4, 4), (7, 8, 9)), None, 2)
    store.write(Box((10, 0, 0), (11, 24, 28)), None, 3)
    assert pointed_at(store, (5, 5, 5), SHAPE) == pointed_at(store, (6, 7, 8), SHAPE)
    found = pointed_at(store, (5, 5, 5), SHAPE)
    assert (found.label, found.voxels, found.more) == (2, 60, False)
    assert pointed_at(store, (10, 5, 5), SHAPE, reach=3).more
    assert not pointed_at(store, (10, 5, 5), SHAPE).more
    assert pointed_at(store, (0, 0, 0), SHAPE).label == 0


def test_an_edit_is_tightened_around_its_voxels():
    mask = np.zeros(SHAPE, bool)
    mask[3:5, 7, 2:9] = True
    edit = tightened(Edit(Box.whole(SHAPE), mask, 4))
    assert edit.box == Box((3, 7, 2), (5, 8, 9))
    assert edit.mask.all()
