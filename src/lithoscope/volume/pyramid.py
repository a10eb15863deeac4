"""The coarser levels of a scan: their shapes, and a block made smaller by averaging (images) or picking (labels)."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box, Triple

COARSEST = 512
"""The coarsest level has no axis longer than this."""

PIECE = 1 << 20
"""Bytes that are averaged at once."""

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
    if max(factors) <= 2 and (kind == "f" or size <= 2):
        return _in_pieces(block, factors)
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


def _in_pieces(block: npt.NDArray[Any], factors: Triple) -> npt.NDArray[Any]:
    """`reduce_image` by halves, a few planes at a time, so that the sums stay in the cache; exact for integers of 8 and 16 bits."""
    if factors == (1, 1, 1):
        return block
    z, y, x = (-(-n // f) for n, f in zip(block.shape, factors, strict=True))
    out = np.empty((z, y, x), block.dtype)
    step = max(1, PIECE // max(1, block[0].nbytes * factors[0]))
    for first in range(0, z, step):
        last = min(first + step, z)
        out[first:last] = _halved(block[first * factors[0] : last * factors[0]], factors)
    return out


def _halved(piece: npt.NDArray[Any], factors: Triple) -> npt.NDArray[Any]:
    """The rounded means of a few planes. A last odd voxel is averaged with itself."""
    odd = [(0, n % f) for n, f in zip(piece.shape, factors, strict=True)]
    values = np.pad(piece, odd, "edge") if any(b for _, b in odd) else np.ascontiguousarray(piece)
    if piece.dtype.kind == "f":
        return _halved_floats(values, factors)
    bits = 8 * piece.dtype.itemsize
    narrow, wide = np.dtype(f"u{bits // 8}"), np.dtype(f"u{bits // 4}")
    values = values.view(narrow)
    sign = narrow.type(1 << (bits - 1)) if piece.dtype.kind == "i" else None
    if sign is not None:
        values = values ^ sign
    if factors[2] == 2:  # two neighbours along x are one wider number, whose halves are added
        pairs = values.view(wide)
        sums = pairs >> wide.type(bits)
        sums += pairs & wide.type((1 << bits) - 1)
    else:
        sums = values.astype(wide)
    if factors[1] == 2:
        sums = sums[:, 0::2] + sums[:, 1::2]
    if factors[0] == 2:
        sums = sums[0::2] + sums[1::2]
    shift = sum(f == 2 for f in factors)
    sums += wide.type(1 << (shift - 1))
    sums >>= wide.type(shift)
    means: npt.NDArray[Any] = sums.astype(narrow)
    if sign is not None:
        means ^= sign
    result: npt.NDArray[Any] = means.view(piece.dtype)
    return result


def _halved_floats(values: npt.NDArray[Any], factors: Triple) -> npt.NDArray[Any]:
    """The means of a few planes whose halved axes are even."""
    half = values.dtype.type(0.5)
    with np.errstate(over="ignore", invalid="ignore"):
        if factors[0] == 2:
            values = values[0::2] * half + values[1::2] * half
        if factors[1] == 2:
            values = values[:, 0::2] * half + values[:, 1::2] * half
        if factors[2] == 2:
            values = values[:, :, 0::2] * half + values[:, :, 1::2] * half
    return values
