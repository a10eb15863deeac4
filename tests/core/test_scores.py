"""Scores of a segmentation against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from lithoscope.errors import InputError
from lithoscope.scores.boundary import Boundary
from lithoscope.scores.by_slice import SliceScores
from lithoscope.scores.segmentation import Confusion, confusion

LABEL = st.integers(0, 4)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_scores_are_those_of_scikit_learn(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    truth = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(1, 4)))
    predicted = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(1, 4)))
    ours = confusion(truth, predicted)
    t, p = truth.ravel(), predicted.ravel()
    labels = np.union1d(t, p).tolist()
    assert list(ours.classes) == labels
    nan = {"labels": labels, "average": None, "zero_division": np.nan}
    np.testing.assert_allclose([ours.iou(k) for k in labels], metrics.jaccard_score(t, p, labels=labels, average=None))
    np.testing.assert_allclose([ours.dice(k) for k in labels], metrics.f1_score(t, p, labels=labels, average=None))
    np.testing.assert_allclose([ours.precision(k) for k in labels], metrics.precision_score(t, p, **nan))
    np.testing.assert_allclose([ours.recall(k) for k in labels], metrics.recall_score(t, p, **nan))
    assert ours.mean_iou == pytest.approx(metrics.jaccard_score(t, p, labels=labels, average="macro"))
    assert ours.accuracy == pytest.approx(metrics.accuracy_score(t, p))


@settings(max_examples=30, deadline=None)
@given(
    truth=hnp.arrays(np.uint8, (5, 4, 3), elements=LABEL),
    predicted=hnp.arrays(np.uint8, (5, 4, 3), elements=LABEL),
    inside=hnp.arrays(np.bool_, (5, 4, 3)),
    cut=st.integers(0, 5),
)
def test_blocks_add_up_to_the_whole(truth, predicted, inside, cut):
    whole, parts = confusion(truth, predicted, inside), Confusion()
    for part in (slice(0, cut), slice(cut, 5)):
        parts.add(truth[part], predicted[part], inside[part])
    np.testing.assert_array_equal(parts.counts, whole.counts)


@settings(max_examples=30, deadline=None)
@given(truth=hnp.arrays(np.uint8, (40,), elements=LABEL), predicted=hnp.arrays(np.uint8, (40,), elements=LABEL))
def test_what_nobody_said_is_not_counted_and_what_is_not_predicted_is_missed(truth, predicted):
    ours = confusion(truth.reshape(1, 1, -1), predicted.reshape(1, 1, -1))
    said = truth > 0
    for k in ours.classes:
        assert ours.iou(k) == pytest.approx(metrics.jaccard_score(truth[said] == k, predicted[said] == k))


def test_the_field_of_view_is_broadcast_along_z():
    truth = np.ones((3, 2, 2), np.uint8)
    inside = np.array([[[True, False], [False, True]]])
    assert confusion(truth, truth, inside).counts.sum() == 6


def test_large_blocks_are_counted_in_parts(monkeypatch):
    from lithoscope.scores import segmentation

    truth, predicted = np.random.default_rng(0).integers(0, 4, (2, 7, 5, 6)).astype(np.uint8)
    inside = truth != 3
    whole = confusion(truth, predicted, inside)
    monkeypatch.setattr(segmentation, "AT_ONCE", 61)
    np.testing.assert_array_equal(confusion(truth, predicted, inside).counts, whole.counts)
    assert whole.counts.sum() == inside.sum()


def test_nothing_to_compare_gives_no_number():
    empty = confusion(np.zeros((1, 2, 2), np.uint8), np.ones((1, 2, 2), np.uint8))
    assert empty.classes == ()
    assert np.isnan(empty.mean_iou)
    assert np.isnan(empty.iou(1))


def test_arrays_on_different_grids_are_refused():
    with pytest.raises(InputError, match="shape"):
        confusion(np.zeros((1, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8))


@settings(max_examples=30, deadline=None)
@given(
    truth=hnp.arrays(np.uint8, (4, 5, 6), elements=LABEL), predicted=hnp.arrays(np.uint8, (4, 5, 6), elements=LABEL), cut=st.integers(0, 4)
)
def test_scores_by_slice_are_those_of_each_slice(truth, predicted, cut):
    slices = SliceScores(4)
    slices.add(0, truth[:cut], predicted[:cut])
    slices.add(cut, truth[cut:], predicted[cut:])
    for z in range(4):
        alone = confusion(truth[z : z + 1], predicted[z : z + 1])
        for k in range(1, 5):
            expected = alone.iou(k)
            assert slices.iou(k)[z] == (None if np.isnan(expected) else pytest.approx(expected))
        assert slices.mean_iou[z] == (None if np.isnan(alone.mean_iou) else pytest.approx(alone.mean_iou))


def _slow_boundary_f1(truth, predicted, id, tolerance, flat):

    predicted = np.where(truth == 0, 0, predicted)

    def edges(labels):
        found = []
        for place in np.argwhere(labels == id):
            for axis in range(1 if flat else 0, 3):
                for step in (-1, 1):
                    other = place.copy()
                    other[axis] += step
                    if 0 <= other[axis] < labels.shape[axis] and labels[tuple(other)] not in (0, id):
                        found.append(tuple(place))
        return sorted(set(found))

    def met(mine, others):
        near = [
            any(sum((a - b) ** 2 for a, b in zip(m, o, strict=True)) <= tolerance**2 and (not flat or m[0] == o[0]) for o in others)
            for m in mine
        ]
        return sum(near)

    real, said = edges(truth), edges(predicted)
    if not real and not said:
        return float("nan")
    precision, recall = met(said, real) / max(1, len(said)), met(real, said) / max(1, len(real))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_boundary_f1_is_that_of_an_obvious_count_whatever_the_blocks(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    truth = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    predicted = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    flat, tolerance, cut = data.draw(st.booleans()), data.draw(st.integers(0, 2)), data.draw(st.integers(0, shape[2]))
    counted = Boundary(tolerance, flat)
    halo = counted.halo[2]
    for low, high in ((0, cut), (cut, shape[2])):
        if low == high:
            continue
        a, b = max(0, low - halo), min(shape[2], high + halo)
        counted.add(truth[..., a:b], predicted[..., a:b], (slice(None), slice(None), slice(low - a, high - a)))
    for id in (1, 2):
        np.testing.assert_allclose(counted.f1(id), _slow_boundary_f1(truth, predicted, id, tolerance, flat))
