"""Decision trees as plain arrays: taken from scikit-learn once they are grown, stored without pickle, and asked at speed.

Asking is compiled by numba when it is installed (`compiled_trees`); without it, and on a GPU, torch walks all the way. Both give
the same leaves.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.segmenters.tree_tables import Tables, fits, tables

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]

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
            parts["threshold"].append(np.where(leaf, np.inf, not_above(grown.threshold)))
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

    def scores(self, features: "Tensor", more: "Tensor | None" = None) -> "Tensor":
        """The mean class shares (classes, n) of voxels' features (channels, n), followed by `more`, on the features' device."""
        import torch

        ask = self._compiled(features)
        if ask is None:
            return self._by_torch(features if more is None else torch.cat([features, more]))
        known, beside = _floats(features), _floats(features[:0] if more is None else more)
        out = np.empty((self.values.shape[1], known.shape[1]), np.float32)
        _in_parts(lambda a, b: ask.shares(known, beside, a, b, self._tables(), out), known.shape[1])
        return torch.from_numpy(out)

    def best(self, features: "Tensor", more: "Tensor | None" = None, lead: "Tensor | None" = None, *, say: float = 1.0) -> Classes:
        """The class 1 … n with the greatest lead + say · mean class share, (n,); `lead` is (classes, n), or None for no lead.

        Where numba is installed a voxel is asked only until the trees to come cannot change its class.
        """
        ask = self._compiled(features)
        if ask is None:
            shares = self.scores(features, more).mul_(say)
            found: Classes = (shares if lead is None else shares.add_(lead)).argmax(0).add_(1).byte().cpu().numpy()
            return found
        known, beside = _floats(features), _floats(features[:0] if more is None else more)
        ahead = np.zeros((self.values.shape[1], known.shape[1]), np.float32) if lead is None else _floats(lead)
        out = np.empty(known.shape[1], np.uint8)
        _in_parts(lambda a, b: ask.best(known, beside, ahead, say / self.count, a, b, self._tables(), out), known.shape[1])
        return out

    def _compiled(self, features: "Tensor") -> Any:
        return compiled() if features.device.type == "cpu" and fits(self) else None

    def _tables(self) -> Tables:
        found: Tables | None = self.__dict__.get("tables")
        if found is None:
            found = self.__dict__["tables"] = tables(self)
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


def not_above(threshold: npt.NDArray[np.float64]) -> Floats:
    """The greatest float32 that is not above each threshold: float32 features then compare as they did in double precision."""
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single).astype(np.float32)


def _floats(values: "Tensor") -> Floats:
    return np.ascontiguousarray(values.numpy(), np.float32)


def _in_parts(work: Callable[[int, int], None], n: int) -> None:
    """Do `work` for voxels 0 … n - 1, a part at a time on as many threads as torch uses."""
    import torch

    starts = range(0, n, CHUNK)
    threads = min(torch.get_num_threads(), len(starts))
    if threads <= 1:
        work(0, n)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: work(start, min(start + CHUNK, n)), starts))


@cache
def compiled() -> Any:
    """The module of compiled loops, or None without numba."""
    try:
        from lithoscope.segmenters import compiled_trees
    except ImportError:
        return None
    return compiled_trees
