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
    least = min(spacing)
    reach = FIRST * least
    found = np.full(box.shape, -1, np.float32)
    part = box
    while True:
        steps = [int(np.ceil(reach / s)) for s in spacing]
        grown = part.grow((steps[0], steps[1], steps[2])).intersect(frame)
        seen = labels(grown)
        core, place = part.within(grown).slices, part.within(box)
        own = seen[core] == id
        near = distances((seen > 0) & (seen != id), spacing, reach, core)
        np.copyto(found[place.slices], near, where=own)
        farther = own & (near >= reach)
        if reach >= FARTHEST * least or not farther.any():
            return found
        part = _around(farther).shift(part.start)
        reach = min(2 * reach, FARTHEST * least)


def _around(mask: Mask) -> Box:
    """The smallest box that holds all of a mask (z, y, x) that is not empty."""
    ranges = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    (a, d), (b, e), (c, f) = ((int(r[0]), int(r[-1]) + 1) for r in ranges)
    return Box((a, b, c), (d, e, f))


def distances(
    border: Mask, spacing: tuple[float, float, float], farthest: float, core: tuple[slice, slice, slice] | None = None
) -> Distances:
    """The distance of each voxel (z, y, x), or of those of `core` alone, to the nearest one in `border`, told up to `farthest`.

    Squares are taken axis by axis, plane by plane so that they stay in the processor's cache; along each axis only for what the
    next ones ask for.
    """
    most = np.float32(farthest) ** 2
    depth, height, width = core or (slice(0, border.shape[0]), slice(0, border.shape[1]), slice(0, border.shape[2]))
    squares = np.empty((len(border), height.stop - height.start, width.stop - width.start), np.float32)
    for z, plane in enumerate(border):
        squares[z] = _lower(np.ascontiguousarray(_along_rows(plane, spacing[2], most)[:, width]), spacing[1], height)
    found = np.empty((depth.stop - depth.start, *squares.shape[1:]), np.float32)
    for y in range(squares.shape[1]):
        found[:, y] = _lower(np.ascontiguousarray(squares[:, y]), spacing[0], depth)
    return np.sqrt(found, out=found)


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


def _lower(squares: Distances, step: float, kept: slice) -> Distances:
    """For the rows of a plane that are `kept`: the least, over all its rows, of a row's squares and the squared distance to that row."""
    start, stop, count = kept.start, kept.stop, len(squares)
    best = squares[kept].copy()
    highest = float(best.max(initial=0))
    for by in range(1, max(stop, count - start)):
        away = np.float32(by * step) ** 2
        if by % _REFRESH == 0:
            highest = float(best.max(initial=0))
        if away >= highest:
            break
        if (first := max(start, by)) < stop:
            np.minimum(best[first - start :], squares[first - by : stop - by] + away, out=best[first - start :])
        if (last := min(stop, count - by)) > start:
            np.minimum(best[: last - start], squares[start + by : last + by] + away, out=best[: last - start])
    return best


def spacing_of(size: tuple[float, float, float] | None, *, flat: bool) -> tuple[float, float, float]:
    """How far apart voxels are along z, y, x, as multiples of the shortest edge; separate slices are out of reach of one another."""
    z, y, x = (1.0, 1.0, 1.0) if size is None else size
    least = min(y, x) if flat else min(z, y, x)
    return (1e6 if flat else z / least, y / least, x / least)
