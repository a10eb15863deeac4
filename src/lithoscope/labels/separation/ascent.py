"""Where the steepest way up leads from each voxel of a block, and where the summits of two voxels are parted.

Voxels are put in order by distance and, where that is equal, by place, so that every voxel has one steepest neighbour among its 26
and one way up, whatever the blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from lithoscope.labels.separation.distance import Distances
from lithoscope.volume.box import Triple

Places = npt.NDArray[np.int64]
DIRECTIONS = [d for d in product((-1, 0, 1), repeat=3) if d > (0, 0, 0)]
"""Half of the 26 neighbours: those that come later in order z, y, x."""


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """The ways up within a block: `summits` (z, y, x) is the number, from 1, of where each voxel's way ends or leaves the block.

    `values` and `places` (n,) are the distance and the place, within the flattened core, of that voxel of each; `leaves` says whether
    the way goes on in another block. `onward` (z, y, x) is the place, in the flattened grown block, of each voxel's next one.
    """

    summits: npt.NDArray[np.int32]
    values: Distances
    places: Places
    leaves: npt.NDArray[np.bool_]
    onward: npt.NDArray[np.int32]


def steepest(values: Distances, *, flat: bool = False) -> npt.NDArray[np.int32]:
    """The place, in a flattened block, of each voxel's highest neighbour, itself included: along one axis after the other."""
    best = values.copy()
    target = np.arange(values.size, dtype=np.int32).reshape(values.shape)
    for axis in (2, 1) if flat else (2, 1, 0):
        if values.shape[axis] < 2:
            continue
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        was, held = best.copy(), target.copy()
        higher = was[low] > best[high]
        best[high][higher], target[high][higher] = was[low][higher], held[low][higher]
        higher = was[high] >= best[low]
        best[low][higher], target[low][higher] = was[high][higher], held[high][higher]
    return target


def ascend(values: Distances, core: tuple[slice, slice, slice], *, flat: bool = False) -> Ascent:
    """The ways up over `core` of a block of distances (z, y, x; -1 where there is none) that has one voxel of halo."""
    onward = steepest(values, flat=flat)
    places = np.full(values.shape, -1, np.int32)
    cut = values[core]
    places[core] = np.arange(cut.size, dtype=np.int32).reshape(cut.shape)
    onward = np.ascontiguousarray(onward[core])
    own = np.arange(cut.size, dtype=np.int32)
    voxels = np.flatnonzero(cut >= 0)
    step = places.reshape(-1)[onward.reshape(-1)[voxels]]
    way = own.copy()
    way[voxels] = np.where(step >= 0, step, voxels)
    ends = way[voxels]
    while True:
        further = way[ends]
        if np.array_equal(further, ends):
            break
        way[voxels] = ends = further
    found = np.zeros(cut.size, np.bool_)
    found[ends] = True
    roots = np.flatnonzero(found)
    numbers = np.zeros(cut.size, np.int32)
    numbers[roots] = np.arange(1, len(roots) + 1)
    summits = np.zeros(cut.size, np.int32)
    summits[voxels] = numbers[ends]
    leaves = places.reshape(-1)[onward.reshape(-1)[roots]] < 0
    return Ascent(summits.reshape(cut.shape), cut.reshape(-1)[roots], roots, leaves, onward)


def touching(shape: Triple, *, flat: bool = False) -> Iterator[tuple[int, tuple[slice, slice, slice], tuple[slice, slice, slice]]]:
    """For each of 13 directions, its number and the two parts of a block (z, y, x) that it takes into one another."""
    for number, direction in enumerate(DIRECTIONS):
        if flat and direction[0]:
            continue
        first, second = [], []
        for by, n in zip(direction, shape, strict=True):
            first.append(slice(max(-by, 0), n - max(by, 0)))
            second.append(slice(max(by, 0), n + min(by, 0)))
        yield number, (first[0], first[1], first[2]), (second[0], second[1], second[2])
