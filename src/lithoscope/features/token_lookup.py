"""Tokens near voxels: where a method takes them from, be that a cache of the whole scan or the block itself, and what lies between.

A source gives whole tokens; carrying them, or what was made of them, to voxels is done here, so that many channels need never be
laid out at every voxel.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.features.token_grid import Grid
from lithoscope.features.tokens import Tokens
from lithoscope.volume.box import Box, Triple

Floats = npt.NDArray[np.float32]


class TokenSource(Protocol):
    """Where tokens come from."""

    def near(self, tokens: Tokens, axis: int, box: Box) -> Floats:
        """The tokens (planes, rows, columns, width) of the planes across `axis` that the voxels of `box` lie between.

        Rows and columns are those that `around` names. The box may reach beyond the scan's faces.
        """
        ...


@dataclass(frozen=True, eq=False)
class Image:
    """Tokens worked out now from an image (z, y, x) that begins at the scan's voxel `origin`, with the extractor's halo around boxes."""

    values: npt.NDArray[Any]
    window: tuple[float, float]
    origin: Triple = (0, 0, 0)

    def near(self, tokens: Tokens, axis: int, box: Box) -> Floats:
        """Plane by plane."""
        (a, b), ranges = axes_across(axis), around(tokens.grid, axis, box)
        start = (self.origin[a], self.origin[b])
        planes = range(box.start[axis] - self.origin[axis], box.stop[axis] - self.origin[axis])
        return np.stack([tokens.of_plane(np.take(self.values, i, axis), self.window, start, ranges) for i in planes])


def axes_across(axis: int) -> tuple[int, int]:
    """The two axes of planes across `axis`."""
    a, b = (k for k in range(3) if k != axis)
    return a, b


def around(grid: Grid, axis: int, box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
    """The rows and the columns (first, last + 1) of tokens between which the voxels of a box lie, on planes across `axis`."""
    a, b = axes_across(axis)
    rows, columns = (grid.weights(box.start[k], box.stop[k])[:2] for k in (a, b))
    return rows, columns


def at_voxels(near: Floats, grid: Grid, axis: int, box: Box) -> Floats:
    """Channels (channels, z, y, x) at every voxel of a box, between tokens (planes, rows, columns, channels) of its planes."""
    a, b = axes_across(axis)
    vertical, across = (grid.weights(box.start[k], box.stop[k])[2] for k in (a, b))
    planes, rows, columns, width = near.shape
    tall = np.matmul(vertical, near.reshape(planes, rows, columns * width)).reshape(planes, len(vertical), columns, width)
    wide = np.matmul(np.moveaxis(tall, 3, 0), across.T)
    return np.moveaxis(wide, 1, 1 + axis)


def at_part(near: Floats, grid: Grid, axis: int, box: Box, part: Box) -> Floats:
    """The same at a part of the box whose tokens are given."""
    found = near[part.start[axis] - box.start[axis] : part.stop[axis] - box.start[axis]]
    for k, dimension in zip(axes_across(axis), (1, 2), strict=True):
        first = grid.weights(box.start[k], box.stop[k])[0]
        low, high, _ = grid.weights(part.start[k], part.stop[k])
        found = np.take(found, range(low - first, high - first), dimension)
    return at_voxels(found, grid, axis, part)


def at_places(near: Floats, grid: Grid, axis: int, box: Box, places: tuple[npt.NDArray[np.intp], ...]) -> Floats:
    """Channels (n, channels) at some places (z, y, x) of a box, which count from its first voxel."""
    a, b = axes_across(axis)
    found: Floats = np.zeros((len(places[0]), near.shape[-1]), np.float32)
    (r, down), (c, right) = (_between(grid, box.start[k], box.stop[k], places[k]) for k in (a, b))
    for row, i in ((r, 1 - down), (r + 1, down)):
        for column, j in ((c, 1 - right), (c + 1, right)):
            found += near[places[axis], row, column].astype(np.float32) * (i * j)[:, None]
    return found


def _between(grid: Grid, start: int, stop: int, places: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], Floats]:
    """The token before each place, counted from the first near the range, and how far on towards the next it lies."""
    where = np.maximum(grid.places(start, stop), 0)
    first = int(np.floor(where.min()))
    exact = where[places]
    low = np.floor(exact)
    return low.astype(np.intp) - first, (exact - low).astype(np.float32)
