"""The coarser levels of a scan: their shapes, and a block made smaller by averaging (images) or picking (labels)."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box, Triple

COARSEST = 512
"""The coarsest level has no axis longer than this."""

T = TypeVar("T", bound=np.generic)


def level_shapes(shape: Triple) -> list[Triple]:
    """The (z, y, x) shapes of all levels, the full one first: axes longer than 512 are halved, rounding up, until none is."""
    shapes = [shape]
    while max(shapes[-1]) > COARSEST:
        z, y, x = (-(-n // 2) if n > COARSEST else n for n in shapes[-1])
        shapes.append((z, y, x))
    return shapes


def level_steps(shape: Triple) -> list[Triple]:
    """By how much (z, y, x) each level is smaller than the one before it; the first is (1, 1, 1)."""
    steps = [(1, 1, 1)]
    for before in level_shapes(shape)[:-1]:
        z, y, x = (2 if n > COARSEST else 1 for n in before)
        steps.append((z, y, x))
    return steps


def level_factors(shape: Triple) -> list[Triple]:
    """By how much (z, y, x) each level is smaller than the full one."""
    factors = []
    a, b, c = 1, 1, 1
    for z, y, x in level_steps(shape):
        a, b, c = a * z, b * y, c * x
        factors.append((a, b, c))
    return factors


def coarser(box: Box, factors: Triple) -> Box:
    """The part of a level that a box of the full scan fills, when it starts on a multiple of the level's factors."""
    (a, b, c), (d, e, f), (z, y, x) = box.start, box.stop, factors
    return Box((a // z, b // y, c // x), (-(-d // z), -(-e // y), -(-f // x)))


def reduce_labels(block: npt.NDArray[T], factors: Triple) -> npt.NDArray[T]:
    """Every n-th label along (z, y, x): no label is invented."""
    z, y, x = factors
    return block[::z, ::y, ::x]


def reduce_image(block: npt.NDArray[Any], factors: Triple) -> npt.NDArray[Any]:
    """The means of cells of `factors` (z, y, x) voxels, in the block's dtype; halves are rounded up. Cut cells average what they hold."""
    kind, size = block.dtype.kind, block.dtype.itemsize
    if kind in "iu" and factors and max(factors) <= 2 and size <= 4:
        return _reduce_integers(block, factors)
    wide: npt.NDArray[Any] = block.astype(np.float64 if kind in "iu" or size > 4 else np.float32)
    for axis, factor in enumerate(factors):
        if factor > 1:
            edges = np.arange(0, wide.shape[axis], factor)
            widths = np.diff([*edges, wide.shape[axis]]).reshape([-1 if a == axis else 1 for a in range(3)])
            wide = np.add.reduceat(wide, edges, axis=axis) / widths.astype(wide.dtype)
    if kind in "iu":
        info = np.iinfo(block.dtype)
        wide = np.clip(np.floor(wide + 0.5), float(info.min), float(info.max))
    return wide.astype(block.dtype)


def _reduce_integers(block: npt.NDArray[Any], factors: Triple) -> npt.NDArray[Any]:
    """`reduce_image` by sums of neighbours in a wider integer; exact."""
    signed = block.dtype.kind == "i"
    sums = block
    wide = np.dtype(f"{'i' if signed else 'u'}{block.dtype.itemsize * 2}")
    shift = 0
    for axis in (0, 1, 2):
        if factors[axis] == 1:
            continue
        n = sums.shape[axis]
        first, second = _take(sums, axis, 0), _take(sums, axis, 1)
        if n % 2 == 0:
            sums = np.add(first, second, dtype=wide)
        else:
            paired = np.empty(first.shape, wide)
            head = [slice(None)] * 3
            head[axis] = slice(0, n // 2)
            np.add(first[tuple(head)], second, out=paired[tuple(head)], dtype=wide)
            tail = [slice(None)] * 3
            tail[axis] = slice(n // 2, None)
            paired[tuple(tail)] = first[tuple(tail)].astype(wide) * 2
            sums = paired
        shift += 1
    if not shift:
        return block
    sums += wide.type(1 << (shift - 1))
    sums >>= wide.type(shift)
    return sums.astype(block.dtype)


def _take(array: npt.NDArray[Any], axis: int, start: int) -> npt.NDArray[Any]:
    key = [slice(None)] * 3
    key[axis] = slice(start, None, 2)
    return array[tuple(key)]
