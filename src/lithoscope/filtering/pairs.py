"""Averages over neighbours weighed by how alike they are: what non-local means and the bilateral filter share.

Each pair of voxels is weighed once, for both. The image is one flat row of numbers, so that a neighbour is a fixed distance
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
    arrays: list[Any] = [np.ascontiguousarray(a, np.float32).reshape(-1) for a in (values, values if guide is None else guide)]
    mask: Any = None if valid is None else valid.astype(np.float32).reshape(-1)
    if device != "cpu":
        import torch

        work = torch
        arrays = [torch.from_numpy(a).to(device) for a in arrays]
        mask = None if mask is None else torch.from_numpy(mask).to(device)
    total, weight = _sums(work, arrays[0], arrays[1] * np.float32(like.scale), mask, values.shape, like)
    if device != "cpu":
        total, weight = total.cpu().numpy(), weight.cpu().numpy()
    core = tuple(slice(h, n - h) for h, n in zip(like.halo(), values.shape, strict=True))
    total, weight = total.reshape(values.shape)[core], weight.reshape(values.shape)[core]
    found: Floats = total / (weight if valid is None else np.maximum(weight, np.float32(1e-30)))
    return found


def _sums(work: Any, v: Any, guide: Any, mask: Any, shape: tuple[int, ...], like: Likeness) -> tuple[Any, Any]:
    """Σ weight · value and Σ weight, flat over the whole block; `work` is numpy or torch, whose passes are named alike."""
    strides = (shape[1] * shape[2], shape[2], 1)
    halo = like.halo()
    first = sum(h * s for h, s in zip(halo, strides, strict=True))
    last = sum((n - h - 1) * s for n, h, s in zip(shape, halo, strides, strict=True)) + 1
    around = sum(p * s for p, s in zip(like.patch, strides, strict=True))
    total = v + np.float32(0)
    weight = work.ones_like(v) if mask is None else mask + np.float32(0)
    spare = [work.empty_like(v) for _ in range(4)]
    free = np.float32(like.free) if work is np else v.new_tensor(like.free)
    for offset in like.offsets():
        far = sum(d * s for d, s in zip(offset, strides, strict=True))
        start = first - far - around
        size = last + around - start
        square = spare[0][:size]
        work.subtract(guide[start + far : start + far + size], guide[start : start + size], out=square)
        work.multiply(square, square, out=square)
        w = _box_sum(work, spare[:3], size, like.patch, strides)
        n = len(w)
        if like.free:
            work.subtract(free, w, out=w)
            work.clip(w, None, 0, out=w)
        else:
            work.negative(w, out=w)
        work.exp(w, out=w)
        if like.factor is not None:
            work.multiply(w, np.float32(like.factor(offset)), out=w)
        term = spare[3][:n]
        near, away = slice(first - far, last), slice(first, last + far)
        for here, there in ((near, away), (away, near)):
            work.multiply(w, v[there], out=term)
            work.add(total[here], term, out=total[here])
            counted = w
            if mask is not None:
                counted = work.multiply(w, mask[there], out=term)
            work.add(weight[here], counted, out=weight[here])
    return total, weight


def _box_sum(work: Any, spare: list[Any], size: int, patch: Triple, strides: Triple) -> Any:
    """The sums over the patch around each place of the first `size` numbers of spare[0], less what the patch reaches over.

    A run of k numbers is put together from runs of 1, 2, 4 … so that each sum is made in the same order everywhere.
    """
    source, *free = spare
    for radius, stride in zip(patch[::-1], strides[::-1], strict=True):
        run, have = source, 1
        for bit in bin(2 * radius + 1)[3:]:
            for more, other in ((have, run), (1, source))[: 1 + int(bit)]:
                length = size - (have + more - 1) * stride
                out = next(s for s in free if s is not run)
                work.add(run[:length], other[have * stride : have * stride + length], out=out[:length])
                run, have = out, have + more
        size -= 2 * radius * stride
        free = [s for s in spare if s is not run]
        source = run
    return source[:size]
