"""How large a volume (an area, where slices are images of their own) is representative: the spread of a fraction among all boxes
of one size, for every size that fits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple
from lithoscope.volume.voxel import Voxel


def representative_curve(
    tiles: npt.NDArray[np.int64], shape: Triple, weights: npt.NDArray[np.float64], *, voxel: Voxel | None = None, flat: bool = False
) -> list[dict[str, Any]]:
    """For boxes of 1, 2, 3 … tiles an axis: their mean edge (voxels), how many, and the 5th, 50th and 95th percentile of
    the weighted fraction among them. `tiles` (z, y, x, classes) holds voxels, `weights` (classes) how much each counts.

    An axis of fewer tiles than asked for is taken whole. Boxes overlap; those with under half of their voxels counted are left out.
    With `flat`, each tile is one slice thick and boxes are areas of one slice; their edge is that of a square.
    """
    across = slice(1 if flat else 0, 3)
    grid = tiles.shape[:3]
    sums = np.zeros((*(n + 1 for n in grid), tiles.shape[3]), np.int64)
    sums[1:, 1:, 1:] = tiles.cumsum(0).cumsum(1).cumsum(2)
    curve: list[dict[str, Any]] = []
    for k in range(1, max(grid[across]) + 1):
        z, y, x = (min(1 if flat and axis == 0 else k, n) for axis, n in enumerate(grid))
        boxes = sums
        for axis, n in enumerate((z, y, x)):
            upper, lower = [slice(None)] * 4, [slice(None)] * 4
            upper[axis], lower[axis] = slice(n, None), slice(None, -n)
            boxes = boxes[tuple(upper)] - boxes[tuple(lower)]
        counts = boxes.reshape(-1, tiles.shape[3])
        edges = [n * taken / g for n, taken, g in zip(shape, (z, y, x), grid, strict=True)]
        totals = counts.sum(axis=1)
        kept = totals >= 0.5 * np.prod(edges)
        if not kept.any():
            continue
        values = counts[kept] @ weights / totals[kept]
        low, middle, high = np.percentile(values, [5, 50, 95])
        edge = mean_edge(edges[across])
        step = {"edge": edge, "boxes": int(kept.sum()), "low": float(low), "median": float(middle), "high": float(high)}
        curve.append(step if voxel is None else {**step, "length": edge * mean_edge([*voxel.size][across])})
    return curve


def mean_edge(sizes: Sequence[float]) -> float:
    """The edge of the cube (or the square) that is as large as a box (or an area) of these sizes."""
    return float(np.prod(sizes) ** (1 / len(sizes)))
