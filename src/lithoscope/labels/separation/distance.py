"""How far each voxel of a class is from the nearest voxel of another: exact, and the same whatever the blocks."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box

Distances = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint8]

FIRST = 16
FARTHEST = 96
"""Distances are told up to this many voxels (of the shortest edge); what is farther off counts as this far."""
_REFRESH = 8


def block_distances(labels: Callable[[Box], Labels], id: int, box: Box, frame: Box, spacing: tuple[float, float, float]) -> Distances:
    """The distances over a box (z, y, x) within the frame, of class `id` to other classes; -1 for voxels of another class or of none.

    Voxels without a class are no border, and neither are the frame's faces. `spacing` is in the unit of the distances.
    """
    reach = FIRST * min(spacing)
    while True:
        steps = [int(np.ceil(reach / s)) for s in spacing]
        grown = box.grow((steps[0], steps[1], steps[2])).intersect(frame)
        found = labels(grown)
        far = distances((found > 0) & (found != id), spacing, reach)
        core = box.within(grown).slices
        own = found[core] == id
        near = far[core]
        if reach >= FARTHEST * min(spacing) or not (near[own] >= reach).any():
            return np.where(own, near, np.float32(-1))
        reach *= 2 if reach * 2 <= FARTHEST * min(spacing) else FARTHEST * min(spacing) / reach


def distances(border: Mask, spacing: tuple[float, float, float], farthest: float) -> Distances:
    """The distance of each voxel (z, y, x) to the nearest one in `border`, told up to `farthest`.

    Squares are taken axis by axis, plane by plane so that they stay in the processor's cache.
    """
    most = np.float32(farthest) ** 2
    squares = np.empty(border.shape, np.float32)
    for z, plane in enumerate(border):
        squares[z] = _lower(_along_rows(plane, spacing[2], most), spacing[1])
    for y in range(border.shape[1]):
        squares[:, y] = _lower(np.ascontiguousarray(squares[:, y]), spacing[0])
    return np.sqrt(squares, out=squares)


def _along_rows(border: Mask, step: float, most: np.float32) -> Distances:
    """The squared distance of each voxel of a plane (y, x) to the border in its row."""
    width = border.shape[1]
    places = np.arange(width, dtype=np.int32)
    never = np.int32(1 << 28)
    before = np.maximum.accumulate(np.where(border, places, -never), axis=1)
    after = np.minimum.accumulate(np.where(border, places, never)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.minimum(places - before, after - places).astype(np.float32) * np.float32(step)
    squares: Distances = np.minimum(np.minimum(nearest, np.float32(1e15)) ** 2, most)
    return squares


def _lower(squares: Distances, step: float) -> Distances:
    """The least, over all rows of a plane, of a row's squares and the squared distance to that row."""
    best = squares.copy()
    highest = float(best.max(initial=0))
    for by in range(1, len(squares)):
        away = np.float32(by * step) ** 2
        if by % _REFRESH == 0:
            highest = float(best.max())
        if away >= highest:
            break
        np.minimum(best[by:], squares[:-by] + away, out=best[by:])
        np.minimum(best[:-by], squares[by:] + away, out=best[:-by])
    return best


def spacing_of(size: tuple[float, float, float] | None, *, flat: bool) -> tuple[float, float, float]:
    """How far apart voxels are along z, y, x, as multiples of the shortest edge; separate slices are out of reach of one another."""
    z, y, x = (1.0, 1.0, 1.0) if size is None else size
    least = min(y, x) if flat else min(z, y, x)
    return (1e6 if flat else z / least, y / least, x / least)
