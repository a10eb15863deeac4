"""The surface of a class as an STL mesh, made block by block, so that a scan of any size fits into memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.voxel import Voxel

EDGE = (128, 128, 128)
"""Cells of voxels that are turned into triangles at a time."""
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
HEADER = 80

Solid = Callable[[Box], npt.NDArray[np.bool_]]


def write_stl(path: Path, solid: Solid, shape: Triple, voxel: Voxel | None, check: Callable[[int, int], None], edge: Triple = EDGE) -> int:
    """Write the closed surface of what is `solid` in a scan of `shape`, in its unit of length; gives the number of triangles.

    The surface lies half-way between voxels, is closed at the scan's faces, and its corners are x, y, z from the scan's corner.
    """
    size = np.array(voxel.size if voxel else (1.0, 1.0, 1.0))
    unit = voxel.unit if voxel else "voxel"
    count = 0
    # Cells lie between voxels, from the empty layer before the first to that after the last.
    z, y, x = shape
    todo = blocks(Box.whole((z + 1, y + 1, x + 1)), edge)
    with path.open("wb") as file:
        file.write(f"lithoscope: corners in {unit}".encode().ljust(HEADER)[:HEADER] + b"\0\0\0\0")
        for done, cells in enumerate(todo):
            check(done, len(todo))
            corners = _surface(_padded(solid, cells, shape), size, np.array(cells.start) - 0.5)
            if len(corners):
                file.write(_records(corners).tobytes())
                count += len(corners)
        if not count:
            raise InputError("there is no voxel of that class; there is no surface to write")
        if count >= 1 << 32:
            raise InputError(f"the surface has {count} triangles, more than an STL can hold; export a part, or a mask")
        file.seek(HEADER)
        file.write(np.uint32(count).astype("<u4").tobytes())
    return count


def _padded(solid: Solid, cells: Box, shape: Triple) -> npt.NDArray[np.uint8]:
    """The voxels at the corners of `cells`, 0 beyond the scan's faces."""
    around = Box((cells.start[0] - 1, cells.start[1] - 1, cells.start[2] - 1), cells.stop)
    inner = around.intersect(Box.whole(shape))
    found = np.zeros(around.shape, np.uint8)
    if inner.size:
        found[inner.within(around).slices] = solid(inner)
    return found


def _surface(voxels: npt.NDArray[np.uint8], size: npt.NDArray[Any], start: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The triangles (n, 3 corners, x y z) between solid and empty voxels, seen anticlockwise from outside."""
    if voxels.min() == voxels.max():
        return np.zeros((0, 3, 3), np.float32)
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(voxels, 0.5, allow_degenerate=False)
    placed = ((vertices.astype(np.float64) + start) * size)[:, ::-1].astype(np.float32)
    triangles: npt.NDArray[np.float32] = placed[faces]
    return triangles


def _records(corners: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    records = np.zeros(len(corners), TRIANGLE)
    records["corners"] = corners
    wide = corners.astype(np.float64)
    normal = np.cross(wide[:, 1] - wide[:, 0], wide[:, 2] - wide[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    records["normal"] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    return records
