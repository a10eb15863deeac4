"""A small forest grown in some milliseconds, so that it can follow every stroke: bagged trees of few leaves on binned features.

scikit-learn takes thirty times as long for the same, since it sorts every feature anew at every node.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.segmenters.trees import Trees, not_above

MOST_THREADS = 4
BINS = 128
"""Parts of each feature's range, equally full, between which a tree may split."""


def grown(
    features: npt.NDArray[np.float32],
    target: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    *,
    trees: int,
    share: float,
    leaf: int,
    leaves: int,
    seed: int,
) -> Trees:
    """Trees on features (n, channels), classes 0 … of which all occur, and weights; each sees a `share` of the voxels, drawn with
    repetition, and has at most `leaves` leaves of at least `leaf` voxels."""
    from lithoscope.segmenters.compiled_growth import binned, grow

    n, classes = len(target), int(target.max()) + 1
    edges = _edges(features)
    bins = np.empty((features.shape[1], n), np.uint8)
    binned(np.ascontiguousarray(features.T), edges, bins)
    rng = np.random.default_rng(seed)

    def tree(chosen: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
        drawn = np.bincount(chosen, minlength=n)
        size = 2 * leaves - 1
        room = (*(np.zeros(size, np.int64) for _ in range(4)), np.zeros((size, classes)))
        nodes = grow(bins, target, weights * drawn, classes, BINS, leaf, leaves, room)
        return tuple(part[:nodes] for part in room)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS)) as pool:
        found = list(pool.map(tree, [rng.integers(0, n, max(1, round(share * n))) for _ in range(trees)]))
    first = np.concatenate([[0], np.cumsum([len(part[0]) for part in found])])
    feature, cut, left, right, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    inner, start = feature >= 0, np.repeat(first[:-1], np.diff(first))
    here = np.arange(len(feature))
    return Trees(
        first.astype(np.int64),
        feature.astype(np.int32),
        np.where(inner, edges[np.maximum(feature, 0), np.minimum(cut, BINS - 2)], np.float32(np.inf)).astype(np.float32),
        np.where(inner, start + left, here).astype(np.int32),
        np.where(inner, start + right, here).astype(np.int32),
        values / values.sum(axis=1, keepdims=True),
    )


def _edges(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where each channel may be split (channels, BINS - 1): half way between neighbouring values, equally many voxels apart."""
    ranked = np.sort(features, axis=0).astype(np.float64)
    at = np.arange(1, BINS) * len(ranked) // BINS
    return not_above((ranked[np.maximum(at - 1, 0)] + ranked[at]) / 2).T.copy()
