"""Where blocks meet: what is looked at block by block keeps the last planes it saw, and no more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box, Triple

Planes = tuple[npt.NDArray[Any], ...]


class Sliced(Protocol):
    """A block (z, y, x) of which planes can be had."""

    def __getitem__(self, key: Any, /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A block of numbers seen through a table: its planes are looked up when asked for."""

    numbers: npt.NDArray[Any]
    table: npt.NDArray[Any]

    def __getitem__(self, key: Any, /) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self.table[self.numbers[key]]
        return found


class Front:
    """The last planes, along z, y and x, of blocks that come in order z, y, x, for several arrays at once.

    Memory is a few planes of the frame, whatever its depth. In a `flat` one nothing meets along z.
    """

    def __init__(self, frame: Box, edge: Triple, dtypes: Sequence[Any], *, flat: bool = False) -> None:
        self._frame, self._flat = frame, flat
        _, y, x = frame.shape
        depth, height = min(edge[0], frame.shape[0]), min(edge[1], frame.shape[1])
        self._below = [np.zeros((y, x), d) for d in dtypes]
        self._layer = [np.zeros((y, x), d) for d in dtypes]
        self._before = [np.zeros((depth, x), d) for d in dtypes]
        self._row = [np.zeros((depth, x), d) for d in dtypes]
        self._last = [np.zeros((depth, height), d) for d in dtypes]
        self._at: Triple | None = None

    def meet(self, box: Box, arrays: Sequence[Sliced], reach: int) -> Iterator[tuple[Planes, Planes]]:
        """Pairs of voxels on both sides of the faces that `box` shares with blocks before it: (here, there), once for each direction.

        `reach` is how many axes two neighbours may differ in: 1, 2 or 3 for 6, 18 or 26 neighbours.
        """
        self._turn(box)
        place = box.within(self._frame)
        depth, height, _ = place.shape
        (z, y, x), x1 = place.start, place.stop[2]
        across, down, along = (x, x1, self._frame.shape[2]), (0, depth, depth), (0, height, height)
        if z and not self._flat:
            yield from _shifted([a[0] for a in arrays], self._below, ((y, y + height, self._frame.shape[1]), across), reach)
        if y:
            yield from _shifted([a[:, 0] for a in arrays], self._before, (down, across), reach, self._flat)
        if x:
            yield from _shifted([a[:, :, 0] for a in arrays], self._last, (down, along), reach, self._flat)

    def push(self, box: Box, arrays: Sequence[Sliced]) -> None:
        """Remember the last planes of a block, once all it meets has been asked for."""
        place = box.within(self._frame)
        depth, height, _ = place.shape
        _, y, x = place.slices
        for layer, row, last, array in zip(self._layer, self._row, self._last, arrays, strict=True):
            layer[y, x] = array[-1]
            row[:depth, x] = array[:, -1]
            last[:depth, :height] = array[:, :, -1]

    def held(self, number: int) -> Iterator[npt.NDArray[Any]]:
        """The planes that are kept of the array of this number; some may be of blocks that no other will meet."""
        yield from (kept[number] for kept in (self._below, self._layer, self._before, self._row, self._last))

    def _turn(self, box: Box) -> None:
        """Begin the next layer or row where the block lies in one."""
        if self._at is not None and box.start[0] != self._at[0]:
            self._below, self._layer = self._layer, self._below
        elif self._at is not None and box.start[1] != self._at[1]:
            self._before, self._row = self._row, self._before
        self._at = box.start


def _shifted(
    here: Sequence[npt.NDArray[Any]],
    there: Sequence[npt.NDArray[Any]],
    spans: tuple[tuple[int, int, int], tuple[int, int, int]],
    reach: int,
    flat: bool = False,
) -> Iterator[tuple[Planes, Planes]]:
    """A plane against the one behind it, straight and shifted by one voxel; `spans` is where it lies in it, and how long that is."""
    for shift in product((-1, 0, 1), repeat=2):
        if abs(shift[0]) + abs(shift[1]) >= reach or (flat and shift[0]):
            continue
        own, other = [], []
        for (start, stop, size), by in zip(spans, shift, strict=True):
            low, high = max(start + by, 0), min(stop + by, size)
            other.append(slice(low, high))
            own.append(slice(low - by - start, high - by - start))
        yield tuple(a[tuple(own)] for a in here), tuple(a[tuple(other)] for a in there)
