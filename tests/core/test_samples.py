"""What is learnt from: strokes as voxels, which are held back, and the samples that methods are given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.labels.heldout import held_out
from lithoscope.labels.painted import Painted, connected
from lithoscope.labels.samples import StrokeSamples, Taught
from lithoscope.labels.strokes import strokes
from lithoscope.labels.teaching import matched, merged, taught_by
from lithoscope.segmenters import configured, segmenter
from lithoscope.volume.box import Box

THREE = ClassTable.numbered(3)


@pytest.fixture
def scan(tmp_path):
    from lithoscope.volume.convert import import_scan

    image = np.random.default_rng(0).integers(0, 255, (12, 90, 100), dtype=np.uint8)
    np.save(tmp_path / "a.npy", image)
    return import_scan(tmp_path / "a.npy", tmp_path / "a.zarr", field_of_view=None)


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.integers(1, 7)] * 3), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_strokes_are_the_connected_parts_of_each_class(shape, seed, filled):
    from scipy.ndimage import label

    rng = np.random.default_rng(seed)
    labels = (rng.integers(1, 4, shape) * (rng.random(shape) < filled)).astype("u1")
    painted = Painted.of(labels)
    assert len(painted) == np.count_nonzero(labels)
    if not len(painted):
        return
    number = np.zeros(shape, int)
    number[tuple(painted.places.T)] = painted.strokes + 1
    count = 0
    for id in np.unique(painted.labels):
        pieces, found = label(labels == id, np.ones((3, 3, 3)))
        count += found
        for k in range(1, found + 1):
            assert len(np.unique(number[pieces == k])) == 1
    assert len(np.unique(painted.strokes)) == count


def test_strokes_do_not_join_around_the_edge_of_the_array():
    places = np.array([[0, 0, 9], [0, 1, 0]])
    assert len(np.unique(connected(places, np.array([1, 1], np.uint8), (1, 2, 10)))) == 2


def test_boxes_hold_every_painted_voxel_once():
    labels = (np.random.default_rng(3).random((9, 40, 30)) < 0.02).astype("u1")
    painted = Painted.of(labels)
    seen = np.concatenate([chosen for _, chosen in painted.boxes((4, 16, 16))])
    assert sorted(seen) == list(range(len(painted)))
    for box, chosen in painted.boxes((4, 16, 16)):
        assert (painted.places[chosen] >= box.start).all()
        assert (painted.places[chosen] < box.stop).all()


def squares(*rows):
    """Strokes of 6 × 6 voxels at (y, x) of a plane, by class."""
    labels = np.zeros((1, 400, 400), np.uint8)
    for id, y, x in rows:
        labels[0, y : y + 6, x : x + 6] = id
    return Painted.of(labels)


def test_held_strokes_are_whole_and_far_from_those_that_teach():
    rng = np.random.default_rng(0)
    painted = squares(
        *[(1 + k % 2, 20 * y, 20 * x) for k, (y, x) in enumerate(rng.permutation(400).reshape(-1)[:40, None] // [20, 1] % 20)]
    )
    split = held_out([painted], THREE, halo=25)
    assert not split.lacking
    held, aside = split.held[0], split.aside[0]
    assert not (held & aside).any()
    for stroke in np.unique(painted.strokes):
        assert len(np.unique(held[painted.strokes == stroke])) == 1
    teaching = painted.places[~held & ~aside]
    apart = np.abs(painted.places[held][:, None] - teaching[None]).max(2)
    assert apart.min() >= 25
    for id in (1, 2):
        own = painted.labels == id
        assert 0.15 <= (held & own).sum() / own.sum() <= 0.5
        assert (~held & ~aside & own).any()


def test_too_few_strokes_are_said_by_class():
    split = held_out([squares((1, 0, 0), (1, 100, 100), (1, 200, 200), (1, 300, 300), (1, 390, 10), (2, 50, 300))], THREE, halo=10)
    assert split.lacking == "paint 2 more strokes of class 2 for a score, at least 10 voxels from the others"


def test_strokes_on_separate_slices_neither_join_nor_come_near():
    labels = np.zeros((6, 60, 60), np.uint8)
    labels[:, 5:12, 5:12], labels[:, 40:47, 40:47] = 1, 2
    joined, apart = Painted.of(labels), Painted.of(labels, flat=True)
    assert len(np.unique(joined.strokes)) == 2
    assert len(np.unique(apart.strokes)) == 12
    assert "more strokes" in held_out([joined], THREE, halo=20).lacking
    split = held_out([apart], THREE, halo=20)
    assert not split.lacking
    assert not set(np.unique(apart.places[split.held[0] & (apart.labels == 1), 0])) & set(
        np.unique(apart.places[~split.held[0] & (apart.labels == 1), 0])
    )


def test_strokes_of_several_scans_are_never_near_each_other():
    one = squares((1, 0, 0), (2, 20, 20))
    split = held_out([one, one, one, one], THREE, halo=500)
    assert not split.lacking


def test_samples_hold_what_is_painted_and_mark_what_is_held(scan):
    with strokes(scan) as store:
        for k in range(5):
            store.write(Box((5, 2, 20 * k), (6, 8, 20 * k + 4)), None, np.uint8(1))
            store.write(Box((5, 80, 20 * k), (6, 88, 20 * k + 4)), None, np.uint8(2))
        one = Taught.of(scan, store)
    samples = StrokeSamples.of([one], THREE, configured(segmenter("threshold"), {"bounds": (100,)}))
    total = sum(np.count_nonzero(s.labels) for s in samples)
    assert total == len(one.painted) == 5 * 24 + 5 * 32
    for sample in samples:
        assert np.array_equal(
            sample.image, scan.array()[tuple(slice(o, o + n) for o, n in zip(sample.origin, sample.image.shape, strict=True))]
        )
    scored = samples.scored((0, 15, 15))
    held = sum(np.count_nonzero(s.labels * s.held) for s in scored)
    assert 0 < held < total / 2


def test_only_what_lies_in_the_field_of_view_is_learnt_from(scan):
    with strokes(scan) as store:
        store.write(Box((0, 0, 0), (1, 90, 100)), None, np.uint8(1))
        scan.set(field_of_view="cylinder:45,50,20")
        one = Taught.of(scan, store)
    assert 0 < len(one.painted) < 90 * 100 / 2


def test_nothing_painted_is_said(scan):
    with pytest.raises(InputError, match="nothing is painted on a"):
        taught_by([scan], ["strokes"])


def test_classes_of_several_scans_are_the_same_if_their_names_are():
    pore_first = ClassTable().add("pore").add("clay")
    clay_first = ClassTable().add("Clay").add("pore").add("grain")
    table, ids = merged(pore_first, clay_first)
    assert [c.name for c in table] == ["pore", "clay", "grain"]
    assert ids == {1: 2, 2: 1, 3: 3}
    assert matched(pore_first, clay_first) == "classes of the model in this scan: 1 pore is its 2 pore, 2 clay is its 1 Clay"


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=9), elements=st.sampled_from([0, 0, 0, 1, 7, 255])))
def test_what_is_filled_is_found_wherever_it_lies(said):
    from lithoscope.labels.painted import _filled

    np.testing.assert_array_equal(_filled(said), np.flatnonzero(said))
