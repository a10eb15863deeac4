"""Phases measured block by block against numpy over the whole, intervals against known sampling errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lithoscope.classes import Class, ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Cancelled
from lithoscope.measure.intervals import sampling_intervals, tile_edges
from lithoscope.measure.phases import agreement, count_phases, summary
from lithoscope.volume.field_of_view import Cylinder
from lithoscope.volume.voxel import Voxel

TABLE = ClassTable.of([Class(1, "pore", "#3b7dd8", 1.0), Class(2, "clay", "#e69f00", 0.4), Class(4, "grain", "#2ca25f")])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_counts_and_profiles_are_numpys(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=21))
    labels = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 4]), fill=st.sampled_from([1, 4])))
    edge = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    counts, _ = count_phases(labels, TABLE, edge=edge)
    for column, id in enumerate(TABLE.ids):
        mask = labels == id
        assert counts.totals[column] == mask.sum() == counts.tiles[..., column].sum()
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            np.testing.assert_array_equal(counts.profiles[axis][:, column], mask.sum(axis=others))
    assert counts.unlabelled == (labels == 0).sum()


def test_each_tile_counts_its_own_voxels():
    labels = np.random.default_rng(0).choice(np.array([1, 2, 4], np.uint8), (40, 37, 50))
    counts, _ = count_phases(labels, TABLE, edge=(16, 64, 13))
    z, y, x = tile_edges(labels.shape)
    for i, j, k in np.ndindex(*counts.tiles.shape[:3]):
        tile = labels[z[i] : z[i + 1], y[j] : y[j + 1], x[k] : x[k + 1]]
        np.testing.assert_array_equal(counts.tiles[i, j, k], [(tile == id).sum() for id in TABLE.ids])


def test_outside_the_field_of_view_nothing_counts():
    labels = np.full((3, 20, 20), 4, np.uint8)
    labels[:, 6:14, 6:14] = 1
    view = Cylinder(9.5, 9.5, 5)
    counts, confusion = count_phases(labels, TABLE, field_of_view=view, truth=labels, edge=(2, 8, 8))
    y, x = np.mgrid[:20, :20] - 9.5
    inside = np.broadcast_to(y**2 + x**2 <= 25, labels.shape)
    assert counts.totals.tolist() == [(labels[inside] == id).sum() for id in TABLE.ids]
    assert confusion.counts.sum() == inside.sum()
    assert counts.unlabelled == 0


def test_the_summary_gives_fractions_volumes_and_porosity():
    labels = np.ones((4, 5, 10), np.uint8)
    labels[:, :, 3:] = 4
    labels[:, :, 2] = 2
    found = summary(count_phases(labels, TABLE)[0], voxel=Voxel((2, 1, 1), "mm"))
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
    found = agreement(count_phases(labels, TABLE, truth=labels)[1])
    assert found["mean_iou"] == 1
    assert found["iou"] == found["dice"] == {"1": 1.0, "2": 1.0, "4": 1.0}


def test_a_truth_of_another_grid_and_empty_labels_are_refused():
    labels = np.zeros((2, 3, 4), np.uint8)
    with pytest.raises(InputError, match="same grid"):
        count_phases(labels, TABLE, truth=labels[:1])
    with pytest.raises(InputError, match="nothing to measure"):
        summary(count_phases(labels, TABLE)[0])
    with pytest.raises(InputError, match="nothing to compare"):
        agreement(count_phases(labels, TABLE, truth=labels)[1])


def test_measuring_stops_when_cancelled():
    def cancel(progress):
        if progress.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        count_phases(np.ones((8, 4, 4), np.uint8), TABLE, edge=(2, 4, 4), report=cancel)
