"""Boxes read and enumerated: the grid of blocks of a scan, and a block with its halo as an array."""

from math import gcd
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box, Triple


class Array3D(Protocol):
    """Anything of (z, y, x) that is read by slices: a level of a scan, an array in memory, corrected labels."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, key: Any, /) -> Any: ...


def blocks(box: Box, edge: Triple) -> list[Box]:
    """The blocks of `edge` voxels (z, y, x) that cover `box`, cut to it, in order z, y, x. The grid starts at voxel 0 of the scan."""
    starts = [
        range(low // step * step, high, step) if low < high else range(0) for low, high, step in zip(box.start, box.stop, edge, strict=True)
    ]
    return [Box((z, y, x), (z + edge[0], y + edge[1], x + edge[2])).intersect(box) for z in starts[0] for y in starts[1] for x in starts[2]]


def spread(box: Box, edge: int, count: int) -> list[Box]:
    """Up to `count` boxes of at most `edge` voxels an axis, apart from one another and spread over `box`."""
    first = [low // edge for low in box.start]
    cells = [-(-high // edge) - low for low, high in zip(first, box.stop, strict=True)]
    total = cells[0] * cells[1] * cells[2]
    least = step = max(1, -(-total // count))
    # A step that shares a factor with the cells of an axis would pick them all in one plane.
    while step > 1 and any(gcd(step, n) > 1 for n in cells) and step < 2 * least:
        step += 1
    found = []
    for index in range(min(step // 2, total - 1), total, step):
        z, y, x = (edge * (f + i) for f, i in zip(first, _unravelled(index, cells), strict=True))
        found.append(Box((z, y, x), (z + edge, y + edge, x + edge)).intersect(box))
    return found


def _unravelled(index: int, cells: list[int]) -> Triple:
    rest, x = divmod(index, cells[2])
    z, y = divmod(rest, cells[1])
    return (z, y, x)


def read(array: Array3D, box: Box) -> npt.NDArray[Any]:
    """The voxels of `box`, (z, y, x) in native dtype; reflected beyond the faces (as numpy's "symmetric").

    An axis shorter than the halo is reflected again and again, as numpy does.
    """
    shape = (array.shape[0], array.shape[1], array.shape[2])
    inner = box.intersect(Box.whole(shape))
    if inner == box:
        return np.asarray(array[box.slices])
    indices = [_reflected(a, b, n) for a, b, n in zip(box.start, box.stop, shape, strict=True)]
    low = [int(i.min()) for i in indices]
    high = [int(i.max()) + 1 for i in indices]
    found = np.asarray(array[slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])])
    z, y, x = (i - a for i, a in zip(indices, low, strict=True))
    return np.ascontiguousarray(found[z][:, y][:, :, x])


def _reflected(start: int, stop: int, size: int) -> npt.NDArray[np.intp]:
    """Where the indices start … stop - 1 of an axis of `size` voxels fall when it is reflected at its ends."""
    folded = np.arange(start, stop) % (2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)
