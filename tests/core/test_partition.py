"""The exact partition against every partition there is, and against scikit-image's."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.segmenters.partition import cut, inertia_of, means_of, thresholds_of
from lithoscope.volume.histogram import Histogram

histograms = st.lists(st.integers(0, 60), min_size=1, max_size=14)


def spread(counts, values, ends):
    """The squared distance to the class means, summed over all voxels."""
    total = 0.0
    for a, b in itertools.pairwise((0, *(np.array(ends, int) + 1), len(counts))):
        c, v = counts[a:b], values[a:b]
        total += (c * (v - (c * v).sum() / max(c.sum(), 1)) ** 2).sum()
    return total


@settings(max_examples=150, deadline=None)
@given(histograms, st.integers(1, 6), st.integers(-40_000, 40_000))
def test_no_partition_is_better(counts, classes, offset):
    counts, values = np.array(counts), offset + np.arange(len(counts), dtype=float)
    occupied = np.flatnonzero(counts)
    if occupied.size < classes:
        with pytest.raises(InputError, match="ask for fewer"):
            cut(counts, values, classes)
        return
    found = cut(counts, values, classes)
    assert len(found) == classes - 1
    assert np.all(np.diff(found) > 0)
    assert set(found) <= set(occupied[:-1])
    best = min(spread(counts, values, occupied[list(ends)]) for ends in itertools.combinations(range(occupied.size - 1), classes - 1))
    assert spread(counts, values, found) <= best + 1e-9 * max(best, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([np.uint8, np.int8]))
def test_thresholds_are_scikit_images_or_better(seed, classes, dtype):
    from skimage.filters import threshold_multiotsu

    rng = np.random.default_rng(seed)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    centres = rng.integers(low, high, classes)
    image = (rng.choice(centres, 3000) + rng.normal(0, rng.uniform(2, 30), 3000)).clip(low, high).astype(dtype)
    if np.unique(image).size < classes:
        return
    histogram = Histogram.of(image)
    ours, theirs = thresholds_of(histogram, classes), threshold_multiotsu(image, classes=classes)
    if not np.array_equal(ours, theirs):
        counts, values = histogram.counts, histogram.values
        assert spread(counts, values, (ours - values[0]).astype(int)) <= spread(counts, values, (theirs - values[0]).astype(int)) * (
            1 + 1e-12
        )


def test_one_level_a_class_keeps_each_level_apart():
    histogram = Histogram.of(np.array([3, 3, 9, 200], np.uint8))
    assert thresholds_of(histogram, 3).tolist() == [3, 9]
    assert means_of(histogram, thresholds_of(histogram, 3)).tolist() == [3, 9, 200]


def test_equal_partitions_take_the_lower_threshold():
    assert cut(np.array([5, 5, 5]), np.arange(3.0), 2).tolist() == [0]


def test_billions_of_voxels_lose_no_precision():
    counts = np.array([10**11, 1, 10**11, 10**11 - 1])
    assert cut(counts, np.array([0.0, 1.0, 30_000.0, 65_535.0]), 3).tolist() == [1, 2]


def test_inertia_is_that_of_the_nearest_centres():
    image = np.array([0, 1, 10, 12, 200], np.uint8)
    assert inertia_of(Histogram.of(image), np.array([11.0, 200.0, 0.5])) == pytest.approx(0.25 * 2 + 1 * 2)


def test_all_levels_of_sixteen_bits_are_weighed():
    counts = np.random.default_rng(0).integers(0, 1000, 65_536)
    assert len(cut(counts, np.arange(65_536.0), 5)) == 4
