"""What is read through kept chunks is what lies on disk, and memory stays within its limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.volume.box import Box
from lithoscope.volume.chunk_cache import ChunkCache, Chunks
from lithoscope.volume.store import create_array

SHAPE = (70, 45, 33)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 60000, SHAPE, dtype=np.uint16)


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray):
    array = create_array(tmp_path_factory.mktemp("a") / "0", SHAPE, np.uint16, chunks=(16, 16, 16), shards=(32, 32, 32))
    array[...] = values
    return array


ranges = [st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(lambda p, n=n: (p[0], min(p[0] + p[1], n))) for n in SHAPE]
boxes = st.tuples(*ranges).map(lambda r: Box(tuple(a for a, _ in r), tuple(b for _, b in r)))


@settings(max_examples=60, deadline=None)
@given(wanted=st.lists(boxes, min_size=1, max_size=6), limit=st.sampled_from([0, 8192, 20_000, 200_000, 10**9]))
def test_any_boxes_in_any_order_are_what_lies_on_disk(array, values: np.ndarray, wanted: list[Box], limit: int) -> None:
    cache = ChunkCache(limit)
    chunks = Chunks(array, "a", cache)
    for box in wanted:
        chunks.fill(box)
        assert np.array_equal(chunks.read(box), values[box.slices])
        assert cache.bytes <= limit


class Counted:
    """An array that counts how often it is read."""

    def __init__(self, array) -> None:
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks
        self._array = array
        self.reads: list[object] = []

    def __getitem__(self, key: object) -> np.ndarray:
        self.reads.append(key)
        return self._array[key]


def plane(z: int) -> Box:
    return Box((z, 0, 0), (z + 1, *SHAPE[1:]))


def test_the_planes_of_a_chunk_are_decoded_once(array, values: np.ndarray) -> None:
    counted = Counted(array)
    chunks = Chunks(counted, "a", ChunkCache(10**9))
    chunks.fill(plane(0))
    for z in range(16):
        assert np.array_equal(chunks.read(plane(z)), values[z : z + 1])
    assert len(counted.reads) == 1


def test_a_plane_alone_is_read_alone_and_its_chunks_are_kept_by_a_thread(array, values: np.ndarray) -> None:
    counted = Counted(array)
    cache = ChunkCache(10**9)
    chunks = Chunks(counted, "a", cache)
    assert np.array_equal(chunks.read(plane(5)), values[5:6])
    assert counted.reads == [plane(5).slices]
    chunks.look_ahead(plane(5), 0)
    assert cache._ahead is not None
    cache._ahead.result(60)
    assert np.array_equal(chunks.read(plane(15)), values[15:16])
    assert len(counted.reads) == 2


def test_what_was_read_is_the_readers_own(array, values: np.ndarray) -> None:
    chunks = Chunks(array, "a", ChunkCache(10**9))
    chunks.fill(plane(3))
    chunks.read(plane(3))[...] = 0
    assert np.array_equal(chunks.read(plane(3)), values[3:4])


def test_arrays_of_another_version_do_not_meet(array, values: np.ndarray) -> None:
    cache = ChunkCache(10**9)
    Chunks(array, "a", cache).fill(plane(0))
    assert np.array_equal(Chunks(Flipped(array), "b", cache).read(plane(0)), values[-1:])


class Flipped(Counted):
    def __getitem__(self, key: object) -> np.ndarray:
        return self._array[...][::-1][key]


@pytest.mark.parametrize(("at", "step", "next_"), [(9, 1, 16), (20, -1, 15), (2, 1, None), (30, -1, None), (69, 1, None), (3, -1, None)])
def test_past_the_middle_of_a_chunk_the_next_one_is_read_ahead(array, at: int, step: int, next_: int | None) -> None:
    counted = Counted(array)
    cache = ChunkCache(10**9)
    chunks = Chunks(counted, "a", cache)
    chunks.fill(plane(at))
    chunks.look_ahead(plane(at), 0, step)
    if cache._ahead is not None:
        cache._ahead.result(60)
    assert len(counted.reads) == (1 if next_ is None else 2)
    if next_ is not None:
        chunks.read(plane(next_))
        assert len(counted.reads) == 2


def test_a_whole_volume_drives_nothing_out(array, values: np.ndarray) -> None:
    cache = ChunkCache(200_000)
    chunks = Chunks(array, "a", cache)
    chunks.fill(plane(0))
    kept = cache.bytes
    assert kept
    chunks.fill(Box.whole(SHAPE))
    assert np.array_equal(chunks.read(Box.whole(SHAPE)), values)
    assert cache.bytes == kept
