"""Thresholds applied to blocks, against numpy's digitize."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.segmenters import Block, segmenter
from lithoscope.segmenters.by_level import checked_rising, labels_of

DTYPES = ["u1", "i1", "u2", "i2", ">u2", "u4", "i4", "f2", "f4", "f8"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.sampled_from([(1, 1, 1), (3, 1, 7), (2, 9, 5)]),
    st.booleans(),
)
def test_labels_are_digitize(dtype, seed, count, shape, on_values):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        image = rng.normal(0, 100, shape).astype(dtype)
    else:
        image = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)
    low, high = float(image.min()), float(image.max())
    some = rng.uniform(low - 5, high + 5, count)
    if on_values:
        some[: count // 2 + 1] = rng.choice(image.ravel().astype(float), count // 2 + 1)
    thresholds = np.unique(some)
    assert np.array_equal(labels_of(image, thresholds), np.digitize(image.astype(np.float64), thresholds, right=True) + 1)


def test_a_view_that_is_not_contiguous_is_labelled_too():
    image = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)[:, 1:4, ::2]
    assert np.array_equal(labels_of(image, np.array([50.0])), (image > 50) + 1)


def test_infinities_belong_to_the_outer_classes():
    image = np.array([[[-np.inf, 0.0, np.inf]]], np.float32)
    assert labels_of(image, np.array([-1.0, 1.0])).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    ("bounds", "said"), [((), "no class bounds"), ((5.0, 5.0), "rising"), ((9.0, 2.0), "rising"), ((np.inf,), "finite")]
)
def test_bounds_that_make_no_classes_are_refused(bounds, said):
    with pytest.raises(InputError, match=said):
        checked_rising(bounds)


def test_slices_take_their_own_thresholds_wherever_the_block_lies():
    method = segmenter("otsu")()
    method.thresholds_ = np.array([[10.0], [20.0], [30.0]])
    image = np.full((3, 1, 2), 25, np.uint8)
    assert method.predict(Block.of(image))[:, 0, 0].tolist() == [2, 2, 1]
    below = Block(image=image, core=(slice(1, 3), slice(0, 1), slice(0, 2)), window=(0, 255), origin=(-1, 0, 0))
    assert method.predict(below)[:, 0, 0].tolist() == [2, 2, 2]
    method.thresholds_ = np.array([[10.0], [30.0], [30.0]])
    assert method.predict(below)[:, 0, 0].tolist() == [2, 2, 1]
