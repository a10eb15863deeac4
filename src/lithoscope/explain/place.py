"""Where the cells of an overlay lie among the voxels of a scan, so that nothing is upsampled to be shown in its place."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lithoscope.errors import InputError
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope.features.token_grid import Grid
    from lithoscope.volume.scan import Scan
    from lithoscope.volume.voxel import Voxel

AXES = "zyx"
Cell = tuple[int, int]
"""A row and a column of an overlay."""


@dataclass(frozen=True, slots=True)
class Place:
    """Cells of a plane: cell (r, c) is centred on the voxel `first + (r, c) * pitch` of plane `index` across `axis`.

    `first` and `pitch` are in voxels along the plane's two axes, in the order z, y, x.
    """

    axis: int
    index: int
    first: tuple[float, float] = (0.0, 0.0)
    pitch: float = 1.0

    @classmethod
    def of_tokens(cls, axis: int, index: int, grid: "Grid", start: Cell = (0, 0)) -> "Place":
        """The tokens of a plane from the token `start` on."""
        first = (grid.patch / 2) / grid.scale - 0.5
        return cls(axis, index, (first + start[0] * grid.pitch, first + start[1] * grid.pitch), grid.pitch)

    @property
    def along(self) -> tuple[int, int]:
        """The two axes of the plane."""
        a, b = (axis for axis in range(3) if axis != self.axis)
        return (a, b)

    def cell(self, voxel: Triple) -> Cell:
        """The cell that holds a voxel (z, y, x)."""
        r, c = (int(np.floor((voxel[a] - f) / self.pitch + 0.5)) for a, f in zip(self.along, self.first, strict=True))
        return (r, c)

    def voxel(self, cell: Cell) -> Triple:
        """The voxel in the middle of a cell."""
        found = [self.index] * 3
        for a, f, n in zip(self.along, self.first, cell, strict=True):
            found[a] = int(np.floor(f + n * self.pitch + 0.5))
        return (found[0], found[1], found[2])

    def scale(self, voxel: "Voxel | None") -> tuple[float, float, float]:
        """The size (z, y, x) of a cell in the scan's unit; across the plane it is one voxel thick."""
        size = (1.0, 1.0, 1.0) if voxel is None else voxel.size
        z, y, x = (s if axis == self.axis else s * self.pitch for axis, s in enumerate(size))
        return (z, y, x)

    def translate(self, voxel: "Voxel | None") -> tuple[float, float, float]:
        """Where the middle of the first cell lies (z, y, x), in the scan's unit."""
        size = (1.0, 1.0, 1.0) if voxel is None else voxel.size
        at = [float(self.index)] * 3
        for a, f in zip(self.along, self.first, strict=True):
            at[a] = f
        z, y, x = (s * p for s, p in zip(size, at, strict=True))
        return (z, y, x)


def plane_of(text: str, scan: "Scan") -> tuple[int, int]:
    """The plane written `z=100`: its axis and index, checked to lie within the scan."""
    axis, equals, number = text.replace(" ", "").partition("=")
    if axis not in tuple(AXES) or (equals and not number.lstrip("-").isdigit()):
        raise InputError(f"plane {text!r} is not an axis and a number; write z=100, y=100 or x=100")
    a = AXES.index(axis)
    return a, checked(a, int(number) if equals else scan.shape[a] // 2, scan)


def checked(axis: int, index: int, scan: "Scan") -> int:
    """The index of a plane that lies within the scan."""
    if not 0 <= index < scan.shape[axis]:
        raise InputError(f"plane {AXES[axis]}={index} does not lie within the scan's {AXES[axis]} axis, 0:{scan.shape[axis]}")
    if scan.separate_slices and axis != 0:
        raise InputError(f"the slices of {scan.name} are separate images; choose a plane across z")
    return index


def place_of(text: str, scan: "Scan") -> Triple:
    """The voxel written `z,y,x`, checked to lie within the scan."""
    parts = text.replace(" ", "").split(",")
    if len(parts) != 3 or not all(p.lstrip("-").isdigit() for p in parts):
        raise InputError(f"place {text!r} is not three whole numbers; write z,y,x")
    z, y, x = (int(p) for p in parts)
    for axis, at, size in zip(AXES, (z, y, x), scan.shape, strict=True):
        if not 0 <= at < size:
            raise InputError(f"token {text} lies outside the scan: its {axis} axis is 0:{size}")
    return (z, y, x)


def plane_box(axis: int, index: int, shape: Triple) -> Box:
    """The voxels of a plane."""
    start, stop = [0, 0, 0], list(shape)
    start[axis], stop[axis] = index, index + 1
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
