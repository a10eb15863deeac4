"""The area of the surface of each phase, from how often lines in thirteen directions cross it (Crofton's formula).

The counts of crossings add up over blocks, so the area is that of the whole volume. On digitised balls it is right within some
per cent, where counting voxel faces is half too large. Surfaces against the outside of the field of view are not counted.
"""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.job import Progress, Report, silent
from lithoscope.measure.bit_rows import BitRows, count
from lithoscope.volume.blocks import Array3D, blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import FieldOfView
from lithoscope.volume.voxel import Voxel

EDGE = (128, 512, 512)
_STEPS = (-1, 0, 1)
DIRECTIONS: tuple[Triple, ...] = tuple((z, y, x) for z, y, x in product(_STEPS, _STEPS, _STEPS) if (z, y, x) > (0, 0, 0))
"""One of each pair of opposite directions to the 26 neighbours of a voxel."""


def direction_weights(size: tuple[float, float, float], *, flat: bool = False) -> npt.NDArray[np.float64]:
    """How much of the sphere is nearest to each direction, for voxels of this (z, y, x) size; sums to one.

    `flat` shares the circle of a slice among the directions within it, which sees an isotropic surface as the sphere does.
    """
    from scipy.spatial import SphericalVoronoi

    if flat:
        across = np.array(DIRECTIONS)[:, 0] == 0
        angles = np.array([np.arctan2(y * size[1], x * size[2]) % np.pi for _, y, x in np.array(DIRECTIONS)[across]])
        order = np.argsort(angles)
        gaps = np.diff(np.append(angles[order], angles[order][0] + np.pi))
        shares, weights = np.empty(len(order)), np.zeros(len(DIRECTIONS))
        shares[order] = (gaps + np.roll(gaps, 1)) / (2 * np.pi)
        weights[across] = shares
        return weights
    vectors = np.array([*DIRECTIONS, *(tuple(-c for c in d) for d in DIRECTIONS)]) * np.array(size)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    areas = SphericalVoronoi(vectors, radius=1.0).calculate_areas()
    n = len(DIRECTIONS)
    return np.asarray((areas[:n] + areas[n:]) / (4 * np.pi), np.float64)


def crossings(
    labels: Array3D,
    classes: ClassTable,
    *,
    field_of_view: FieldOfView | None = None,
    edge: Triple = EDGE,
    flat: bool = False,
    report: Report = silent,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How often a neighbour in each direction is of another class (classes, directions), and how many neighbours were
    looked at (directions). Pairs with a voxel outside the field of view or of no class are left out, and, if `flat`,
    those of two slices."""
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    crossed, pairs = np.zeros((len(classes), len(DIRECTIONS)), np.int64), np.zeros(len(DIRECTIONS), np.int64)
    todo = blocks(Box.whole(shape), edge)
    table = np.zeros(256, np.uint8)
    for number, id in enumerate(classes.ids):
        table[id] = number + 1
    for done, core in enumerate(todo):
        report(Progress(done, len(todo), "measuring surfaces"))
        block = table[_rimmed(labels, core, field_of_view)]
        known = BitRows(block > 0)
        masks = {row: BitRows(mask) for row in range(len(classes)) if (mask := block == row + 1).any()}
        for number, step in enumerate(DIRECTIONS):
            if flat and step[0]:
                continue
            both = known.moved((0, 0, 0)) & known.moved(step)
            pairs[number] += count(both)
            for row, mask in masks.items():
                crossed[row, number] += count((mask.moved((0, 0, 0)) ^ mask.moved(step)) & both)
    return crossed, pairs


def _rimmed(labels: Array3D, core: Box, field_of_view: FieldOfView | None) -> npt.NDArray[np.uint8]:
    """The labels of a block and of the voxels around it; 0 beyond the volume and outside the field of view."""
    whole = Box.whole((labels.shape[0], labels.shape[1], labels.shape[2]))
    grown = core.grow((1, 1, 1))
    box = grown.intersect(whole)
    found = np.zeros(grown.shape, np.uint8)
    part = found[box.within(grown).slices]
    part[...] = labels[box.slices]
    if field_of_view is not None and (inside := field_of_view.inside(box)) is not None:
        part *= inside
    return found


def surfaces(crossed: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64], classes: ClassTable, voxel: Voxel | None) -> dict[str, Any]:
    """The area of each class, and its area per volume of material, by id as plain JSON; in voxel edges without a voxel size.

    Where no neighbours across slices were looked at, the surface is taken to be as in the slices in every direction.
    """
    size = (1.0, 1.0, 1.0) if voxel is None else voxel.size
    steps = np.linalg.norm(np.array(DIRECTIONS) * np.array(size), axis=1)
    weights = direction_weights(size, flat=not pairs[np.array(DIRECTIONS)[:, 0] != 0].any())
    # Lines of a direction cross an isotropic surface of specific area S at S / 2 points a unit of length.
    area = 2 * (crossed * float(np.prod(size)) / steps) @ weights
    specific = 2 * (crossed / np.maximum(pairs * steps, 1e-12)) @ weights
    return {
        "unit": "voxel edge" if voxel is None else voxel.symbol,
        "phases": {str(id): {"area": float(a), "specific": float(s)} for id, a, s in zip(classes.ids, area, specific, strict=True)},
    }
