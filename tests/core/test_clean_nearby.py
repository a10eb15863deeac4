"""Majority, median, opening, closing, merging: by blocks as scipy does over the whole volume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from test_clean_components import done, edges, volumes

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.labels.cleaning.morphology import Ball, dilated
from lithoscope.labels.cleaning.renaming import merged, renumbered
from lithoscope.labels.cleaning.steps import Place, meaning, parse_steps
from lithoscope.volume.voxel import Voxel

labelled = volumes.map(lambda v: np.maximum(v, 1))


def ball(radius, spacing=(1, 1, 1)):
    reach = [int(radius / s + 1e-9) for s in spacing]
    z, y, x = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    return (z * spacing[0]) ** 2 + (y * spacing[1]) ** 2 + (x * spacing[2]) ** 2 <= radius**2 * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(volumes, edges, st.integers(1, 2))
def test_the_majority_is_that_of_the_cube_around(labels, edge, radius):
    kernel = np.ones([2 * radius + 1] * 3, int)
    counts = np.stack([ndimage.convolve((labels == c).astype(int), kernel, mode="constant") for c in (1, 2, 3)])
    expected = labels.copy()
    for at in np.argwhere(labels > 0):
        votes = counts[(slice(None), *at)]
        if votes[labels[tuple(at)] - 1] < votes.max():
            expected[tuple(at)] = votes.argmax() + 1
    assert np.array_equal(done(f"majority={radius}", labels, edge), expected)


@settings(max_examples=30, deadline=None)
@given(labelled, edges)
def test_the_median_is_that_of_scipy_away_from_the_faces(labels, edge):
    inner = (slice(1, -1),) * 3
    assert np.array_equal(done("median=1", labels, edge)[inner], ndimage.median_filter(labels, 3)[inner])


@settings(max_examples=30, deadline=None)
@given(volumes, edges)
def test_the_median_leaves_out_what_nobody_labelled(labels, edge):
    def lower(values):
        known = np.sort(values[values > 0])
        return known[(len(known) - 1) // 2] if len(known) else 0

    expected = ndimage.generic_filter(labels, lower, 3, mode="constant", cval=0)
    expected[labels == 0] = 0
    assert np.array_equal(done("median=1", labels, edge), expected)


@settings(max_examples=40, deadline=None)
@given(labelled, edges, st.sampled_from([1, 1.5, 2, 2.3]))
def test_closing_is_that_of_scipy_where_the_faces_close_nothing(labels, edge, radius):
    mask = labels == 2
    grown = ndimage.binary_dilation(mask, ball(radius))
    expected = np.where(ndimage.binary_erosion(grown, ball(radius), border_value=1) | mask, 2, labels)
    assert np.array_equal(done(f"closing={radius},class=2", labels, edge), expected)


@settings(max_examples=40, deadline=None)
@given(labelled, edges, st.sampled_from([1, 1.5, 2, 2.3]))
def test_opening_is_that_of_scipy_and_what_goes_is_the_nearest_class(labels, edge, radius):
    mask = labels == 2
    kept = ndimage.binary_dilation(ndimage.binary_erosion(mask, ball(radius), border_value=1), ball(radius))
    made = done(f"opening={radius},class=2", labels, edge)
    if mask.all():
        assert np.array_equal(made, labels)
        return
    assert np.array_equal(made == 2, kept)
    distances = [ndimage.distance_transform_edt(labels != c) if (labels == c).any() else np.full(labels.shape, np.inf) for c in (1, 3)]
    nearest = np.where(distances[0] <= distances[1] + 1e-9, 1, 3)
    assert np.array_equal(made, np.where(mask & ~kept, nearest, labels))


@settings(max_examples=30, deadline=None)
@given(labelled, st.sampled_from([(1, 1, 1), (2.0, 1.0, 1.0), (0.7, 0.7, 0.9)]), st.sampled_from([0.9, 1.4, 2.1]))
def test_a_ball_has_its_radius_in_every_unit_of_length(labels, spacing, radius):
    assert np.array_equal(dilated(labels == 2, Ball(radius, spacing)), ndimage.binary_dilation(labels == 2, ball(radius, spacing)))


def test_what_nobody_labelled_neither_grows_nor_is_grown_into():
    labels = np.full((9, 9, 9), 2, np.uint8)
    labels[:, :, 6:] = 0
    labels[4, 4, 4] = 1
    for text in ("closing=2,class=2", "opening=1,class=1"):
        made = done(text, labels, (4, 4, 4))
        assert (made[:, :, :6] == 2).all()
        assert not made[:, :, 6:].any()
    assert np.array_equal(done("opening=2,class=2", labels, (4, 4, 4))[:, :, 6:], labels[:, :, 6:])


def test_lengths_and_volumes_are_in_units():
    place = Place(ClassTable.numbered(2), Voxel((5.0, 2.5, 2.5)))
    (closing,) = meaning(parse_steps(["closing=5um,class=1"])[0], place)
    assert closing.ball.reach == (1, 2, 2)
    (islands,) = meaning(parse_steps(["islands=0.001mm3"])[0], place)
    assert islands.rule.voxels == pytest.approx(1e6 / 31.25)
    (majority,) = meaning(parse_steps(["majority=0.0051mm"])[0], place)
    assert majority.radius == (1, 2, 2)


def test_separate_slices_are_not_looked_across():
    place = Place(ClassTable.numbered(2), Voxel((1.0, 1.0, 1.0)), flat=True)
    (closing,) = meaning(parse_steps(["closing=2,class=1"])[0], place)
    assert closing.ball.reach == (0, 2, 2)
    (majority,) = meaning(parse_steps(["majority=1"])[0], place)
    assert majority.radius == (0, 1, 1)


def test_merged_classes_keep_the_name_of_the_one_they_become():
    classes = ClassTable.numbered(3).change(2, name="clay")
    made = merged(classes, [3, 2], 2)
    assert made.classes.summary() == "1 class 1, 2 clay"
    assert made(np.array([[[0, 1, 2, 3]]], np.uint8)).tolist() == [[[0, 1, 2, 2]]]


def test_classes_are_renumbered_in_any_order():
    classes = ClassTable.numbered(3).remove(2)
    assert renumbered(classes).classes.summary() == "1 class 1, 2 class 3"
    made = renumbered(classes, [3, 1])
    assert made.classes.summary() == "1 class 3, 2 class 1"
    assert made(np.array([[[0, 1, 3]]], np.uint8)).tolist() == [[[0, 2, 1]]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no step"),
        ("sweep=3", "no step 'sweep'"),
        ("islands", "write islands=3"),
        ("islands=many", "200 voxels as 200"),
        ("islands=5um", "50um3"),
        ("islands=-3", "200 voxels"),
        ("islands=3,size=4", "'size=4' is not understood"),
        ("islands=3,class=9", "no class 9"),
        ("islands=3,class=pore", "'pore' is not a class"),
        ("islands=3,connectivity=7", "not 6, 18 or 26"),
        ("through=w", "not an axis"),
        ("closing=3", "closing=3,class=1"),
        ("majority=0.2", "less than a voxel"),
        ("majority=3um", "needs the voxel size"),
        ("renumber=1+1", "each class once"),
        ("merge=1+7", "no class 7"),
    ],
)
def test_a_step_that_cannot_be_done_says_why_in_one_line(text, words):
    with pytest.raises(InputError, match=words) as caught:
        meaning(parse_steps([text])[0], Place(ClassTable.numbered(2)))
    assert "\n" not in str(caught.value)
