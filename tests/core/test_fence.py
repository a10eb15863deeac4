"""A brush paints only where its fence lets it, however napari writes; the tools find what was drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.labels.correcting import Plane
from lithoscope.labels.corrections import Corrected
from lithoscope.labels.drawn import drawn_around, drawn_planes
from lithoscope.labels.fence import Fence
from lithoscope.labels.store import LabelStore
from lithoscope.volume.box import Box

SHAPE = (9, 12, 15)
GREY = np.random.default_rng(3).integers(0, 100, SHAPE).astype(np.uint8)


@pytest.fixture(params=["strokes", "corrections"])
def labels(request, tmp_path):
    store = LabelStore(tmp_path / "s", SHAPE)
    store.write(Box((0, 0, 0), (9, 12, 6)), None, 3)
    yield store if request.param == "strokes" else Corrected(np.full(SHAPE, 2, np.uint8), store)
    store.close()


def expected(before: np.ndarray, painted: np.ndarray, value: int, over: set[int]) -> np.ndarray:
    allowed = painted & (GREY >= 20) & (GREY <= 70) & np.isin(before, list(over))
    return np.where(allowed, value, before)


@pytest.mark.parametrize("key", [np.s_[4], np.s_[2:5, 3:9, 2:12], np.s_[:, 4, :], "points", "mask"])
def test_whatever_way_it_is_painted_it_stays_within_the_fence(labels, key):
    rng = np.random.default_rng(5)
    if key == "points":
        key = tuple(rng.integers(0, n, 200) for n in SHAPE)
    elif key == "mask":
        key = rng.random(SHAPE) > 0.5
    before = labels[:]
    over = {3, 2, 0}
    labels.fence = Fence(GREY, (20, 70), frozenset(over))
    painted = np.zeros(SHAPE, bool)
    painted[key] = True
    labels[key] = 7
    assert np.array_equal(labels[:], expected(before, painted, 7, over))
    labels.fence = Fence(over=frozenset({200}))
    labels[key] = 9
    assert not (labels[:] == 9).any()
    labels.fence = None
    labels[key] = 9
    assert (labels[:][painted] == 9).all()


@settings(max_examples=40, deadline=None)
@given(
    points=st.lists(st.tuples(*(st.integers(0, n - 1) for n in SHAPE)), max_size=40),
    low=st.integers(0, 90),
    over=st.sets(st.integers(0, 2)),
)
def test_single_voxels_are_judged_as_boxes_are(points, low, over):
    labels = np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.uint8)

    class Plain:
        def read(self, box):
            return labels[box.slices]

    places = tuple(np.array([p[a] for p in points], int) for a in range(3))
    fence = Fence(GREY, (low, low + 30), frozenset(over))
    wanted = [low <= GREY[p] <= low + 30 and labels[p] in over for p in points]
    assert fence.at(Plain(), places).tolist() == wanted


def test_planes_that_were_drawn_are_found_and_the_gap_around_the_view(tmp_path):
    store = LabelStore(tmp_path / "s", (90, 80, 70))
    try:
        for z in (3, 4, 20, 70):
            store.write(Box((z, 10, 10), (z + 1, 20, 20)), None, 1)
        store.write(Box((50, 10, 10), (51, 20, 20)), None, 2)
        assert drawn_planes(store, 0, 1) == [3, 4, 20, 70]
        assert drawn_planes(store, 1, 1) == list(range(10, 20))
        for at, gap in ((0, (4, 20)), (4, (4, 20)), (10, (4, 20)), (20, (4, 20)), (21, (20, 70)), (80, (20, 70))):
            first, second = drawn_around(store, Plane(0, at), store.shape, 1)
            assert (first.index, second.index) == gap
        with pytest.raises(InputError, match="two planes along z"):
            drawn_around(store, Plane(0, 5), store.shape, 2)
    finally:
        store.close()
