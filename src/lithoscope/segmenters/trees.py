"""Decision trees as plain arrays: taken from scikit-learn once they are grown, stored without pickle, and asked at speed.

The top of a tree, which is all of it when it has up to 64 leaves as those of a few strokes have, is asked by bit vectors
(QuickScorer: every comparison that fails strikes out what lies under its left branch; the lowest bit that is left is the way out),
and the rest by walking down. That is compiled by numba when it is installed; without it, and on a GPU, torch walks all the way.
Both give the same leaves.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cache
from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]

WIDE = 64
"""Ways out of a tree's top: the bits of one word."""
CHUNK = 1 << 14
"""Voxels given to one thread at a time."""


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees laid end to end; node k of all goes left when feature[k] ≤ threshold[k].

    `first` (trees + 1,) is where each tree's nodes start, `feature` (nodes,) int32 is -1 at leaves, `left` and `right` (nodes,)
    int32 are places in these arrays, and `values` (nodes, classes) float64 are each leaf's class shares.
    """

    first: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int32]
    threshold: Floats
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, forest: Any) -> Self:
        """The trees of a fitted scikit-learn forest of classifiers, whose classes are all present in every tree's values."""
        parts: dict[str, list[npt.NDArray[Any]]] = {f.name: [] for f in fields(cls)}
        start = 0
        for grown in (e.tree_ for e in forest.estimators_):
            leaf = grown.children_left < 0
            here = np.arange(grown.node_count)
            parts["first"].append(np.array([start]))
            parts["feature"].append(np.where(leaf, -1, grown.feature))
            parts["threshold"].append(np.where(leaf, np.inf, _not_above(grown.threshold)))
            parts["left"].append(start + np.where(leaf, here, grown.children_left))
            parts["right"].append(start + np.where(leaf, here, grown.children_right))
            shares = grown.value[:, 0, :]
            parts["values"].append(shares / shares.sum(axis=1, keepdims=True))
            start += grown.node_count
        parts["first"].append(np.array([start]))
        kinds = {"first": np.int64, "feature": np.int32, "left": np.int32, "right": np.int32, "values": np.float64}
        return cls(**{name: np.concatenate(arrays).astype(kinds.get(name, np.float32)) for name, arrays in parts.items()})

    @property
    def count(self) -> int:
        return len(self.first) - 1

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {f"trees.{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def restored(cls, state: dict[str, npt.NDArray[Any]]) -> Self:
        return cls(**{f.name: state[f"trees.{f.name}"] for f in fields(cls)})

    @property
    def depth(self) -> int:
        """The most comparisons that lead to a leaf."""
        level, deepest = np.zeros(len(self.feature), np.int32), 0
        for k in np.flatnonzero(self.feature >= 0):
            level[self.left[k]] = level[self.right[k]] = level[k] + 1
            deepest = max(deepest, int(level[k]) + 1)
        return deepest

    def scores(self, features: "Tensor") -> "Tensor":
        """The mean class shares (classes, n) of voxels' features (channels, n), on the features' device."""
        import torch

        if features.device.type == "cpu" and compiled() is not None:
            return torch.from_numpy(self._by_numba(np.ascontiguousarray(features.numpy(), np.float32), torch.get_num_threads()))
        return self._by_torch(features)

    def _by_numba(self, features: Floats, threads: int) -> Floats:
        ask = compiled()
        assert ask is not None
        tops = self._tops()
        n = features.shape[1]
        out = np.empty((self.values.shape[1], n), np.float32)

        def some(start: int) -> None:
            rest = (self.feature, self.threshold, self.left, self.right, self.values)
            ask(features, start, min(start + CHUNK, n), *tops, *rest, out)

        starts = range(0, n, CHUNK)
        if min(threads, len(starts)) <= 1:
            for start in starts:
                some(start)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(some, starts))
        return out

    def _tops(self) -> tuple[npt.NDArray[Any], ...]:
        """The bit vectors of every tree's top: (first, feature, threshold, mask) of its comparisons (first, node) of its
        exits, and whether any exit leads further down."""
        found: tuple[npt.NDArray[Any], ...] | None = self.__dict__.get("tops")
        if found is None:
            found = self.__dict__["tops"] = _bit_vectors(self)
        return found

    def _by_torch(self, features: "Tensor") -> "Tensor":
        import torch

        device = features.device
        threshold, values = torch.from_numpy(self.threshold).to(device), torch.from_numpy(self.values).to(device)
        feature = torch.from_numpy(np.maximum(self.feature, 0)).to(device).long()
        ways = torch.from_numpy(np.stack([self.left, self.right], axis=1)).to(device).long()
        n, depth = features.shape[1], self.depth
        total = torch.zeros((n, values.shape[1]), dtype=torch.float64, device=device)
        voxels = torch.arange(n, device=device)
        for root in self.first[:-1].tolist():
            at = torch.full((n,), root, dtype=torch.long, device=device)
            for _ in range(depth):
                beyond = features[feature[at], voxels] > threshold[at]
                at = ways[at, beyond.long()]
            total += values[at]
        return (total / self.count).float().T.contiguous()


def _not_above(threshold: npt.NDArray[np.float64]) -> Floats:
    """The greatest float32 that is not above each threshold: float32 features then compare as they did in double precision."""
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single).astype(np.float32)


def _bit_vectors(trees: Trees) -> tuple[npt.NDArray[Any], ...]:
    feature, left, right = trees.feature.tolist(), trees.left.tolist(), trees.right.tolist()
    leaves = [1] * len(feature)
    for k in range(len(feature) - 1, -1, -1):
        if feature[k] >= 0:
            leaves[k] = leaves[left[k]] + leaves[right[k]]
    node_first, exit_first = [0], [0]
    nodes: list[int] = []
    masks: list[int] = []
    exits: list[int] = []
    for root in trees.first[:-1].tolist():
        opened: set[int] = set()
        frontier = [(-leaves[root], root)]
        while len(frontier) < WIDE and frontier[0][0] < -1:
            _, k = heappop(frontier)
            opened.add(k)
            for child in (left[k], right[k]):
                heappush(frontier, (-leaves[child], child))
        first = len(exits)

        def visit(k: int, first: int = first, opened: set[int] = opened) -> tuple[int, int]:
            """The exits, from and to, under node k; comparisons are written down on the way."""
            if k not in opened:
                exits.append(k)
                return len(exits) - 1 - first, len(exits) - first
            a, b = visit(left[k])
            _, end = visit(right[k])
            nodes.append(k)
            masks.append(~(((1 << (b - a)) - 1) << a) & (2**64 - 1))
            return a, end

        visit(root)
        node_first.append(len(nodes))
        exit_first.append(len(exits))
    at = np.array(nodes, np.int64)
    return (
        np.array(node_first, np.int64),
        trees.feature[at].astype(np.int64),
        trees.threshold[at],
        np.array(masks, np.uint64),
        np.array(exit_first, np.int64),
        np.array(exits, np.int64),
        np.array([any(feature[k] >= 0 for k in exits[a:b]) for a, b in pairwise(exit_first)], np.bool_),
    )


@cache
def compiled() -> Callable[..., None] | None:
    """The compiled kernel, or None without numba."""
    try:
        from lithoscope.segmenters.compiled_trees import ask
    except ImportError:
        return None
    found: Callable[..., None] = ask
    return found
