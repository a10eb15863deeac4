"""The rim of a hand-made mask on a plane, as lines simple enough to be drawn at once."""

import numpy as np
import numpy.typing as npt

from lithoscope._napari.preview import Plane
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import Mask

Vertices = npt.NDArray[np.float64]

MOST_RIMS = 60
"""Of more pieces and holes only the longest rims are drawn."""
MOST_POINTS = 1500
"""Rims of more points than this, together, are drawn more coarsely."""
FINEST = 600
"""Planes that are longer are looked at in steps, so that a rim takes milliseconds."""


def rim_on(mask: Mask, plane: Plane, size: Triple) -> list[tuple[Vertices, str]]:
    """Where a mask (z, y, x) begins and ends on a plane: vertices (n, 3) in voxels, and napari's word for the kind."""
    if mask.array is None:
        return []
    start, stop = [0, 0, 0], list(size)
    start[plane.axis], stop[plane.axis] = plane.index, plane.index + 1
    found = read(mask.array, Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))) != 0
    first, second = (axis for axis in range(3) if axis != plane.axis)
    drawn = []
    for rim in rims(np.take(found, 0, plane.axis)):
        corners = np.zeros((len(rim), 3))
        corners[:, plane.axis], corners[:, first], corners[:, second] = plane.index, rim[:, 0], rim[:, 1]
        drawn.append((corners, "path"))
    return drawn


def rims(inside: npt.NDArray[np.bool_]) -> list[Vertices]:
    """The rims of all pieces and holes of a plane (y, x), each as its corners (n, 2), the longest first.

    A rim lies half a voxel off the middle of the voxels that it parts, also where it runs along the plane's edge.
    """
    from skimage.measure import approximate_polygon, find_contours

    step = -(-max(inside.shape) // FINEST)
    framed = np.pad(inside[::step, ::step], 1).astype(np.float32)
    found = sorted(((rim - 1) * step + (step - 1) / 2 for rim in find_contours(framed, 0.5)), key=len, reverse=True)[:MOST_RIMS]
    tolerance = 0.25 * step
    while True:
        simple: list[Vertices] = [np.asarray(approximate_polygon(rim, tolerance), np.float64) for rim in found]
        if sum(map(len, simple)) <= MOST_POINTS or tolerance > max(inside.shape):
            return [rim for rim in simple if len(rim) > 2]
        tolerance *= 2
