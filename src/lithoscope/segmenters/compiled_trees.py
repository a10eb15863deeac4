"""The inner loops of asking trees, compiled by numba; imported by `trees` alone, and only where numba is installed.

`tables` are those of `tree_tables.Tables`. Voxels are worked on some hundred at a time, so that their features stay near the processor.
"""

import numba
import numpy as np

LANES = 256
"""Voxels worked on together."""
GROUP = 8
"""Trees asked before the voxels that are decided are laid aside."""
NEAR = 1e-5
"""A lead that is not greater than this beyond what the trees to come can take away is not trusted."""


@numba.njit(nogil=True, cache=True)
def shares(features, more, start, stop, tables, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Mean class shares of the voxels start … stop - 1 of features (channels, n), followed by `more`, into out (classes, n)."""
    trees, classes = tables.first.shape[0] - 1, out.shape[0]
    rows, bits, at, total, single, lanes = _space(features, more, tables, classes)
    for block in range(start, stop, LANES):
        wide = min(LANES, stop - block)
        for v in range(wide):
            lanes[v] = block + v
        _take(features, more, lanes, wide, rows)
        total[:] = 0
        for tree in range(trees):
            _add(tree, rows, wide, tables, bits, at, single, total)
        for c in range(classes):
            for v in range(wide):
                out[c, block + v] = total[c, v] / trees


@numba.njit(nogil=True, cache=True)
def best(features, more, lead, weight, start, stop, tables, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The class 1 … n of the greatest lead (classes, n) + weight · sum of the trees' shares, for voxels start … stop - 1, into out (n,).

    A voxel is let go as soon as the trees that are left cannot change its class.
    """
    trees, classes = tables.first.shape[0] - 1, lead.shape[0]
    rows, bits, at, total, single, lanes = _space(features, more, tables, classes)
    undecided, count = np.empty(stop - start, np.int64), 0
    for block in range(start, stop, LANES):
        count = _led(lead, weight * trees + NEAR, block, min(block + LANES, stop), out, undecided, count)
    for block in range(0, count, LANES):
        wide = min(LANES, count - block)
        lanes[:wide] = undecided[block : block + wide]
        _take(features, more, lanes, wide, rows)
        total[:] = 0
        done = 0
        while done < trees and wide > 0:
            until = min(done + GROUP, trees)
            for tree in range(done, until):
                _add(tree, rows, wide, tables, bits, at, single, total)
            done = until
            kept = _settle(lead, weight, weight * (trees - done) + NEAR, lanes, wide, total, at, out)
            if kept * 10 < wide * 9:
                for j in range(kept):
                    lanes[j] = lanes[at[j]]
                for r in range(rows.shape[0]):
                    for j in range(kept):
                        rows[r, j] = rows[r, at[j]]
                for c in range(classes):
                    for j in range(kept):
                        total[c, j] = total[c, at[j]]
                wide = kept


@numba.njit(nogil=True, cache=True)
def _led(lead, least, start, stop, out, undecided, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write down the class that leads for voxels start … stop - 1; those whose lead is not greater than `least` are listed after the
    `count` that are, and counted."""
    first, second = np.empty(LANES, np.float32), np.full(LANES, np.float32(-1))
    wide = stop - start
    for v in range(wide):
        first[v] = lead[0, start + v]
        out[start + v] = 1
    for c in range(1, lead.shape[0]):
        row, number = lead[c, start:stop], np.uint8(c + 1)
        for v in range(wide):
            score = row[v]
            out[start + v] = number if score > first[v] else out[start + v]
            second[v] = max(second[v], min(first[v], score))
            first[v] = max(first[v], score)
    for v in range(wide):
        undecided[count] = start + v
        count += first[v] - second[v] <= least
    return count


@numba.njit(nogil=True, cache=True)
def _settle(lead, weight, least, lanes, wide, total, open_, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write down the class that is ahead; the lanes whose lead is not greater than `least` are listed in open_, and counted."""
    kept = 0
    for j in range(wide):
        v = lanes[j]
        first, second, chosen = lead[0, v] + weight * total[0, j], -1.0, 1
        for c in range(1, total.shape[0]):
            score = lead[c, v] + weight * total[c, j]
            if score > first:
                first, second, chosen = score, first, c + 1
            elif score > second:
                second = score
        out[v] = chosen
        if first - second <= least:
            open_[kept] = j
            kept += 1
    return kept


@numba.njit(nogil=True, cache=True)
def _space(features, more, tables, classes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Room for the lanes' features, bits, places, sums, lowest bits and voxels."""
    return (
        np.zeros((features.shape[0] + more.shape[0], LANES), np.float32),
        np.empty(LANES, tables.mask.dtype),
        np.zeros(LANES, np.uint32),
        np.zeros((classes, LANES), np.float64),
        np.zeros(LANES, np.float64),
        np.empty(LANES, np.int64),
    )


@numba.njit(nogil=True, cache=True)
def _take(features, more, lanes, wide, rows):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The features of the lanes' voxels into rows (channels, lanes)."""
    for f in range(features.shape[0]):
        for j in range(wide):
            rows[f, j] = features[f, lanes[j]]
    for f in range(more.shape[0]):
        for j in range(wide):
            rows[features.shape[0] + f, j] = more[f, lanes[j]]


@numba.njit(nogil=True, cache=True)
def _add(tree, rows, wide, tables, bits, at, single, total):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add the shares that one tree gives each lane to total (classes, lanes).

    Unsigned places spare numpy's counting from the end; whole rows of lanes are what the compiler turns into vector instructions.
    Which bit is the lowest is told by the exponent of what is left when all others are struck out, which needs no table.
    """
    if tables.depth[tree] == 0:
        nothing = ~bits.dtype.type(0)
        for v in range(wide):
            bits[v] = nothing
        for node in range(tables.node_first[tree], tables.node_first[tree + 1]):
            row, t, m = rows[tables.node_feature[node]], tables.node_threshold[node], tables.mask[node]
            for v in range(wide):
                bits[v] &= m if row[v] > t else nothing
        base, power = np.uint32(tables.exit_first[tree]), single.view(np.uint64)
        for v in range(wide):
            b = bits[v]
            if bits.itemsize == 4:
                single[v] = np.float64(np.int32(b & (~b + np.uint32(1))))
            else:
                single[v] = np.float64(np.int64(b & (~b + np.uint64(1))))
        for v in range(wide):
            at[v] = base + np.uint32((power[v] >> np.uint64(52)) & np.uint64(2047)) - np.uint32(1023)
    else:
        flat, stride = rows.reshape(-1), np.uint32(rows.shape[1])
        for v in range(wide):
            at[v] = np.uint32(tables.first[tree])
        for _ in range(tables.depth[tree]):
            for v in range(wide):
                k = at[v]
                way = tables.way[k]
                at[v] = (way >> np.uint32(8)) + np.uint32(flat[(way & np.uint32(255)) * stride + np.uint32(v)] > tables.threshold[k])
        for v in range(wide):
            at[v] = tables.exit[at[v]]
    for c in range(total.shape[0]):
        share = tables.share[c]
        for v in range(wide):
            total[c, v] += share[at[v]]
