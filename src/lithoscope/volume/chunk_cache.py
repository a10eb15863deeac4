"""Decoded chunks kept in memory, so that the next plane of a scan is copied and not decoded again.

A plane of an array in chunks of 64³ costs the decoding of 64 planes. Whoever looks at plane after plane needs the other 63 next.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box, Triple

LARGEST = 1 << 30
"""Bytes that a cache holds at most; a sixteenth of the machine's memory where that is less."""


class ChunkCache:
    """The chunks last used, up to `limit` bytes. Threads may share it."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = _share_of_memory() if limit is None else limit
        self._kept: OrderedDict[Hashable, npt.NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lithoscope ahead")
        self._ahead: Future[None] | None = None

    @property
    def bytes(self) -> int:
        """How much is held now."""
        return self._bytes

    def get(self, key: Hashable) -> npt.NDArray[Any] | None:
        """The chunk of this name, if it is still here."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def get_all(self, keys: Sequence[Hashable]) -> list[npt.NDArray[Any]] | None:
        """The chunks of these names, if every one of them is still here."""
        with self._lock:
            kept = self._kept
            if not all(key in kept for key in keys):
                return None
            for key in keys:
                kept.move_to_end(key)
            return [kept[key] for key in keys]

    def put(self, key: Hashable, chunk: npt.NDArray[Any]) -> None:
        """Keep a chunk; the ones that were not used for longest go."""
        with self._lock:
            former = self._kept.pop(key, None)
            self._bytes += chunk.nbytes - (former.nbytes if former is not None else 0)
            self._kept[key] = chunk
            while self._bytes > self.limit and self._kept:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def ahead(self, chunks: "Chunks", box: Box) -> None:
        """Read `box` in a thread, for whoever is likely to ask for it next; while one such wish is at work others are dropped."""
        if self._ahead is None or self._ahead.done():
            self._ahead = self._pool.submit(chunks.fill, box)


class Chunks:
    """A Zarr array (z, y, x) read through a cache.

    Args:
        array: the array.
        version: what tells it apart from every other array of the cache, also from a later one at the same place.
        cache: where its chunks are kept.
    """

    def __init__(self, array: Any, version: str, cache: ChunkCache) -> None:
        self.array = array
        self.shape, self.edge = _triple(array.shape), _triple(array.chunks)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self._version = version
        self._cache = cache

    def read(self, box: Box) -> npt.NDArray[Any]:
        """The values of a box inside the array, as an array of the reader's own: copied if all its chunks are kept, else from the disk.

        Nothing is kept of what is read here: one plane alone is decoded several times faster than its chunks. See `fill`.
        """
        parts = [_parts(a, b, e) for a, b, e in zip(box.start, box.stop, self.edge, strict=True)]
        keys = [(self._version, (z[0], y[0], x[0])) for z, y, x in product(*parts)]
        chunks = self._cache.get_all(keys) if self._worth_keeping(box) else None
        if chunks is None:
            return np.asarray(self.array[box.slices])
        out = np.empty(box.shape, self.dtype)
        for (z, y, x), chunk in zip(product(*parts), chunks, strict=True):
            out[z[1], y[1], x[1]] = chunk[z[2], y[2], x[2]]
        return out

    def fill(self, box: Box) -> None:
        """Keep the chunks of a box, those that lack being read in one piece."""
        lacking = [place for index, place in self._places(box) if self._cache.get((self._version, index)) is None]
        if not lacking or not self._worth_keeping(box):
            return
        start, stop = np.min([p.start for p in lacking], 0), np.max([p.stop for p in lacking], 0)
        around = Box(_triple(start), _triple(stop))
        values = np.asarray(self.array[around.slices])
        for index, place in self._places(around):
            self._cache.put((self._version, index), np.ascontiguousarray(values[_within(place, around)]))

    def look_ahead(self, box: Box, axis: int, step: int = 0) -> None:
        """Have the chunks of `box`, one plane of `axis`, kept by a thread, for the planes beside it are likely to be wanted next.

        When they are kept and the reader travels (`step` of 1 or -1) past the middle of them, then those that come next.
        """
        if not self._worth_keeping(box) or self.edge[axis] == 1:
            return
        edge, place = self.edge[axis], box.start[axis]
        beyond = (place // edge + 1) * edge if step > 0 else place // edge * edge - 1
        past = place % edge * 2 >= edge if step > 0 else place % edge * 2 < edge
        if self._lacks(box):
            self._cache.ahead(self, box)
        elif step and past and 0 <= beyond < self.shape[axis]:
            start, stop = list(box.start), list(box.stop)
            start[axis], stop[axis] = beyond, beyond + 1
            if self._lacks(wished := Box(_triple(start), _triple(stop))):
                self._cache.ahead(self, wished)

    def _lacks(self, box: Box) -> bool:
        return self._cache.get_all([(self._version, index) for index in product(*self._indices(box))]) is None

    def _worth_keeping(self, box: Box) -> bool:
        """Not a whole volume at once, which would drive everything else out."""
        if not box.size:
            return False
        size = int(np.prod([(b - 1) // e - a // e + 1 for a, b, e in zip(box.start, box.stop, self.edge, strict=True)]))
        return size * int(np.prod(self.edge)) * self.dtype.itemsize <= self._cache.limit // 2

    def _indices(self, box: Box) -> tuple[range, range, range]:
        """The chunks that a box touches, along each axis of their grid."""
        z, y, x = (range(a // e, -(-b // e)) for a, b, e in zip(box.start, box.stop, self.edge, strict=True))
        return (z, y, x)

    def _places(self, box: Box) -> list[tuple[Triple, Box]]:
        """The chunks that a box touches: their index on the grid, and where they lie."""
        found = []
        for index in product(*self._indices(box)):
            start = [i * e for i, e in zip(index, self.edge, strict=True)]
            stop = [min(a + e, n) for a, e, n in zip(start, self.edge, self.shape, strict=True)]
            found.append((index, Box(_triple(start), _triple(stop))))
        return found


def _parts(start: int, stop: int, edge: int) -> list[tuple[int, slice, slice]]:
    """The chunks between two places of one axis: index on the grid, where they lie in between, and what of each chunk."""
    found = []
    for index in range(start // edge, -(-stop // edge)):
        first = index * edge
        low, high = max(start, first), min(stop, first + edge)
        found.append((index, slice(low - start, high - start), slice(low - first, high - first)))
    return found


def _within(part: Box, whole: Box) -> tuple[slice, ...]:
    return tuple(slice(a - o, b - o) for a, b, o in zip(part.start, part.stop, whole.start, strict=True))


def _triple(numbers: Sequence[int] | npt.NDArray[Any]) -> Triple:
    z, y, x = (int(n) for n in numbers)
    return (z, y, x)


def _share_of_memory() -> int:
    import psutil

    return min(LARGEST, int(psutil.virtual_memory().total) // 16)
