"""The inner loop of asking trees, compiled by numba; imported by `trees` alone, and only where numba is installed."""

import numba
import numpy as np

LANES = 256
"""Voxels worked on together: their features and bits stay in the first cache."""


@numba.njit(nogil=True, cache=True)
def ask(  # type: ignore[no-untyped-def]  # noqa: ANN201
    features, start, stop, node_first, node_feature, node_threshold, node_mask, exit_first, exits, deeper,  # noqa: ANN001
    feature, threshold, left, right, values, out,  # noqa: ANN001
):  # fmt: skip
    """Mean class shares of the voxels start … stop - 1 of features (channels, n) into the same columns of out (classes, n)."""
    classes, trees = out.shape[0], node_first.shape[0] - 1
    bits = np.empty(LANES, np.uint64)
    at = np.empty(LANES, np.int64)
    total = np.empty((classes, LANES), np.float64)
    rows = np.zeros((features.shape[0], LANES), np.float32)
    every = np.uint64(0xFFFFFFFFFFFFFFFF)
    sequence = np.uint64(0x03F79D71B4CB0A89)
    lowest = np.empty(64, np.int64)
    for k in range(64):
        lowest[(sequence << np.uint64(k)) >> np.uint64(58)] = k
    for block in range(start, stop, LANES):
        wide = min(LANES, stop - block)
        for f in range(features.shape[0]):
            for v in range(wide):
                rows[f, v] = features[f, block + v]
        total[:] = 0
        for tree in range(trees):
            bits[:] = every
            for node in range(node_first[tree], node_first[tree + 1]):
                row, t, m = rows[node_feature[node]], node_threshold[node], node_mask[node]
                for v in range(LANES):
                    bits[v] &= m if row[v] > t else every
            base = exit_first[tree]
            for v in range(LANES):
                b = bits[v]
                at[v] = exits[base + lowest[((b & (~b + np.uint64(1))) * sequence) >> np.uint64(58)]]
            if deeper[tree]:
                for v in range(wide):
                    k = at[v]
                    while feature[k] >= 0:
                        k = right[k] if rows[feature[k], v] > threshold[k] else left[k]
                    at[v] = k
            for c in range(classes):
                for v in range(LANES):
                    total[c, v] += values[at[v], c]
        for c in range(classes):
            for v in range(wide):
                out[c, block + v] = total[c, v] / trees
