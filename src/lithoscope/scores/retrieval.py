"""How well vectors find their like: scores of retrieval by group, exact and exhaustive. No vector ever finds itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Metric = Literal["euclidean", "cosine"]


def distances(vectors: npt.NDArray[Any], metric: Metric = "euclidean") -> npt.NDArray[np.float64]:
    """All distances between vectors (n, channels), infinite from each to itself."""
    values = np.asarray(vectors, np.float64)
    if metric == "cosine":
        values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    squares = (values**2).sum(1)
    found = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * values @ values.T, 0))
    np.fill_diagonal(found, np.inf)
    return cast(npt.NDArray[np.float64], found)


def p_at_nk(vectors: npt.NDArray[Any], groups: Sequence[str], metric: Metric = "euclidean") -> float:
    """Of the n_c - 1 nearest others of each vector, the share of its own group of n_c, averaged over all vectors that have others."""
    names = np.asarray(groups)
    order = np.argsort(distances(vectors, metric), axis=1, kind="stable")
    found = []
    for i, name in enumerate(names):
        others = int((names == name).sum()) - 1
        if others:
            found.append(float((names[order[i, :others]] == name).mean()))
    if not found:
        raise InputError("no group has two members; there is nothing to find again")
    return float(np.mean(found))


@dataclass(frozen=True, slots=True)
class NearestF1:
    """The macro F1 of the nearest neighbour's group over several splits: mean and standard deviation."""

    mean: float
    deviation: float


def nn_f1(vectors: npt.NDArray[Any], groups: Sequence[str], *, splits: int = 10, test: float = 0.2) -> NearestF1:
    """Split in a stratified way `splits` times (seeds 0, 1 …), name each held-out vector by its nearest (Euclidean) kept one."""
    from sklearn.metrics import f1_score
    from sklearn.model_selection import train_test_split
    from sklearn.neighbors import KNeighborsClassifier

    found = []
    for seed in range(splits):
        a, b, x, y = train_test_split(np.asarray(vectors), np.asarray(groups), test_size=test, stratify=groups, random_state=seed)
        said = KNeighborsClassifier(1, p=2).fit(a, x).predict(b)
        found.append(float(f1_score(y, said, average="macro")))
    return NearestF1(float(np.mean(found)), float(np.std(found)))
