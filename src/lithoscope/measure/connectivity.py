"""Which voxels of a phase hang together: exact for the whole volume, a slab of planes in memory at a time.

Slabs are labelled one after another; what meets across their border is joined, and of a component that cannot grow any more
only its size is kept. Memory is that of one slab and of the components that cross its last plane.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box
from lithoscope.volume.field_of_view import FieldOfView

SLAB = 16 << 20
"""Voxels of a slab."""
FACES = ("z-", "z+", "y-", "y+", "x-", "x+")


@dataclass
class Connected:
    """The components of a phase: how many, the voxels of all and of the largest, and what reaches from face to face."""

    voxels: int = 0
    components: int = 0
    largest: int = 0
    touching: int = 0
    """Voxels of components that touch any face of the volume or the border of the field of view."""
    across: dict[str, int] = field(default_factory=lambda: {"z": 0, "y": 0, "x": 0})
    """Voxels of components that reach from one face of the volume to the opposite one, by axis."""

    def add(self, sizes: npt.NDArray[np.int64], touched: npt.NDArray[np.uint8]) -> None:
        """Count components that are whole: their sizes, and the faces they touch as bits in the order of `FACES`."""
        if not len(sizes):
            return
        self.voxels += int(sizes.sum())
        self.components += len(sizes)
        self.largest = max(self.largest, int(sizes.max()))
        self.touching += int(sizes[touched > 0].sum())
        for axis, name in enumerate("zyx"):
            both = (touched >> (2 * axis)) & 3 == 3
            self.across[name] += int(sizes[both].sum())

    def to_json(self) -> dict[str, Any]:
        """Counts and fractions of the phase, as plain JSON."""
        part = max(self.voxels, 1)
        return {
            "voxels": self.voxels,
            "components": self.components,
            "largest": self.largest,
            "largest_fraction": self.largest / part,
            "touching_fraction": self.touching / part,
            "percolates": {axis: n > 0 for axis, n in self.across.items()},
            "percolating_fraction": {axis: n / part for axis, n in self.across.items()},
        }


def connected(
    labels: Array3D,
    ids: Sequence[int],
    *,
    field_of_view: FieldOfView | None = None,
    slab: int = SLAB,
    report: Report = silent,
) -> Connected:
    """The components, by faces, of the voxels of any of these classes within the field of view of a label volume (z, y, x)."""
    from scipy.ndimage import label
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    depth = max(1, slab // (shape[1] * shape[2]))
    found = Connected()
    wanted = np.zeros(256, np.bool_)
    wanted[list(ids)] = True
    last = np.zeros(shape[1:], np.int32)
    open_sizes, open_faces = np.zeros(1, np.int64), np.zeros(1, np.uint8)
    for z in range(0, shape[0], depth):
        report(Progress(z, shape[0], "following connected voxels"))
        box = Box((z, 0, 0), (min(z + depth, shape[0]), shape[1], shape[2]))
        inside = None if field_of_view is None else field_of_view.inside(box)
        mask = wanted[np.asarray(labels[box.slices])]
        if inside is not None:
            mask &= inside
        numbered = np.empty(mask.shape, np.int32)
        count = int(label(mask, output=numbered))
        carried = len(open_sizes) - 1
        sizes = np.concatenate([open_sizes, np.bincount(numbered.ravel(), minlength=count + 1)[1:]])
        faces = np.concatenate([open_faces, _touched(numbered, count, box, shape, inside)])
        meets = (last > 0) & (numbered[0] > 0)
        a, b = last[meets], numbered[0][meets] + carried
        graph = coo_array((np.ones(len(a), np.bool_), (a, b)), shape=(len(sizes), len(sizes)))
        groups, group = connected_components(graph, directed=False)
        # Number 0 is the background of either slab, alone in its group; the others keep the order of their first member.
        group_sizes = np.bincount(group, weights=sizes, minlength=groups).astype(np.int64)
        group_faces = np.zeros(groups, np.uint8)
        np.bitwise_or.at(group_faces, group, faces)
        of_slab = np.concatenate([[0], group[carried + 1 :]]).astype(np.int32)
        plane = of_slab[numbered[-1]]
        if box.stop[0] == shape[0]:
            growing = np.zeros(groups, np.bool_)
        else:
            growing = np.bincount(plane.ravel(), minlength=groups) > 0
        growing[group[0]] = False
        closed = ~growing
        closed[group[0]] = False
        found.add(group_sizes[closed], group_faces[closed])
        renumbered = np.zeros(groups, np.int32)
        renumbered[growing] = np.arange(1, int(growing.sum()) + 1)
        last = renumbered[plane]
        open_sizes = np.concatenate([[0], group_sizes[growing]])
        open_faces = np.concatenate([[0], group_faces[growing]]).astype(np.uint8)
    report(Progress(shape[0], shape[0], "followed connected voxels"))
    return found


def _touched(
    numbered: npt.NDArray[np.int32], count: int, box: Box, shape: tuple[int, int, int], inside: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.uint8]:
    """Which faces each component of a slab touches, as bits; with a field of view, bit 6 is its border."""
    faces = np.zeros(count + 1, np.uint8)
    planes = {0: numbered[0] if box.start[0] == 0 else None, 1: numbered[-1] if box.stop[0] == shape[0] else None}
    planes |= {2: numbered[:, 0], 3: numbered[:, -1], 4: numbered[:, :, 0], 5: numbered[:, :, -1]}
    for bit, plane in planes.items():
        if plane is not None:
            faces[np.unique(plane)] |= np.uint8(1 << bit)
    if inside is not None:
        whole = np.broadcast_to(inside, numbered.shape)
        for axis in (1, 2):
            ahead, behind = [slice(None)] * 3, [slice(None)] * 3
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            a, b = tuple(ahead), tuple(behind)
            faces[np.unique(numbered[a][~whole[b]])] |= np.uint8(64)
            faces[np.unique(numbered[b][~whole[a]])] |= np.uint8(64)
    return faces[1:]
