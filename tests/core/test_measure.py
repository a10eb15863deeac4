"""Phases measured block by block against numpy over the whole, intervals against known sampling errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lithoscope.classes import Class, ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Cancelled
from lithoscope.measure.agreement import against, agreement
from lithoscope.measure.connectivity import connected
from lithoscope.measure.correlation import two_point
from lithoscope.measure.intervals import sampling_intervals, tile_edges
from lithoscope.measure.phases import count_phases, summary
from lithoscope.measure.surface import DIRECTIONS, crossings, surfaces
from lithoscope.scores.boundary import Boundary
from lithoscope.volume.box import Box
from lithoscope.volume.field_of_view import Cylinder
from lithoscope.volume.voxel import Voxel

TABLE = ClassTable.of([Class(1, "pore", "#3b7dd8", 1.0), Class(2, "clay", "#e69f00", 0.4), Class(4, "grain", "#2ca25f")])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_counts_and_profiles_are_numpys(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=21))
    labels = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 4]), fill=st.sampled_from([1, 4])))
    edge = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    counts = count_phases(labels, TABLE, edge=edge)
    for column, id in enumerate(TABLE.ids):
        mask = labels == id
        assert counts.totals[column] == mask.sum() == counts.tiles[..., column].sum()
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            np.testing.assert_array_equal(counts.profiles[axis][:, column], mask.sum(axis=others))
    assert counts.unlabelled == (labels == 0).sum()


def test_each_tile_counts_its_own_voxels():
    labels = np.random.default_rng(0).choice(np.array([1, 2, 4], np.uint8), (40, 37, 50))
    counts = count_phases(labels, TABLE, edge=(16, 64, 13))
    z, y, x = tile_edges(labels.shape)
    for i, j, k in np.ndindex(*counts.tiles.shape[:3]):
        tile = labels[z[i] : z[i + 1], y[j] : y[j + 1], x[k] : x[k + 1]]
        np.testing.assert_array_equal(counts.tiles[i, j, k], [(tile == id).sum() for id in TABLE.ids])


def test_outside_the_field_of_view_nothing_counts():
    labels = np.full((3, 20, 20), 4, np.uint8)
    labels[:, 6:14, 6:14] = 1
    view = Cylinder(9.5, 9.5, 5)
    counts = count_phases(labels, TABLE, field_of_view=view, edge=(2, 8, 8))
    confusion = against(labels, labels, field_of_view=view, edge=(2, 8, 8)).confusion
    y, x = np.mgrid[:20, :20] - 9.5
    inside = np.broadcast_to(y**2 + x**2 <= 25, labels.shape)
    assert counts.totals.tolist() == [(labels[inside] == id).sum() for id in TABLE.ids]
    assert confusion.known.sum() == inside.sum()
    assert counts.unlabelled == 0


def test_the_summary_gives_fractions_volumes_and_porosity():
    labels = np.ones((4, 5, 10), np.uint8)
    labels[:, :, 3:] = 4
    labels[:, :, 2] = 2
    found = summary(count_phases(labels, TABLE), voxel=Voxel((2, 1, 1), "mm"))
    assert [found["phases"][k]["fraction"] for k in ("1", "2", "4")] == pytest.approx([0.2, 0.1, 0.7])
    assert found["phases"]["1"]["volume"] == 80
    assert found["volume_unit"] == "mm³"
    assert found["porosity"] == pytest.approx(0.2 + 0.4 * 0.1)
    assert found["profiles"]["x"]["1"] == [1.0] * 2 + [0.0] * 8
    assert found["phases"]["1"]["low"] is None


def test_intervals_hold_the_true_fraction_about_as_often_as_they_say():
    random = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        pore = random.binomial(1000, random.beta(2, 8, size=64))
        (low, high), _ = sampling_intervals(np.stack([pore, 1000 - pore], 1), np.eye(2), seed=trial)
        hits += low <= 0.2 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_interval_of_the_porosity_weighs_the_classes():
    counts = np.random.default_rng(0).integers(1, 100, (64, 3))
    weights = np.vstack([np.eye(3), [1.0, 0.0, 0.0]])
    intervals = sampling_intervals(counts, weights)
    assert intervals[0] == intervals[3]
    assert all(low < high for low, high in intervals)


def test_agreement_of_a_result_with_itself_is_perfect():
    labels = np.random.default_rng(0).choice(np.array([1, 2, 4], np.uint8), (6, 7, 8))
    found = against(labels, labels, boundary=Boundary()).to_json()
    assert found["by_slice"]["mean_iou"] == [1.0] * 6
    assert found["mean_boundary_f1"] == 1
    assert found["mean_iou"] == 1
    assert found["iou"] == found["dice"] == {"1": 1.0, "2": 1.0, "4": 1.0}


def test_a_truth_of_another_grid_and_empty_labels_are_refused():
    labels = np.zeros((2, 3, 4), np.uint8)
    with pytest.raises(InputError, match="same grid"):
        against(labels, labels[:1])
    with pytest.raises(InputError, match="nothing to measure"):
        summary(count_phases(labels, TABLE))
    with pytest.raises(InputError, match="nothing to compare"):
        agreement(against(labels, labels).confusion)


def test_measuring_stops_when_cancelled():
    def cancel(progress):
        if progress.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        count_phases(np.ones((8, 4, 4), np.uint8), TABLE, edge=(2, 4, 4), report=cancel)


def _rock(shape, sigma, seed):
    """A random-field rock with perfect labels, its pore fraction .2 in the population though never quite in one sample."""
    from scipy.ndimage import gaussian_filter
    from scipy.stats import norm

    margin = int(4 * sigma)
    field = np.random.default_rng(seed).normal(size=[n + 2 * margin for n in shape]).astype(np.float32)
    field = gaussian_filter(field, sigma)[tuple(slice(margin, margin + n) for n in shape)]
    impulse = np.zeros(8 * margin + 1)
    impulse[4 * margin] = 1
    spread = (gaussian_filter(impulse, sigma) ** 2).sum() ** 1.5
    return (1 + (field > norm.ppf(0.2) * spread)).astype(np.uint8)


def test_the_sampling_interval_covers_the_population_fraction_in_90_to_99_of_100():
    table, shape, hits = ClassTable.numbered(2), (40, 40, 40), 0
    for seed in range(100):
        labels = _rock(shape, 1.3, seed)
        found = summary(count_phases(labels, table), correlation=two_point(labels, table))["phases"]["1"]
        hits += found["low"] <= 0.2 <= found["high"]
    assert 90 <= hits <= 99


def test_correlation_is_that_of_all_pairs():
    labels = np.random.default_rng(0).choice(np.array([0, 1, 2, 4], np.uint8), (12, 14, 15))
    view = Cylinder(7, 7, 5)
    inside = view.inside(Box.whole(labels.shape))
    known = np.where(inside, labels, 0)
    for id, found in zip(TABLE.ids, two_point(labels, TABLE, field_of_view=view), strict=True):
        for axis in range(3):
            for lag, value in enumerate(found.probability[axis]):
                a = np.moveaxis(known, axis, 0)[: labels.shape[axis] - lag]
                b = np.moveaxis(known, axis, 0)[lag:]
                assert value == pytest.approx(((a == id) & (b == id)).sum() / ((a > 0) & (b > 0)).sum(), abs=1e-4)


def test_correlation_lengths_are_those_of_layers():
    labels = np.ones((64, 20, 20), np.uint8)
    labels[np.arange(64) // 8 % 2 == 0] = 4
    z, y, _ = two_point(labels, TABLE)[0].lengths
    assert 2 < z < 4
    assert y > 8


def test_the_representative_curve_is_that_of_all_boxes():
    labels = np.random.default_rng(0).choice(np.array([1, 4], np.uint8), (8, 12, 12), p=[0.3, 0.7])
    counts = count_phases(labels, TABLE)
    curve = summary(counts, voxel=Voxel((1, 1, 1)))["representative"]["1"]
    z, y, x = counts.edges
    boxes = [
        labels[z[i] : z[i + 2], y[j] : y[j + 2], x[k] : x[k + 2]]
        for i in range(len(z) - 2) for j in range(len(y) - 2) for k in range(len(x) - 2)
    ]  # fmt: skip
    low, middle, high = np.percentile([(b == 1).mean() for b in boxes], [5, 50, 95])
    assert (curve[1]["low"], curve[1]["median"], curve[1]["high"]) == pytest.approx((low, middle, high))
    assert curve[-1]["low"] == curve[-1]["high"] == pytest.approx((labels == 1).mean())
    assert curve[-1]["length"] == pytest.approx(labels.size ** (1 / 3))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_connected_voxels_are_those_of_the_whole_volume(data):
    from scipy.ndimage import label

    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=9))
    part = data.draw(st.floats(0.1, 0.8))
    labels = (np.random.default_rng(data.draw(st.integers(0, 1000))).random(shape) < part).astype(np.uint8)
    labels[0, 0, 0] = 2
    found = connected(labels, [[2], [1]], edge=data.draw(st.tuples(*[st.integers(2, 9)] * 3)))[1]
    numbered, count = label(labels == 1)
    sizes = np.bincount(numbered.ravel())[1:]
    assert (found.components, found.voxels, found.largest) == (count, (labels == 1).sum(), sizes.max(initial=0))
    for axis, name in enumerate("zyx"):
        both = (set(np.unique(numbered.take(0, axis))) & set(np.unique(numbered.take(-1, axis)))) - {0}
        assert found.across[name] == sum(sizes[n - 1] for n in both)
    inner = numbered[1:-1, 1:-1, 1:-1]
    touching = set(range(1, count + 1)) - {n for n in range(1, count + 1) if (numbered == n).sum() == (inner == n).sum()}
    assert found.touching == sum(sizes[n - 1] for n in touching)


def test_connected_pores_end_at_the_field_of_view():
    labels = np.ones((3, 11, 11), np.uint8)
    labels[1] = 2
    found = connected(labels, [[1]], field_of_view=Cylinder(5, 5, 4))[0]
    inside = np.broadcast_to(Cylinder(5, 5, 4).inside(Box.whole(labels.shape)), labels.shape)
    assert (found.components, found.voxels) == (2, (inside & (labels == 1)).sum())
    assert found.to_json()["percolates"] == {"z": False, "y": False, "x": False}
    assert found.touching == found.voxels


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 140)),
    edge=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 90)),
    seen=st.booleans(),
)
def test_crossings_are_counted_pair_by_pair(seed, shape, edge, seen):
    labels = np.random.default_rng(seed).choice([0, 1, 4, 7], size=shape, p=[0.1, 0.5, 0.3, 0.1]).astype(np.uint8)
    view = Cylinder(shape[1] / 2, shape[2] / 2, max(shape[1:]) / 2.5) if seen else None
    kept = labels if view is None or view.inside(Box.whole(shape)) is None else labels * view.inside(Box.whole(shape))
    crossed, pairs = crossings(labels, TABLE, field_of_view=view, edge=edge)
    for column, step in enumerate(DIRECTIONS):
        a, b = [], []
        for z, y, x in np.ndindex(shape):
            there = tuple(n + s for n, s in zip((z, y, x), step, strict=True))
            if all(0 <= n < size for n, size in zip(there, shape, strict=True)):
                a.append(kept[z, y, x])
                b.append(kept[there])
        here, other = np.array(a, np.uint8), np.array(b, np.uint8)
        known = np.isin(here, TABLE.ids) & np.isin(other, TABLE.ids)
        assert pairs[column] == known.sum()
        for row, id in enumerate(TABLE.ids):
            assert crossed[row, column] == (known & (here != other) & ((here == id) | (other == id))).sum()


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 1)])
def test_the_surface_of_a_ball_is_right_within_two_percent_and_the_same_in_blocks(size):
    at = [(np.arange(n) - n / 2 + 0.3) * s for n, s in zip((44, 44, 44), size, strict=True)]
    labels = np.where(at[0][:, None, None] ** 2 + at[1][:, None] ** 2 + at[2] ** 2 <= 15**2, 1, 4).astype(np.uint8)
    counted = crossings(labels, TABLE)
    for whole, parts in zip(counted, crossings(labels, TABLE, edge=(13, 17, 44)), strict=True):
        np.testing.assert_array_equal(whole, parts)
    found = surfaces(*counted, TABLE, Voxel(size, "um"))
    assert found["phases"]["1"]["area"] == pytest.approx(4 * np.pi * 15**2, rel=0.02)
    assert found["phases"]["4"] == found["phases"]["1"]
    assert found["unit"] == "µm"
