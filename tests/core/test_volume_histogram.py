"""Counting agrees with numpy for every dtype, in any division into blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lithoscope.volume.counting import PIECE, Counter
from lithoscope.volume.histogram import BINS

shapes = st.tuples(*[st.integers(1, 6)] * 3)


@given(hnp.arrays(st.sampled_from([np.uint8, np.int8, np.uint16, np.int16]), shapes))
def test_small_integers_are_counted_level_by_level(block):
    counter = Counter(block.dtype)
    counter.add(block)
    histogram = counter.histogram()
    levels, counts = np.unique(block, return_counts=True)
    present = histogram.counts > 0
    assert histogram.exact
    assert (histogram.values[present] == levels).all()
    assert (histogram.counts[present] == counts).all()
    assert (histogram.minimum, histogram.maximum) == (block.min(), block.max())


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_large_planes_are_counted_as_small_ones(dtype):
    info = np.iinfo(dtype)
    block = np.random.default_rng(1).integers(info.min, info.max, (2, 613, 411), dtype, endpoint=True)
    counter = Counter(dtype)
    counter.add(block)
    expected = np.bincount(block.ravel().astype(int) - info.min, minlength=1)
    assert (counter.histogram().counts == expected[expected.nonzero()[0][0] :]).all()


def test_a_plane_larger_than_one_piece_is_counted_whole():
    block = np.ones((1, 3, PIECE // 2), np.uint8)
    counter = Counter(np.uint8)
    counter.add(block)
    assert counter.histogram().total == block.size


finite = st.floats(-1e6, 1e6, width=32)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint32]), shapes, elements={"allow_nan": False, "allow_infinity": False}
    )
)
def test_other_values_fall_into_bins_closed_above(block):
    counter = Counter(block.dtype, block)
    counter.add(block)
    histogram = counter.histogram()
    assert histogram.total == block.size
    assert (histogram.minimum, histogram.maximum) == (float(block.min()), float(block.max()))
    upper = np.append(histogram.upper[:-1], np.inf)
    expected = np.bincount(np.searchsorted(upper, block.astype(np.float64).ravel(), side="left"), minlength=BINS + 2)
    assert (histogram.counts == expected).all()


@given(hnp.arrays(np.float32, shapes, elements=st.one_of(finite, st.just(float("nan")), st.just(float("inf")), st.just(-float("inf")))))
def test_nan_and_infinities_are_counted_apart(block):
    counter = Counter(block.dtype, block)
    counter.add(block)
    histogram = counter.histogram()
    assert histogram.nan == np.isnan(block).sum()
    assert histogram.infinite == np.isinf(block).sum()
    assert histogram.total == np.isfinite(block).sum()


def test_a_scan_of_nothing_but_nan_has_an_empty_histogram():
    block = np.full((2, 3, 4), np.nan, np.float32)
    counter = Counter(np.float32, block)
    counter.add(block)
    assert counter.histogram().total == 0
    assert counter.histogram().nan == 24


@pytest.mark.parametrize("value", [0.0, -3.25, 1e-30, 1e30])
def test_constant_floats_have_their_value_as_every_percentile(value):
    block = np.full((2, 3, 4), value, np.float64)
    counter = Counter(np.float64, block)
    counter.add(block)
    histogram = counter.histogram()
    assert histogram.percentile(0.5) == histogram.percentile(99.5) == value
    low, high = histogram.window()
    assert low < high or value == 1e30


def test_percentiles_of_floats_are_within_a_bin_of_numpys():
    block = np.random.default_rng(0).normal(10, 3, (20, 50, 60)).astype(np.float32)
    counter = Counter(np.float32, block[::4])
    counter.add(block)
    histogram = counter.histogram()
    for q in (0.5, 5, 50, 95, 99.5):
        assert histogram.percentile(q) == pytest.approx(float(np.percentile(block, q)), abs=0.02)


@given(hnp.arrays(np.uint8, shapes), st.data())
def test_only_the_inside_is_counted(block, data):
    inside = data.draw(hnp.arrays(np.bool_, block.shape))
    counter = Counter(np.uint8)
    counter.add(block, inside)
    assert counter.histogram().total == inside.sum()


def test_the_widest_range_of_floats_is_counted():
    block = np.array([[[-np.finfo(np.float64).max, 0.0, 1.0, np.finfo(np.float64).max]]])
    counter = Counter(np.float64, block)
    counter.add(block)
    histogram = counter.histogram()
    assert histogram.total == 4
    assert histogram.counts[0] == histogram.counts[-1] == 1


def test_a_span_of_denormal_numbers_is_counted():
    values = np.array([[[2.2e-309, 0.0, 0.0]]])
    counter = Counter(values.dtype, values)
    counter.add(values)
    assert counter.histogram().total == 3
