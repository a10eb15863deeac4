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
def binned(rows, edges, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """How many edges (channels, 2^k - 1, rising) are below each value of rows (channels, n), into out (channels, n).

    Halving without a branch: half of the branches of a search among values in no order are guessed wrongly.
    """
    for f in range(rows.shape[0]):
        row, edge, own = rows[f], edges[f], out[f]
        for i in range(len(row)):
            value, low, step = row[i], np.uint32(0), np.uint32((len(edge) + 1) >> 1)
            while step > 0:
                low += step * np.uint32(edge[low + step - np.uint32(1)] < value)
                step >>= np.uint32(1)
            own[i] = low


@fast
def grow(bins, target, weights, classes, most_bins, leaf, leaves, room):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Grow a tree on bins (channels, n), classes target (n,) and weights (n,), of which those of 0 are left out; its number of nodes.

    Always the leaf is split next whose split lowers the Gini impurity most, until there are `leaves`, or none can be split into
    parts of `leaf` samples. `room` is (feature, bin, left, right, values), filled node by node.
    """
    feature, cut, left, right, values = room
    drawn = np.flatnonzero(weights > 0).astype(np.uint32)
    begin, end = np.zeros(len(feature), np.int64), np.zeros(len(feature), np.int64)
    gain = np.zeros(len(feature))
    best_feature, best_cut = np.zeros(len(feature), np.int64), np.zeros(len(feature), np.int64)
    sums, counts = np.zeros((most_bins, classes)), np.zeros(most_bins, np.int64)
    spare, near, weight = np.empty(len(drawn), np.uint32), np.empty(len(drawn), np.uint8), np.empty(len(drawn))
    space = (near, weight, sums, counts)
    end[0], nodes, ways = len(drawn), 1, 1
    gain[0], best_feature[0], best_cut[0] = judge(bins, target, weights, drawn[: len(drawn)], leaf, space, values[0])
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
            if bins[feature[k], s] <= cut[k]:
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
            gain[child], best_feature[child], best_cut[child] = judge(bins, target, weights, part, leaf, space, values[child])
        nodes += 2
        ways += 1
    return nodes


@fast
def judge(bins, target, weights, part, leaf, space, share):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """How much the best split of the samples in `part` lowers the impurity (0 if none may be made), its feature and its bin.

    The weight of each class goes to `share`; `space` is room to work in: of each sample in `part` its class and weight, so that for
    every channel only the bins lie apart, and of one channel the sums (bins, classes) and counts, which stay near the processor.
    """
    near, weight, sums, counts = space
    classes, channels = share.shape[0], bins.shape[0]
    share[:] = 0.0
    for i in range(len(part)):
        near[i], weight[i] = target[part[i]], weights[part[i]]
        share[near[i]] += weight[i]
    total, square = 0.0, 0.0
    for c in range(classes):
        total += share[c]
        square += share[c] * share[c]
    pure = square / total
    best, chosen, place = pure * (1 + 1e-9), -1, 0
    if len(part) < 2 * leaf or pure >= total * (1 - 1e-12):
        return 0.0, chosen, place
    below = np.zeros(classes)
    for f in range(channels):
        sums[:] = 0.0
        counts[:] = 0
        row = bins[f]
        last = np.uint8(0)
        for i in range(len(part)):
            b = row[part[i]]
            counts[b] += 1
            sums[b, near[i]] += weight[i]
            last = max(last, b)
        here, number = 0.0, 0
        below[:] = 0.0
        for b in range(last):
            if counts[b] == 0:
                continue
            number += counts[b]
            for c in range(classes):
                below[c] += sums[b, c]
                here += sums[b, c]
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
