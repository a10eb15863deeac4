"""One tree grown best first on binned features: compiled by numba where it is installed, the same in plain Python where not."""

from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import numba
except ImportError:

    def fast(function: Callable[..., Any]) -> Callable[..., Any]:
        """Leave a function as it is."""
        return function

else:
    fast = numba.njit(nogil=True, cache=True)


@fast
def grow(bins, target, weights, classes, most_bins, leaf, leaves, room):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Grow a tree on bins (n, channels), classes target (n,) and weights (n,), of which those of 0 are left out; its number of nodes.

    Always the leaf is split next whose split lowers the Gini impurity most, until there are `leaves`, or none can be split into
    parts of `leaf` samples. `room` is (feature, bin, left, right, values), filled node by node.
    """
    feature, cut, left, right, values = room
    drawn = np.flatnonzero(weights > 0)
    begin, end = np.zeros(len(feature), np.int64), np.zeros(len(feature), np.int64)
    gain = np.zeros(len(feature))
    best_feature, best_cut = np.zeros(len(feature), np.int64), np.zeros(len(feature), np.int64)
    sums, counts = np.zeros((bins.shape[1], most_bins, classes)), np.zeros((bins.shape[1], most_bins), np.int64)
    spare = np.empty(len(drawn), np.int64)
    end[0], nodes, ways = len(drawn), 1, 1
    gain[0], best_feature[0], best_cut[0] = judge(bins, target, weights, drawn[: len(drawn)], leaf, sums, counts, values[0])
    feature[0] = -1
    while ways < leaves:
        k = 0
        for other in range(1, nodes):
            if gain[other] > gain[k]:
                k = other
        if gain[k] <= 0:
            break
        feature[k], cut[k] = best_feature[k], best_cut[k]
        low, high = begin[k], 0
        for i in range(begin[k], end[k]):
            s = drawn[i]
            if bins[s, feature[k]] <= cut[k]:
                drawn[low] = s
                low += 1
            else:
                spare[high] = s
                high += 1
        for i in range(high):
            drawn[low + i] = spare[i]
        left[k], right[k], gain[k] = nodes, nodes + 1, 0.0
        begin[nodes], end[nodes], begin[nodes + 1], end[nodes + 1] = begin[k], low, low, end[k]
        for child in (nodes, nodes + 1):
            feature[child] = -1
            part = drawn[begin[child] : end[child]]
            gain[child], best_feature[child], best_cut[child] = judge(bins, target, weights, part, leaf, sums, counts, values[child])
        nodes += 2
        ways += 1
    return nodes


@fast
def judge(bins, target, weights, part, leaf, sums, counts, share):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """How much the best split of the samples in `part` lowers the impurity (0 if none may be made), its feature and its bin.

    The weight of each class goes to `share`; `sums` (channels, bins, classes) and `counts` are room to work in.
    """
    classes, channels = share.shape[0], bins.shape[1]
    for c in range(classes):
        share[c] = 0.0
    for s in part:
        share[target[s]] += weights[s]
    total, square = 0.0, 0.0
    for c in range(classes):
        total += share[c]
        square += share[c] * share[c]
    pure = square / total
    best, chosen, place = pure * (1 + 1e-9), -1, 0
    if len(part) < 2 * leaf or pure >= total * (1 - 1e-12):
        return 0.0, chosen, place
    for f in range(channels):
        last = 0
        for b in range(counts.shape[1]):
            counts[f, b] = 0
            for c in range(classes):
                sums[f, b, c] = 0.0
        for s in part:
            b = bins[s, f]
            counts[f, b] += 1
            sums[f, b, target[s]] += weights[s]
            last = max(last, b)
        here, below, number = 0.0, np.zeros(classes), 0
        for b in range(last):
            if counts[f, b] == 0:
                continue
            number += counts[f, b]
            for c in range(classes):
                below[c] += sums[f, b, c]
                here += sums[f, b, c]
            if number < leaf or len(part) - number < leaf:
                continue
            under, over = 0.0, 0.0
            for c in range(classes):
                under += below[c] * below[c]
                over += (share[c] - below[c]) * (share[c] - below[c])
            score = under / here + over / (total - here)
            if score > best:
                best, chosen, place = score, f, b
    return (best - pure if chosen >= 0 else 0.0), chosen, place
