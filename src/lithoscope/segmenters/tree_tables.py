"""Trees laid out for the processor: those of few leaves as bit vectors, the others level by level with both children side by side.

Bit vectors (QuickScorer, Lucchese et al., SIGIR 2015): every comparison that fails strikes out the leaves under its left branch; the
lowest bit that is left is the way out. Those of many leaves are walked down, all voxels one level at a time.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lithoscope.segmenters.trees import Trees

WIDE = 64
"""Leaves of a tree that is asked by bits: those of one word."""
MOST_NODES = 1 << 24
MOST_FEATURES = 1 << 8


class Tables(NamedTuple):
    """`depth` (trees,) is how many comparisons lead out of a tree that is walked, and 0 for one that is asked by bits.

    Walked: tree t begins at first[t]; at node k of feature way[k] & 255, voxels that are ≤ threshold[k] go on to way[k] >> 8, the
    others to the one after; leaves lead to themselves, and to column exit[k] of `share`. By bits: the comparisons of tree t are
    node_first[t] … node_first[t + 1], and its leaves are the columns from exit_first[t] of share (classes, leaves).
    """

    first: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int64]
    way: npt.NDArray[np.uint32]
    threshold: npt.NDArray[np.float32]
    exit: npt.NDArray[np.uint32]
    node_first: npt.NDArray[np.int64]
    node_feature: npt.NDArray[np.int64]
    node_threshold: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
    exit_first: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]


def fits(trees: "Trees") -> bool:
    """Whether the trees have few enough nodes and features for the tables."""
    return len(trees.feature) < MOST_NODES and int(trees.feature.max(initial=0)) < MOST_FEATURES


def tables(trees: "Trees") -> Tables:
    """The tables of all trees."""
    order, depth = _by_level(trees)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    feature, leaf = trees.feature[order], trees.feature[order] < 0
    child = np.where(leaf, np.arange(len(order)), place[trees.left[order]])
    row, node_first, nodes, masks = _bits(trees)
    words = np.array(masks, np.uint64)
    small = np.diff(trees.first) < 2 * WIDE
    leaves = np.flatnonzero(trees.feature < 0)
    share = np.empty((trees.values.shape[1], len(leaves)))
    share[:, row[leaves]] = trees.values[leaves].T
    at = np.array(nodes, np.int64)
    return Tables(
        trees.first,
        np.where(small, 0, np.maximum(depth, 1)),
        (child.astype(np.uint32) << np.uint32(8)) | np.where(leaf, 0, feature).astype(np.uint32),
        np.where(leaf, np.float32(np.inf), trees.threshold[order]).astype(np.float32),
        np.where(leaf, row[order], 0).astype(np.uint32),
        np.array(node_first, np.int64),
        trees.feature[at].astype(np.int64),
        trees.threshold[at],
        words.astype(np.uint32) if _most_leaves(trees) <= 32 else words,
        np.concatenate([[0], np.cumsum((np.diff(trees.first) + 1) // 2)]),
        share,
    )


def _most_leaves(trees: "Trees") -> int:
    """The leaves of the largest tree that is asked by bits."""
    leaves = (np.diff(trees.first) + 1) // 2
    return int(leaves[leaves <= WIDE].max(initial=1))


def _by_level(trees: "Trees") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The nodes tree by tree, and in each level by level with the two children of a node side by side; and each tree's depth."""
    roots, count = trees.first[:-1], trees.count
    found, owners, depth = [roots], [np.arange(count)], np.zeros(count, np.int64)
    level = 0
    while True:
        inner = trees.feature[found[-1]] >= 0
        if not inner.any():
            break
        level += 1
        parents, owner = found[-1][inner], owners[-1][inner]
        depth[owner] = level
        found.append(np.stack([trees.left[parents], trees.right[parents]], axis=1).astype(np.int64).ravel())
        owners.append(np.repeat(owner, 2))
    nodes, whose = np.concatenate(found), np.concatenate(owners)
    return nodes[np.argsort(whose, kind="stable")], depth


def _bits(trees: "Trees") -> tuple[npt.NDArray[np.int64], list[int], list[int], list[int]]:
    """The row of every leaf among all leaves, left to right and tree by tree; and of the small trees, tree by tree: where the
    comparisons begin, which nodes they are, and which leaves each leaves standing."""
    feature, left, right = trees.feature.tolist(), trees.left.tolist(), trees.right.tolist()
    size = len(feature)
    leaves, begin = [1] * size, [0] * size
    for k in range(size - 1, -1, -1):
        if feature[k] >= 0:
            leaves[k] = leaves[left[k]] + leaves[right[k]]
    total, node_first = 0, [0]
    nodes: list[int] = []
    masks: list[int] = []
    for root, end in zip(trees.first[:-1].tolist(), trees.first[1:].tolist(), strict=True):
        begin[root] = total
        for k in range(root, end):
            if feature[k] < 0:
                continue
            begin[left[k]], begin[right[k]] = begin[k], begin[k] + leaves[left[k]]
            if leaves[root] <= WIDE:
                nodes.append(k)
                masks.append(~(((1 << leaves[left[k]]) - 1) << (begin[k] - total)) & (2**64 - 1))
        node_first.append(len(nodes))
        total += leaves[root]
    return np.array(begin, np.int64), node_first, nodes, masks
