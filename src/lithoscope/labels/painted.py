"""What is painted, as a list of voxels: where, which class, and which connected stroke. Strokes are few beside a scan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume.blocks import Array3D, blocks
from lithoscope.volume.box import Box, Triple

MOST = 20_000_000
"""Voxels that are taken for strokes; more of them is a segmentation."""
_BLOCK = (64, 512, 512)


@dataclass(frozen=True, eq=False)
class Painted:
    """Voxels somebody labelled: `places` (n, 3) int64 in (z, y, x), `labels` (n,) uint8, `strokes` (n,) int64 numbered from 0.

    With `flat` the slices are separate images: no stroke goes on in another, and none is near one in another.
    """

    places: npt.NDArray[np.int64]
    labels: npt.NDArray[np.uint8]
    strokes: npt.NDArray[np.int64]
    flat: bool = False

    @classmethod
    def of(cls, labels: Array3D, inside: Any = None, *, flat: bool = False) -> "Painted":
        """All that is painted in an array of labels; `inside(box)` tells what lies in the field of view, or is None."""
        places, found, total = [], [], 0
        for box in _touched(labels):
            said = np.asarray(labels[box.slices])
            known = _filled(said)
            if not known.size:
                continue
            view = None if inside is None else inside(box)
            if view is not None:
                known = known[view.reshape(-1)[known]]
            at = np.unravel_index(known, said.shape)
            total += len(known)
            if total > MOST:
                raise InputError(f"over {MOST:,} voxels are labelled, which is a segmentation, not strokes; paint fewer")
            places.append(np.stack(at, axis=1) + np.array(box.start))
            found.append(said[at].astype(np.uint8))
        if not places:
            return cls(np.zeros((0, 3), np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))
        z, y, x = (int(n) for n in labels.shape)
        all_places, all_labels = np.concatenate(places), np.concatenate(found)
        return cls(all_places, all_labels, connected(all_places, all_labels, (z, y, x), flat=flat), flat)

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """A hash of what is painted where."""
        import xxhash

        order = np.lexsort(self.places.T[::-1])
        found = xxhash.xxh3_128(np.ascontiguousarray(self.places[order]).data)
        found.update(np.ascontiguousarray(self.labels[order]).data)
        return found.hexdigest()

    def renamed(self, ids: Mapping[int, int]) -> "Painted":
        """The same strokes under other class ids."""
        table = np.arange(256, dtype=np.uint8)
        for old, new in ids.items():
            table[old] = new
        return Painted(self.places, table[self.labels], self.strokes, self.flat)

    @cached_property
    def across(self) -> int:
        """The axis across which it lies in the fewest planes: the one that was painted on."""
        return min(range(3), key=lambda a: np.count_nonzero(np.bincount(self.places[:, a]))) if len(self) else 0

    def boxes(self, edge: Triple) -> Iterator[tuple[Box, npt.NDArray[np.intp]]]:
        """The tight box of what is painted in each cell of a grid, and which voxels those are; in order z, y, x."""
        if not len(self):
            return
        cell = self.places // np.array(edge)
        order = np.lexsort((cell[:, 2], cell[:, 1], cell[:, 0]))
        ends = np.flatnonzero(np.diff(cell[order], axis=0).any(axis=1)) + 1
        for chosen in np.split(order, ends):
            low, high = self.places[chosen].min(axis=0), self.places[chosen].max(axis=0) + 1
            yield Box((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))), chosen


def connected(places: npt.NDArray[np.int64], labels: npt.NDArray[np.uint8], shape: Triple, *, flat: bool = False) -> npt.NDArray[np.int64]:
    """The number of the stroke of each voxel: those of one class that touch, corners included, are one; with `flat` within a slice."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(places)
    wide = (shape[1] + 2, shape[2] + 2)
    index = ((places[:, 0] + 1) * wide[0] + places[:, 1] + 1) * wide[1] + places[:, 2] + 1
    order = np.argsort(index)
    ranked, class_ranked = index[order], labels[order]
    rows, columns = [], []
    for dz, dy, dx in product((-1, 0, 1), repeat=3):
        step = (dz * wide[0] + dy) * wide[1] + dx
        if step <= 0 or (flat and dz):
            continue
        to = np.searchsorted(ranked, ranked + step)
        met = np.flatnonzero(to < n)
        met = met[(ranked[to[met]] == ranked[met] + step) & (class_ranked[to[met]] == class_ranked[met])]
        rows.append(met)
        columns.append(to[met])
    a, b = np.concatenate(rows), np.concatenate(columns)
    _, number = connected_components(coo_array((np.ones(len(a), np.bool_), (a, b)), shape=(n, n)), directed=False)
    found = np.empty(n, np.int64)
    found[order] = number
    return found


def _filled(said: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """The flat places of what is not 0: eight bytes at a time first, since strokes are few and numpy counts bytes slowly."""
    flat = np.ascontiguousarray(said).reshape(-1)
    whole = len(flat) // 8 * 8 if flat.dtype.itemsize == 1 else 0
    words = np.flatnonzero(flat[:whole].view(np.uint64) != 0)
    among = (words[:, None] * 8 + np.arange(8)).reshape(-1)
    found: npt.NDArray[np.intp] = np.concatenate([among[flat[among] != 0], whole + np.flatnonzero(flat[whole:] != 0)])
    return found


def _touched(labels: Array3D) -> Sequence[Box]:
    touched = getattr(labels, "touched", None)
    if touched is not None:
        known: Sequence[Box] = touched()
        return known
    return blocks(Box.whole((labels.shape[0], labels.shape[1], labels.shape[2])), _BLOCK)
