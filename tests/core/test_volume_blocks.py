"""Blocks cover a box once, and reading beyond the faces is numpy's symmetric padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lithoscope.volume.blocks import blocks, read
from lithoscope.volume.box import Box
from lithoscope.volume.pyramid import coarser, level_factors, level_shapes, level_steps, reduce_image, reduce_labels
from lithoscope.volume.store import Layout

sides = st.integers(1, 9)
shapes = st.tuples(sides, sides, sides)


@given(shapes, shapes, st.data())
def test_blocks_cover_a_box_once_on_the_grid_of_the_scan(shape, edge, data):
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    box = Box(start, stop)
    covered = np.zeros(shape, int)
    found = blocks(box, edge)
    for block in found:
        covered[block.slices] += 1
        assert all(a // e == (b - 1) // e for a, b, e in zip(block.start, block.stop, edge, strict=True))
    expected = np.zeros(shape, int)
    expected[box.slices] = 1
    assert (covered == expected).all()
    assert found == sorted(found)


def test_an_empty_box_has_no_blocks():
    assert blocks(Box((2, 2, 2), (2, 5, 5)), (2, 2, 2)) == []


@given(hnp.arrays(np.int16, shapes), st.data())
def test_reading_beyond_the_faces_is_symmetric_padding(array, data):
    halo = data.draw(st.tuples(*[st.integers(0, 25)] * 3))
    start = tuple(data.draw(st.integers(0, n - 1)) for n in array.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, array.shape, strict=True))
    padded = np.pad(array, [(h, h) for h in halo], "symmetric")
    grown = Box(start, stop).grow(halo)
    assert (read(array, grown) == padded[grown.shift(halo).slices]).all()


@given(hnp.arrays(np.uint8, shapes))
def test_reading_a_box_wholly_outside_still_reflects(array):
    n = array.shape[0]
    assert (read(array, Box((-n, 0, 0), (0, *array.shape[1:]))) == array[::-1]).all()


def slow_mean(block, factors):
    out = np.zeros([-(-n // f) for n, f in zip(block.shape, factors, strict=True)], block.dtype)
    for place in np.ndindex(out.shape):
        cell = block[tuple(slice(i * f, (i + 1) * f) for i, f in zip(place, factors, strict=True))]
        exact = sum(float(v) for v in cell.ravel()) / cell.size
        out[place] = np.floor(exact + 0.5) if block.dtype.kind in "iu" else exact
    return out


@given(hnp.arrays(st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32]), shapes), st.tuples(*[st.sampled_from([1, 2])] * 3))
def test_images_are_reduced_by_means_rounded_half_up(block, factors):
    result = reduce_image(block, factors)
    assert result.dtype == block.dtype
    assert (result == slow_mean(block, factors)).all()


@given(hnp.arrays(np.uint8, shapes), st.tuples(*[st.integers(1, 5)] * 3))
def test_binning_by_any_factor_is_the_mean(block, factors):
    assert (reduce_image(block, factors) == slow_mean(block, factors)).all()


@given(hnp.arrays(np.float32, shapes, elements=st.floats(-1000, 1000, width=32)), st.tuples(*[st.integers(1, 3)] * 3))
def test_floats_are_reduced_by_means(block, factors):
    assert np.allclose(reduce_image(block, factors), slow_mean(block, factors), atol=1e-2)


@given(hnp.arrays(np.uint8, shapes), st.tuples(*[st.integers(1, 3)] * 3))
def test_labels_are_picked_not_averaged(block, factors):
    assert set(np.unique(reduce_labels(block, factors))) <= set(np.unique(block))


@given(st.tuples(*[st.integers(1, 9000)] * 3), st.sampled_from([np.uint8, np.uint16, np.float64]))
def test_one_full_shard_fills_whole_shards_of_every_level(shape, dtype):
    levels, steps, factors = level_shapes(shape), level_steps(shape), level_factors(shape)
    layout = Layout.of(shape, dtype)
    assert max(levels[-1]) <= 512
    assert len(levels) == len(steps) == len(factors) == len(layout.shards())
    for level, factor, shard, chunk in zip(levels, factors, layout.shards(), layout.chunks(), strict=True):
        assert level == tuple(-(-n // f) for n, f in zip(shape, factor, strict=True))
        assert all(s * f == full or (s == 1 and f >= full) for s, f, full in zip(shard, factor, layout.shard, strict=True))
        assert all(s % c == 0 and c <= 64 for s, c in zip(shard, chunk, strict=True))
    second = Box(layout.shard, tuple(2 * s for s in layout.shard))
    for factor, shard in zip(factors, layout.shards(), strict=True):
        assert coarser(second, factor).start == shard


@pytest.mark.parametrize("shape", [(1, 1, 1), (512, 512, 512), (1, 1000, 1), (40, 500, 500)])
def test_small_scans_have_small_shards(shape):
    assert all(s < 2 * n for s, n in zip(Layout.of(shape, np.uint8).shard, shape, strict=True))
