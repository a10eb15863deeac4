"""Summits and the saddles between them: those that do not rise by a given height above their highest saddle are joined to what
lies behind it, just as the h-maxima of the whole volume would be."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Heights = npt.NDArray[np.float32]
FORCED = np.float32(np.inf)
"""The height of a saddle that is none: the way up from one goes on to the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Saddles:
    """Pairs (2, n) of summits with the height of the highest saddle between them, and that saddle's place, which decides ties."""

    pairs: Numbers
    heights: Heights
    places: Numbers

    @classmethod
    def none(cls) -> "Saddles":
        """No saddle."""
        return cls(np.zeros((2, 0), np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def joined(cls, several: "list[Saddles]") -> "Saddles":
        """All of several, as they are."""
        if not several:
            return cls.none()
        return cls(
            np.concatenate([s.pairs for s in several], axis=1),
            np.concatenate([s.heights for s in several]),
            np.concatenate([s.places for s in several]),
        )

    def highest(self, count: int) -> "Saddles":
        """Only the highest between each two of `count` summits; none of a summit with itself."""
        low, high = self.pairs.min(axis=0, initial=np.iinfo(np.int64).max), self.pairs.max(axis=0, initial=-1)
        keys = low * count + high
        order = np.lexsort((self.places, self.heights, keys))
        order = order[low[order] != high[order]]
        last = np.flatnonzero(np.append(np.diff(keys[order]) != 0, True)) if order.size else order
        kept = order[last]
        return Saddles(np.stack([low[kept], high[kept]]), self.heights[kept], self.places[kept])

    def renamed(self, names: Numbers) -> "Saddles":
        """The same saddles, each summit called by its entry in `names`."""
        return Saddles(names[self.pairs], self.heights, self.places)


def flooded(summits: Heights, saddles: Saddles, height: float, free: npt.NDArray[np.bool_] | None = None) -> tuple[Numbers, Saddles]:
    """The number, from 0, of the region that each summit falls to, and the saddles left between regions.

    A summit that rises by less than `height` above its highest saddle joins the one behind it. Those that are not `free` have saddles
    that are not known yet: others may join them, but they join nothing.
    """
    whole = np.arange(len(summits))
    tops = summits.astype(np.float32)
    loose = np.ones(len(summits), np.bool_) if free is None else free.copy()
    left = saddles.highest(len(tops))
    while left.heights.size:
        joins = _certain(tops, left, np.float32(height), loose)
        if not joins.size:
            break
        names = _components(len(tops), left.pairs[:, joins])
        count = int(names.max()) + 1
        risen = np.full(count, -np.inf, np.float32)
        np.maximum.at(risen, names, tops)
        still = np.ones(count, np.bool_)
        still[names[~loose]] = False
        whole, tops, loose = names[whole], risen, still
        left = left.renamed(names).highest(count)
    return whole, left


def _certain(tops: Heights, saddles: Saddles, height: np.float32, loose: npt.NDArray[np.bool_]) -> Numbers:
    """Which saddles are the highest of a loose summit that does not rise enough above them."""
    ends = saddles.pairs.reshape(-1)
    edges = np.tile(np.arange(len(saddles.heights)), 2)
    order = np.lexsort((saddles.places[edges], saddles.heights[edges], ends))
    last = order[np.append(np.diff(ends[order]) != 0, True)]
    summit, edge = ends[last], edges[last]
    low = loose[summit] & (tops[summit] - saddles.heights[edge] < height)
    return np.unique(edge[low])


def _components(count: int, pairs: Numbers) -> Numbers:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(pairs.shape[1], np.bool_), (pairs[0], pairs[1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
