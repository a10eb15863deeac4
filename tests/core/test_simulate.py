"""The simulated scan: exact truth, the same bytes whatever the boxes, and the faults of a real scanner."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.volume import noise
from lithoscope.volume.box import Box
from lithoscope.volume.simulate import Sample, Scanner, circle, rock, scan_of

SHAPE = (40, 71, 66)


@pytest.fixture(scope="module")
def whole():
    return rock(SHAPE, 5)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_box_of_the_rock_is_cut_from_the_whole(whole, data):
    cuts = [sorted(data.draw(st.sets(st.integers(0, size), min_size=2, max_size=2))) for size in SHAPE]
    box = Box(tuple(a for a, _ in cuts), tuple(b for _, b in cuts))
    image, truth = rock(SHAPE, 5, box)
    np.testing.assert_array_equal(image, whole[0][box.slices])
    np.testing.assert_array_equal(truth, whole[1][box.slices])


def test_the_rock_has_three_phases_of_believable_parts(whole):
    inside = whole[1][whole[1] > 0]
    parts = np.bincount(inside, minlength=4)[1:] / inside.size
    assert 0.08 < parts[0] < 0.3
    assert 0.04 < parts[1] < 0.25
    assert parts[2] > 0.5


def test_phases_differ_in_grey_in_the_order_of_their_classes(whole):
    means = [whole[0][whole[1] == k].mean() for k in (1, 2, 3)]
    assert means[0] + 25 < means[1] < means[2] - 25


def test_truth_and_image_are_zero_exactly_outside_the_circle(whole):
    outside = ~circle(SHAPE).inside(Box.whole(SHAPE))
    assert outside.any()
    for array in whole:
        np.testing.assert_array_equal(array == 0, outside)


def test_seeds_make_different_rocks(whole):
    other = rock(SHAPE, 6)
    assert (other[1] != whole[1]).mean() > 0.1
    assert (other[0] != whole[0]).mean() > 0.5


def test_16_bit_scans_are_of_the_same_rock_with_finer_grey():
    image, truth = rock(SHAPE, 5, dtype="uint16")
    np.testing.assert_array_equal(truth, rock(SHAPE, 5)[1])
    assert image.dtype == np.uint16
    assert len(np.unique(image)) > 1000


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 2), (7, 1, 30)])
def test_any_shape_can_be_made(shape):
    image, truth = rock(shape, 0)
    assert image.shape == truth.shape == shape


def test_planes_are_those_of_the_whole(whole):
    sample = Sample(SHAPE, seed=5)
    np.testing.assert_array_equal(sample.planes(11, 15), whole[0][11:15])
    box = Box((3, 5, 7), (9, 60, 61))
    np.testing.assert_array_equal(sample.truth(box), whole[1][box.slices])


def test_cupping_darkens_the_axis():
    plain = {"noise": 0.0, "rings": 0.0, "circular": False}
    flat, cupped = (scan_of(np.ones((3, 51, 51), np.uint8), {1: 100}, scanner=Scanner(cupping=c, **plain)) for c in (0.0, 0.2))
    assert (flat == 100).all()
    assert cupped[1, 25, 25] == 80
    assert cupped[1, 25, 0] >= 99


def test_rings_are_the_same_at_the_same_distance_from_the_axis():
    image = scan_of(np.ones((1, 61, 61), np.uint8), {1: 100}, scanner=Scanner(noise=0, cupping=0, rings=5))[0]
    np.testing.assert_array_equal(image, image[::-1])
    np.testing.assert_array_equal(image, image.T)
    assert image[30, 30:].std() > 1


def test_the_point_spread_is_gaussian():
    from scipy.ndimage import gaussian_filter

    geometry = np.random.default_rng(0).integers(0, 2, (9, 20, 20)).astype(np.uint8)
    ours = scan_of(geometry, {0: 50, 1: 150}, scanner=Scanner(psf=1.0, noise=0, cupping=0, rings=0, circular=False))
    theirs = gaussian_filter(np.where(geometry, 150.0, 50.0), 1.0, mode="nearest", truncate=4)
    assert np.abs(ours - theirs).max() <= 0.51


def test_the_noise_is_normal_and_white():
    values = noise.white(3, Box((-2, 5, 3), (30, 60, 90)))
    assert values.shape == (32, 55, 87)
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    assert abs((values[..., 1:] * values[..., :-1]).mean()) < 0.01
    assert abs((values[1:] * values[:-1]).mean()) < 0.01


def test_a_smooth_field_has_mean_zero_and_variance_about_one():
    axis = np.arange(-50, 70)
    field = noise.smooth(9, 4.0, axis, axis, axis)
    assert abs(field.mean()) < 0.05
    assert abs(field.std() - 1) < 0.1


def test_unknown_dtypes_and_values_are_refused_with_what_to_do():
    with pytest.raises(InputError, match="uint8 or uint16"):
        rock((2, 2, 2), 0, dtype="float64")
    with pytest.raises(InputError, match=r"\[7\].*levels"):
        scan_of(np.full((2, 2, 2), 7, np.uint8), {0: 10})
