"""Averages over neighbours weighed by how alike they are: what non-local means and the bilateral filter share.

Each pair of voxels is weighed once, for both. Each plane is one flat row of numbers, so that a neighbour is a fixed distance
away and every step is one pass over contiguous memory; what wraps around falls into the halo, which is thrown away. Every voxel is
summed up in the same order wherever its block begins, so that blocks make the bytes of the whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much a neighbour counts: factor(offset) · exp(-max(Σ over the patch (scale · difference)² - free, 0)).

    `reach` is how far (z, y, x) neighbours are looked at, `patch` how far around either is compared, `factor` an offset's own weight.
    """

    reach: Triple
    patch: Triple
    scale: float
    free: float = 0.0
    factor: Callable[[Triple], float] | None = None

    def halo(self) -> Triple:
        """How many voxels (z, y, x) around a place the average depends on."""
        (a, b, c), (d, e, f) = self.reach, self.patch
        return (a + d, b + e, c + f)

    def offsets(self) -> Iterator[Triple]:
        """One of each two opposite neighbours (z, y, x)."""
        z, y, x = self.reach
        for a in range(z + 1):
            for b in range(-y, y + 1):
                for c in range(-x, x + 1):
                    if (a, b, c) > (0, 0, 0):
                        yield a, b, c


WORKING = 4 * 9
"""Bytes that `averaged` takes a voxel: the values, two sums and five steps in between, and the mask."""


def averaged(
    values: Floats, like: Likeness, *, guide: Floats | None = None, valid: npt.NDArray[np.bool_] | None = None, device: str = "cpu"
) -> Floats:
    """The average of every voxel of `values` (z, y, x) and its neighbours, less the halo on all sides.

    Likeness is judged on `guide`, of the same shape, or on the values themselves. What is not `valid` must be 0 in `values`, and
    counts for nobody.
    """
    work: Any = np
    depth, height, width = values.shape
    given = [values, values if guide is None else guide, valid]
    planes: list[Any] = [None if a is None else np.ascontiguousarray(a, np.float32).reshape(depth, height * width) for a in given]
    if device != "cpu":
        import torch

        work = torch
        planes = [None if a is None else torch.from_numpy(a).to(device) for a in planes]
    total, weight = _sums(work, planes[0], planes[1] * np.float32(like.scale), planes[2], (depth, height, width), like)
    if device != "cpu":
        total, weight = total.cpu().numpy(), weight.cpu().numpy()
    found: Floats = total / (weight if valid is None else np.maximum(weight, np.float32(1e-30)))
    (a, b, c), row = like.halo(), np.empty((len(found), (height - 2 * like.halo()[1]) * width), np.float32)
    row[:, : found.shape[1]] = found
    return row.reshape(depth - 2 * a, height - 2 * b, width)[:, :, : width - 2 * c]


def _sums(work: Any, v: Any, guide: Any, mask: Any, shape: Triple, like: Likeness) -> tuple[Any, Any]:
    """Σ weight · value and Σ weight over the core, its planes flat from the first of its voxels to the last.

    The arrays are (z, y · x); `work` is numpy or torch, whose passes are named alike.
    """
    (depth, height, width), (halo_z, halo_y, halo_x), (patch_z, patch_y, patch_x) = shape, like.halo(), like.patch
    first, last = halo_y * width + halo_x, (height - halo_y) * width - halo_x
    around = patch_y * width + patch_x
    core = slice(halo_z, depth - halo_z), slice(first, last)
    total = v[core] + np.float32(0)
    weight = work.ones_like(total) if mask is None else mask[core] + np.float32(0)
    spare = [work.empty_like(v) for _ in range(4)]
    free = np.float32(like.free) if work is np else v.new_tensor(like.free)
    for z, y, x in like.offsets():
        far = y * width + x
        low, high = first - max(far, 0), last - min(far, 0)
        rows, size = depth - 2 * halo_z + 2 * patch_z + z, high - low + 2 * around
        bottom, start = halo_z - z - patch_z, low - around
        square = spare[0][:rows, :size]
        near = guide[bottom : bottom + rows, start : start + size]
        work.subtract(guide[bottom + z : bottom + z + rows, start + far : start + far + size], near, out=square)
        work.multiply(square, square, out=square)
        w = _box_sum(work, spare[:3], (rows, size), like.patch, width)
        if like.free:
            work.subtract(free, w, out=w)
            work.clip(w, None, 0, out=w)
        else:
            work.negative(w, out=w)
        work.exp(w, out=w)
        if like.factor is not None:
            work.multiply(w, np.float32(like.factor((z, y, x))), out=w)
        term = spare[3][: depth - 2 * halo_z, : last - first]
        n = last - first
        for own, by_z, by in (
            (w[z:, first - low : first - low + n], z, far),
            (w[: len(term), first - far - low : first - far - low + n], -z, -far),
        ):
            there = slice(halo_z + by_z, depth - halo_z + by_z), slice(first + by, last + by)
            work.multiply(own, v[there], out=term)
            work.add(total, term, out=total)
            counted = own
            if mask is not None:
                counted = work.multiply(own, mask[there], out=term)
            work.add(weight, counted, out=weight)
    return total, weight


def _box_sum(work: Any, spare: list[Any], size: tuple[int, int], patch: Triple, width: int) -> Any:
    """The sums over the patch around each place of the first `size` (z, y · x) of spare[0], less what the patch reaches over.

    A run of k numbers is put together from runs of 1, 2, 4 … so that each sum is made in the same order everywhere.
    """
    source, shape = 0, list(size)
    for axis, radius, stride in ((1, patch[2], 1), (1, patch[1], width), (0, patch[0], 1)):
        run, have = source, 1
        for bit in bin(2 * radius + 1)[3:]:
            for more, other in ((have, run), (1, source))[: 1 + int(bit)]:
                out = next(k for k in range(3) if k not in (run, source))
                length = shape[axis] - (have + more - 1) * stride
                rows, columns = (length, shape[1]) if axis == 0 else (shape[0], length)
                down, along = (have * stride, 0) if axis == 0 else (0, have * stride)
                further = spare[other][down : down + rows, along : along + columns]
                work.add(spare[run][:rows, :columns], further, out=spare[out][:rows, :columns])
                run, have = out, have + more
        shape[axis] -= 2 * radius * stride
        source = run
    return spare[source][: shape[0], : shape[1]]
