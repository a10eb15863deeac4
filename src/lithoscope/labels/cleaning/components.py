"""Connected components of labels of any size of volume: each block is labelled by itself, and what meets at its faces is joined.

Only components that cross from block to block are kept in memory; the others are found again when their block is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.labels.cleaning.front import Front, Looked, Sliced
from lithoscope.volume.blocks import Array3D, blocks, read
from lithoscope.volume.box import Box, Triple

Labels = npt.NDArray[np.uint8]
Keys = Callable[[Labels], Labels]
"""From labels to what components are made of: neighbours of the same key are connected, 0 is in no component."""

REACH = {6: 1, 18: 2, 26: 3}
"""In how many axes neighbours may differ."""
KEPT = 512 << 20
"""Bytes of labelled blocks that are kept rather than labelled again."""
OPEN = 64
"""The bit of a component's `faces` that says it holds voxels that nobody labelled."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The components of one block. Entry 0 of each table is for voxels in none.

    `numbers` (z, y, x) are the block's own; `sizes` and `faces` are those of the whole components: voxels, and as bits the low and
    high faces of the frame along z, y and x that it touches (of slices that are not connected, along y and x alone); `crossing` is the
    number of those that reach other blocks, else -1.
    """

    index: int
    box: Box
    labels: Labels
    numbers: npt.NDArray[np.uint32]
    keys: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int64]
    faces: npt.NDArray[np.uint8]
    crossing: npt.NDArray[np.int64]


class Components:
    """The components of `source` within `frame`; `connectivity` is 6, 18 or 26. `flat` never connects along z.

    Where nobody asks for their sizes and keys, `measured=False` spares counting them: both are then 0 for all.
    """

    def __init__(
        self,
        source: Array3D,
        frame: Box,
        edge: Triple,
        keys: Keys,
        *,
        connectivity: int = 6,
        flat: bool = False,
        measured: bool = True,
        report: Report = silent,
        message: str = "finding components",
    ) -> None:
        self.source, self.frame, self.edge = source, frame, edge
        self.boxes = blocks(frame, edge)
        self.seen = np.zeros(256, np.bool_)
        """Which labels the source holds."""
        self.flat = flat
        self._keys, self._connectivity, self._measured = keys, connectivity, measured
        self._first: list[int] = []
        self._kept: dict[int, _Labelled] = {}
        self._room = KEPT
        self._join(report, message)

    def __iter__(self) -> Iterator[Part]:
        return (self.part(index) for index in range(len(self.boxes)))

    @property
    def count_crossing(self) -> int:
        """How many components reach from block to block."""
        return len(self.sizes)

    def all_crossing(self) -> Part:
        """The tables of all components that cross, with no voxels: entry n + 1 is that of number n."""
        none = np.zeros((0, 0, 0))
        numbers = np.arange(-1, self.count_crossing)
        sizes, faces, keys = (np.concatenate([np.zeros(1, t.dtype), t]) for t in (self.sizes, self.faces, self.keys))
        return Part(-1, self.frame, none.astype(np.uint8), none.astype(np.uint32), keys, sizes, faces, numbers)

    def part(self, index: int) -> Part:
        """The components of a block, by its place in `boxes`."""
        box = self.boxes[index]
        found = self._kept.get(index) or self._labelled(box)
        sizes, faces = found.sizes.copy(), self._touched(box, found)
        crossing = np.full(len(found.keys), -1, np.int64)
        reaching = self._reaching(box, found)
        whole = self._whole[self._first[index] : self._first[index] + len(reaching)]
        crossing[reaching] = whole
        sizes[reaching], faces[reaching] = self.sizes[whole], self.faces[whole]
        return Part(index, box, found.labels, found.numbers, found.keys, sizes, faces, crossing)

    def _labelled(self, box: Box) -> "_Labelled":
        import cc3d

        labels: Labels = np.ascontiguousarray(read(self.source, box), np.uint8)
        keys: npt.NDArray[Any] = self._keys(labels)
        if self.flat:
            keys = keys.astype(np.uint16)
            odd = slice((box.start[0] + 1) % 2, None, 2)
            keys[odd][keys[odd] > 0] += 256
        numbers, count = cc3d.connected_components(keys, connectivity=self._connectivity, return_N=True, out_dtype=np.uint32)
        return _Labelled.of(labels, numbers, self._keys, count) if self._measured else _Labelled.counted(labels, numbers, count)

    def _touched(self, box: Box, found: "_Labelled") -> npt.NDArray[np.uint8]:
        """Which faces of the frame each of a block's components touches within the block."""
        faces = np.zeros(len(found.keys), np.uint8)
        faces[found.bare] = OPEN
        for axis in range(int(self.flat), 3):
            for side, (a, b) in enumerate(((box.start, self.frame.start), (box.stop, self.frame.stop))):
                if a[axis] == b[axis]:
                    there = np.zeros(len(faces), np.bool_)
                    there[np.take(found.numbers, -side, axis)] = True
                    faces[there] |= np.uint8(1 << (2 * axis + side))
        faces[0] = 0
        return faces

    def _reaching(self, box: Box, found: "_Labelled") -> npt.NDArray[np.int64]:
        """The numbers of the components that touch a face which the block shares with another."""
        there = np.zeros(len(found.keys), np.bool_)
        for axis in range(int(self.flat), 3):
            for side, (a, b) in enumerate(((box.start, self.frame.start), (box.stop, self.frame.stop))):
                if a[axis] != b[axis]:
                    there[np.take(found.numbers, -side, axis)] = True
        there[0] = False
        return np.flatnonzero(there)

    def _join(self, report: Report, message: str) -> None:
        """Look at every block once, and join what meets."""
        front = Front(self.frame, self.edge, [np.uint32, np.uint8], flat=self.flat)
        sizes, faces, keys = [np.zeros(0, np.int64)], [np.zeros(0, np.uint8)], [np.zeros(0, np.uint8)]
        pairs = [np.zeros((2, 0), np.int64)]
        total = 0
        for done, box in enumerate(self.boxes):
            report(Progress(done, len(self.boxes), message))
            found = self._labelled(box)
            self.seen |= found.seen
            reaching = self._reaching(box, found)
            self._first.append(total)
            sizes.append(found.sizes[reaching])
            faces.append(self._touched(box, found)[reaching])
            keys.append(found.keys[reaching])
            known = np.zeros(len(found.keys), np.uint32)
            known[reaching] = np.arange(total + 1, total + 1 + len(reaching))
            total += len(reaching)
            sides: list[Sliced] = [Looked(found.numbers, known), _Keyed(found.labels, self._keys)]
            for (here, own), (there, other) in front.meet(box, sides, REACH[self._connectivity]):
                same = (own == other) & (own > 0)
                pairs.append(_distinct(here[same], there[same]))
            front.push(box, sides)
            if found.nbytes <= self._room:
                self._kept[done] = found
                self._room -= found.nbytes
        self._whole = _joined(total, np.concatenate(pairs, axis=1))
        count = int(self._whole.max()) + 1 if total else 0
        self.sizes = np.bincount(self._whole, np.concatenate(sizes), count).astype(np.int64)
        self.faces = np.zeros(count, np.uint8)
        np.bitwise_or.at(self.faces, self._whole, np.concatenate(faces))
        self.keys = np.zeros(count, np.uint8)
        self.keys[self._whole] = np.concatenate(keys)


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """A block labelled by itself: the key and the voxels of each of its components, those that hold bare voxels, and labels seen."""

    labels: Labels
    numbers: npt.NDArray[np.uint32]
    keys: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int64]
    bare: npt.NDArray[np.uint32]
    seen: npt.NDArray[np.bool_]

    @classmethod
    def counted(cls, labels: Labels, numbers: npt.NDArray[np.uint32], count: int) -> "_Labelled":
        """What is known of components 1 … count without counting their voxels."""
        seen = np.zeros(256, np.bool_)
        seen[_runs(labels.reshape(-1))[1]] = True
        bare = np.unique(numbers[labels == 0]) if seen[0] else np.zeros(0, np.uint32)
        return cls(labels, numbers, np.zeros(count + 1, np.uint8), np.zeros(count + 1, np.int64), bare, seen)

    @classmethod
    def of(cls, labels: Labels, numbers: npt.NDArray[np.uint32], keys: Keys, count: int) -> "_Labelled":
        """What is known of components 1 … count; counted by runs of equal voxels, of which there are far fewer than voxels."""
        flat, named = labels.reshape(-1), numbers.reshape(-1)
        begins = np.empty(flat.size, np.bool_)
        begins[:1] = True
        np.not_equal(named[1:], named[:-1], out=begins[1:])
        begins[1:] |= flat[1:] != flat[:-1]
        starts = np.flatnonzero(begins)
        lengths = np.diff(starts, append=flat.size)
        flat, named = flat[starts], named[starts]
        table = np.zeros(count + 1, np.uint8)
        table[named] = keys(flat)
        sizes = np.bincount(named, lengths, count + 1).astype(np.int64)
        table[0] = sizes[0] = 0
        seen = np.zeros(256, np.bool_)
        seen[flat] = True
        return cls(labels, numbers, table, sizes, np.unique(named[flat == 0]), seen)

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes + self.numbers.nbytes + self.sizes.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class _Keyed:
    """A block of labels seen as keys: its planes are looked up when asked for."""

    labels: Labels
    keys: Keys

    def __getitem__(self, key: Any, /) -> Labels:
        return self.keys(np.ascontiguousarray(self.labels[key]))


def _runs(flat: Labels) -> tuple[npt.NDArray[np.int64], Labels]:
    """Where runs of equal labels begin, and which they are."""
    begins = np.ones(flat.size, np.bool_)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    return starts, flat[starts]


def _distinct(here: npt.NDArray[np.uint32], there: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """The pairs (2, n) of two arrays of numbers from 1, each once, counted from 0."""
    both = np.unique(here.astype(np.uint64) << np.uint64(32) | there)
    return np.stack([both >> np.uint64(32), both & np.uint64(0xFFFFFFFF)]).astype(np.int64) - 1


def _joined(count: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The number, from 0, of what each of `count` things belongs to when the two of every pair (2, n) belong together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not count:
        return np.zeros(0, np.int64)
    graph = coo_array((np.ones(pairs.shape[1], np.bool_), (pairs[0], pairs[1])), shape=(count, count))
    _, whole = connected_components(graph, directed=False)
    return np.asarray(whole, np.int64)
