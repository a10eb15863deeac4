"""The regions of summits found so far, over the whole volume: joined as soon as all their saddles are known, so that few are kept."""

import numpy as np
import numpy.typing as npt

from lithoscope.labels.separation.basins import Numbers, Saddles, flooded
from lithoscope.labels.separation.distance import Distances


class Regions:
    """Numbers are given in the order in which they are added; `settle` joins those that are parts of the same grain."""

    def __init__(self, height: float) -> None:
        self.count = 0
        """How many numbers were given."""
        self._height = height
        self._names: Numbers = np.zeros(0, np.int64)
        self._tops: Distances = np.zeros(0, np.float32)
        self._places: Numbers = np.zeros(0, np.int64)
        self._left = Saddles.none()
        self._new: list[Saddles] = []
        self._added: list[tuple[Distances, Numbers]] = []

    def add(self, tops: Distances, places: Numbers, saddles: Saddles) -> None:
        """Take up new ones by the heights and places of their summits, with the saddles between them, counted from 0."""
        self._new.append(saddles.renamed(np.arange(len(tops)) + self.count))
        self._added.append((tops, places))
        self.count += len(tops)

    def meet(self, saddles: Saddles) -> None:
        """Take up saddles between any of them, by number from 0."""
        self._new.append(saddles)

    def settle(self, unfinished: npt.NDArray[np.bool_] | None = None) -> None:
        """Join what is certain to be one; `unfinished` marks, by number from 0, those that may have saddles not known yet."""
        before = len(self._tops)
        tops = np.concatenate([self._tops, *(t for t, _ in self._added)])
        places = np.concatenate([self._places, *(p for _, p in self._added)])
        names = np.concatenate([self._names, np.arange(before, len(tops))])
        saddles = Saddles.joined([self._left, Saddles.joined(self._new).renamed(names)])
        self._new, self._added = [], []
        free = np.ones(len(tops), np.bool_)
        if unfinished is not None:
            free[names[unfinished]] = False
        joined, left = flooded(tops, saddles, self._height, free)
        count = int(joined.max()) + 1 if joined.size else 0
        self._tops, self._places = highest(joined, tops, places, count)
        self._names = joined[names]
        low = np.minimum(self._tops[left.pairs[0]], self._tops[left.pairs[1]])
        kept = low - left.heights < np.float32(self._height)  # by the others nothing will ever be joined
        self._left = Saddles(left.pairs[:, kept], left.heights[kept], left.places[kept])

    def numbered(self) -> tuple[int, npt.NDArray[np.uint32]]:
        """How many grains there are, and that of each number: from 1, by the places of their highest voxels; entry 0 is 0."""
        count = len(self._tops)
        rank = np.empty(count, np.int64)
        rank[np.argsort(self._places)] = np.arange(1, count + 1)
        table = np.zeros(len(self._names) + 1, np.uint32)
        table[1:] = rank[self._names]
        return count, table


def highest(names: Numbers, values: Distances, places: Numbers, count: int) -> tuple[Distances, Numbers]:
    """The height and place of the highest summit of each of `count` regions; of equal ones the last."""
    order = np.lexsort((places, values, names))
    last = order[np.append(np.diff(names[order]) != 0, True)] if order.size else order
    assert len(last) == count
    return values[last], places[last]
