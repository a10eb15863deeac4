"""Components found and removed block by block, against cc3d, scipy and slow versions over the whole volume."""

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from lithoscope.classes import ClassTable
from lithoscope.job import Cancelled, silent
from lithoscope.labels.clean import apply
from lithoscope.labels.cleaning.components import Components
from lithoscope.labels.cleaning.steps import Place, Taking, meaning, parse_steps
from lithoscope.volume.box import Box

shapes = st.tuples(*[st.integers(1, 11)] * 3)
edges = st.tuples(*[st.integers(1, 6)] * 3)
volumes = shapes.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3)))
connectivities = st.sampled_from([6, 18, 26])


class InMemory:
    """Scratch arrays for tests."""

    def __init__(self, shape):
        self.shape = shape

    def array(self, dtype=np.uint8):
        return np.zeros(self.shape, dtype)

    def drop(self, array):
        pass


def done(text, labels, edge, *, flat=False, classes=3, frame=None):
    """The labels after one step."""
    place = Place(ClassTable.numbered(classes), None, flat)
    for action in meaning(parse_steps([text])[0], place):
        labels, _ = apply(action, labels, frame or Box.whole(labels.shape), edge, InMemory(labels.shape), flat=flat, report=silent)
    return labels


def whole_components(labels, connectivity, *, flat=False):
    if not flat:
        return cc3d.connected_components(labels, connectivity=connectivity).astype(np.int64)
    found = np.zeros(labels.shape, np.int64)
    for z, plane in enumerate(labels):
        numbers = cc3d.connected_components(plane, connectivity=4 if connectivity == 6 else 8).astype(np.int64)
        found[z] = np.where(numbers > 0, numbers + found.max(), 0)
    return found


def same_partition(a, b):
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def neighbours(numbers, flat):
    """Every pair of touching voxels, as flat indices."""
    index = np.arange(numbers.size).reshape(numbers.shape)
    for axis in range(1 if flat else 0, 3):
        low, high = (np.moveaxis(index, axis, 0)[part].ravel() for part in (slice(None, -1), slice(1, None)))
        yield from zip([*low, *high], [*high, *low], strict=True)


def most_touching(labels, numbers, gone, flat):
    """What each component in `gone` becomes: the slow, obvious version."""
    votes = {n: np.zeros(256, int) for n in gone}
    flat_numbers, flat_labels = numbers.ravel(), labels.ravel()
    for a, b in neighbours(numbers, flat):
        n = flat_numbers[a]
        if n in votes and flat_numbers[b] not in votes and flat_labels[b] not in (0, 255):
            votes[n][flat_labels[b]] += 1
    return {n: int(v.argmax()) if v.any() else 255 for n, v in votes.items()}


def removed_slowly(labels, numbers, gone, flat):
    out = labels.copy()
    for n, to in most_touching(labels, numbers, gone, flat).items():
        out[numbers == n] = to
    pending = (out == 255).astype(np.uint8)
    if pending.any():
        regions = whole_components(pending, 6, flat=flat)
        for n, to in most_touching(out, regions, set(range(1, regions.max() + 1)), flat).items():
            where = regions == n
            out[where] = labels[where] if to == 255 else to
    return out


@settings(max_examples=60, deadline=None)
@given(volumes, edges, connectivities, st.booleans(), st.booleans())
def test_components_by_blocks_are_those_of_the_whole(labels, edge, connectivity, flat, measured):
    whole = Box.whole(labels.shape)
    found = Components(labels, whole, edge, lambda block: block, connectivity=connectivity, flat=flat, measured=measured)
    expected = whole_components(labels, connectivity, flat=flat)
    numbers, sizes, faces = (np.zeros(labels.shape, np.int64) for _ in range(3))
    for part in found:
        own = np.where(part.crossing >= 0, part.crossing + 1, 10**6 * (part.index + 1) + np.arange(len(part.crossing)))
        own[0] = 0
        numbers[part.box.slices], sizes[part.box.slices] = own[part.numbers], part.sizes[part.numbers]
        faces[part.box.slices] = part.faces[part.numbers]
    assert same_partition(numbers, expected)
    counts = np.bincount(expected.ravel())
    counts[0] = 0
    assert np.array_equal(sizes, counts[expected] if measured else np.zeros(labels.shape))
    for axis in range(3):
        for side in (0, 1):
            touching = np.isin(expected, np.take(expected, -side, axis)) & (expected > 0) & (not flat or axis > 0)
            assert np.array_equal(faces >> (2 * axis + side) & 1, touching)
    assert np.array_equal(np.flatnonzero(found.seen), np.unique(labels))


@settings(max_examples=50, deadline=None)
@given(volumes, edges, connectivities, st.integers(1, 30), st.sampled_from(["", ",class=2", ",class=1+3"]), st.booleans())
def test_islands_are_removed_as_over_the_whole(labels, edge, connectivity, size, classes, flat):
    made = done(f"islands={size},connectivity={connectivity}{classes}", labels, edge, flat=flat)
    chosen = [int(c) for c in classes[7:].split("+")] if classes else [1, 2, 3]
    numbers = whole_components(np.where(np.isin(labels, chosen), labels, 0).astype(np.uint8), connectivity, flat=flat)
    counts = np.bincount(numbers.ravel())
    gone = {n for n in range(1, len(counts)) if counts[n] < size}
    assert np.array_equal(made, removed_slowly(labels, numbers, gone, flat))


@settings(max_examples=25, deadline=None)
@given(volumes.map(lambda v: v % 2), edges, st.integers(2, 40), st.sampled_from([1, 2, 3]))
def test_islands_of_a_mask_are_those_of_scikit_image(mask, edge, size, connectivity):
    from skimage.morphology import remove_small_objects

    expected = remove_small_objects(mask > 0, max_size=size - 1, connectivity=connectivity)
    made = done(f"islands={size},class=2,to=1,connectivity={[6, 18, 26][connectivity - 1]}", mask + np.uint8(1), edge)
    assert np.array_equal(made == 2, expected)


@settings(max_examples=40, deadline=None)
@given(volumes.map(lambda v: np.maximum(v, 1)), edges, connectivities)
def test_all_holes_are_those_that_scipy_fills(labels, edge, connectivity):
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    made = done(f"holes=all,class=2,connectivity={connectivity}", labels, edge)
    assert np.array_equal(made == 2, ndimage.binary_fill_holes(labels == 2, structure))


@settings(max_examples=40, deadline=None)
@given(volumes, edges, st.integers(1, 20))
def test_small_holes_are_filled_unless_they_reach_outside(labels, edge, size):
    made = done(f"holes={size},class=1", labels, edge)
    numbers, count = ndimage.label(labels != 1)
    face = np.ones(labels.shape, bool)
    face[1:-1, 1:-1, 1:-1] = False
    expected = labels.copy()
    for n in range(1, count + 1):
        where = numbers == n
        if where.sum() < size and not (where & face).any() and (labels[where] > 0).all():
            expected[where] = 1
    assert np.array_equal(made, expected)


@settings(max_examples=40, deadline=None)
@given(volumes, edges, connectivities)
def test_the_largest_component_of_each_class_is_kept(labels, edge, connectivity):
    made = done(f"largest,connectivity={connectivity}", labels, edge)
    numbers = whole_components(labels, connectivity)
    kept = set()
    for c in (1, 2, 3):
        counts = np.bincount(numbers[labels == c].ravel())
        if counts.any():
            best = np.flatnonzero(counts == counts.max())
            kept.add(min(best, key=lambda n: np.flatnonzero(numbers.ravel() == n)[0]))
    gone = set(range(1, numbers.max() + 1)) - kept
    assert np.array_equal(made, removed_slowly(labels, numbers, gone, False))


@settings(max_examples=40, deadline=None)
@given(volumes.map(lambda v: v % 3), edges, st.sampled_from("zyx"))
def test_what_leads_through_is_kept(labels, edge, axis):
    made = done(f"through={axis},class=1,to=2", labels, edge)
    numbers, count = ndimage.label(labels == 1)
    a = "zyx".index(axis)
    through = [n for n in range(1, count + 1) if (np.take(numbers, 0, a) == n).any() and (np.take(numbers, -1, a) == n).any()]
    expected = np.where((labels == 1) & ~np.isin(numbers, through), 2, labels)
    assert np.array_equal(made, expected)


def test_an_island_across_a_thousand_blocks_is_one():
    labels = np.full((20, 20, 20), 1, np.uint8)
    labels[::2, :, 3] = 2
    labels[:, 0, 3] = 2
    size = int((labels == 2).sum())
    kept = done(f"islands={size}", labels, (2, 2, 2))
    assert np.array_equal(kept, labels)
    assert (done(f"islands={size + 1}", labels, (2, 2, 2)) == 1).all()


def test_an_empty_volume_stays_empty():
    labels = np.zeros((5, 6, 7), np.uint8)
    for text in ("islands=9", "holes=all", "largest", "through=z", "majority=1", "median=1", "opening=1,class=1", "closing=1,class=1"):
        assert not done(text, labels, (3, 3, 3)).any()


def test_labels_outside_the_frame_are_not_looked_at():
    labels = np.full((6, 6, 6), 2, np.uint8)
    frame = Box((1, 1, 1), (5, 5, 5))
    labels[2, 2, 2] = 1
    made = done("islands=2", labels, (3, 3, 3), frame=frame)
    assert (made[frame.slices] == 2).all()
    assert made.sum() == 2 * 64


def test_it_stops_when_cancelled():
    def cancel(progress):
        raise Cancelled

    taking = meaning(parse_steps(["islands=3"])[0], Place(ClassTable.numbered(2)))[0]
    assert isinstance(taking, Taking)
    labels = np.ones((4, 4, 4), np.uint8)
    with pytest.raises(Cancelled):
        apply(taking, labels, Box.whole(labels.shape), (2, 2, 2), InMemory(labels.shape), flat=False, report=cancel)


def test_counts_of_changed_voxels_are_true():
    labels = np.random.default_rng(3).integers(0, 4, (12, 13, 14)).astype(np.uint8)
    for text in ("islands=6", "largest", "holes=5,class=1", "majority=1", "opening=1,class=2"):
        for action in meaning(parse_steps([text])[0], Place(ClassTable.numbered(3))):
            made, changed = apply(action, labels, Box.whole(labels.shape), (5, 5, 5), InMemory(labels.shape), flat=False, report=silent)
            assert changed == np.count_nonzero(made != labels)
