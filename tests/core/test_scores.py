"""Scores of a segmentation against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from lithoscope.errors import InputError
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
