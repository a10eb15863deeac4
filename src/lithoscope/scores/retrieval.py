"""How well vectors find their like: scores of retrieval by class, exact and exhaustive. No vector ever finds itself.

The definitions are those of the SCAMPI benchmark (Martinsen et al., The 3-billion fossil question, Artificial Intelligence in
Geosciences 2024): precision and recall among the k nearest, and among as many as there are others of the same class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Metric = Literal["euclidean", "cosine"]
Places = npt.NDArray[np.intp]

CUTS = (1, *range(10, 200, 10), 500)
"""The numbers of neighbours at which the benchmark tells precision and recall."""
_PIECE = 512


@dataclass(frozen=True, eq=False)
class Ranking:
    """Who was found by whom. `nearest` (n, depth) are the places of the nearest others, `right` whether they are of the same class.

    `others` (n,) is how many there are to be found: all of the same class but the vector itself, and, where groups are held
    apart, those of its group. `reach` (n,) is how many candidates it had: what lies in `nearest` behind them means nothing.
    """

    names: npt.NDArray[np.str_]
    nearest: Places
    right: npt.NDArray[np.bool_]
    others: npt.NDArray[np.intp]
    reach: npt.NDArray[np.intp]

    @property
    def sought(self) -> npt.NDArray[np.bool_]:
        """Which vectors have anything to find."""
        return self.others > 0

    def precision(self, k: int) -> npt.NDArray[np.float64]:
        """For each vector that has anything to find, the share of its k nearest that is right."""
        return cast(npt.NDArray[np.float64], self.right[self.sought, :k].sum(1) / k)

    def recall(self, k: int) -> npt.NDArray[np.float64]:
        """For each vector that has anything to find, the share of that which is among its k nearest."""
        return cast(npt.NDArray[np.float64], self.right[self.sought, :k].sum(1) / self.others[self.sought])

    def at_others(self) -> npt.NDArray[np.float64]:
        """For each vector that has anything to find, the precision among as many as there are to be found (R-precision)."""
        found = np.cumsum(self.right, axis=1)[np.arange(len(self.right)), np.maximum(self.others, 1) - 1]
        return cast(npt.NDArray[np.float64], found[self.sought] / self.others[self.sought])

    @property
    def p_at_nk(self) -> float:
        """The mean of `at_others` over all vectors."""
        return float(self.at_others().mean())

    def by_class(self) -> dict[str, float]:
        """The mean of `at_others` within each class."""
        values, names = self.at_others(), self.names[self.sought]
        return {str(name): float(values[names == name].mean()) for name in np.unique(names)}

    def cuts(self, wanted: Sequence[int] = CUTS) -> list[int]:
        """Those of the wanted numbers of neighbours that every vector has."""
        return [k for k in wanted if k <= int(self.reach.min())]

    def pr_area(self, wanted: Sequence[int] = CUTS) -> float:
        """The area below mean precision over mean recall at these cuts, from (0, 1) to (1, 0), by trapezoids."""
        cuts = self.cuts(wanted)
        recall = np.array([0.0, *(self.recall(k).mean() for k in cuts), 1.0])
        precision = np.array([1.0, *(self.precision(k).mean() for k in cuts), 0.0])
        order = np.argsort(recall, kind="stable")
        return float(np.trapezoid(precision[order], recall[order]))


def ranked(
    vectors: npt.NDArray[Any], names: Sequence[str], metric: Metric = "euclidean", *, groups: Sequence[str] | None = None, depth: int = 500
) -> Ranking:
    """Rank all others for each vector (n, channels). With `groups`, what is of a vector's own group is no candidate."""
    called = np.asarray(names, dtype=np.str_)
    held = None if groups is None else np.asarray(groups, dtype=np.str_)
    count = len(called)
    if not len(vectors) == count or (held is not None and len(held) != count):
        raise InputError(f"{len(vectors)} vectors, {count} names and {count if held is None else len(held)} groups do not belong together")
    same = _counts(called)
    others = same - 1 if held is None else same - _counts(np.char.add(np.char.add(called, "\0"), held))
    if not (others > 0).any():
        raise InputError("no class has two members that may find each other; there is nothing to find again")
    reach = np.full(count, count - 1) if held is None else count - _counts(held)
    kept = min(max(depth, int(others.max())), count - 1)
    nearest = np.empty((count, kept), np.intp)
    for start, block in _distances(vectors, metric):
        if held is not None:
            block[held[start : start + len(block), None] == held[None]] = np.inf
        nearest[start : start + len(block)] = np.argsort(block, axis=1, kind="stable")[:, :kept]
    right = called[nearest] == called[:, None]
    if held is not None:
        right &= held[nearest] != held[:, None]
    return Ranking(called, nearest, right, others, reach)


def _counts(names: npt.NDArray[np.str_]) -> npt.NDArray[np.intp]:
    """How often each name occurs, at each of its places."""
    _, back, counts = np.unique(names, return_inverse=True, return_counts=True)
    return counts[back]


def _distances(vectors: npt.NDArray[Any], metric: Metric) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """All distances, some rows at a time, infinite from each vector to itself."""
    values = np.asarray(vectors, np.float64)
    if metric == "cosine":
        values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    squares = (values**2).sum(1)
    for start in range(0, len(values), _PIECE):
        some = values[start : start + _PIECE]
        found = np.sqrt(np.maximum(squares[start : start + len(some), None] + squares[None] - 2 * some @ values.T, 0))
        found[np.arange(len(some)), start + np.arange(len(some))] = np.inf
        yield start, found


def p_at_nk(vectors: npt.NDArray[Any], groups: Sequence[str], metric: Metric = "euclidean") -> float:
    """Of the n_c - 1 nearest others of each vector, the share of its own class of n_c, averaged over all vectors that have others."""
    return ranked(vectors, groups, metric, depth=1).p_at_nk


def at_relevant(scores: npt.NDArray[Any], relevant: npt.NDArray[np.bool_]) -> float:
    """Of the best scored (n,) items, as many as are `relevant`, the share that is: R-precision of one ranking."""
    count = int(relevant.sum())
    return float(relevant[np.argsort(-scores, kind="stable")[:count]].mean()) if count else float("nan")


@dataclass(frozen=True, slots=True)
class NearestF1:
    """The macro F1 of the nearest neighbour's class over several splits: mean and standard deviation."""

    mean: float
    deviation: float


def nn_f1(vectors: npt.NDArray[Any], groups: Sequence[str], *, splits: int = 10, test: float = 0.2) -> NearestF1:
    """Split in a stratified way `splits` times (seeds 0, 1 …), name each held-out vector by its nearest (Euclidean) kept one."""
    from lithoscope.scores.naming import Splits, by_neighbours

    found = by_neighbours(vectors, groups, 1, Splits.stratified(groups, count=splits, test=test))
    return NearestF1(found.f1, found.f1_sd)
