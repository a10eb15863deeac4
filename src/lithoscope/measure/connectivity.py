"""Which voxels of a phase hang together: exact for the whole volume, block by block, all phases at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.labels.in_view import InView
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import FieldOfView

EDGE = (128, 128, 128)


@dataclass
class Connected:
    """The components of a phase: how many, the voxels of all and of the largest, and what reaches from face to face."""

    voxels: int = 0
    components: int = 0
    largest: int = 0
    touching: int = 0
    """Voxels of components that touch any face of the frame."""
    across: dict[str, int] = field(default_factory=lambda: {"z": 0, "y": 0, "x": 0})
    """Voxels of components that reach from one face of the frame to the opposite one, by axis."""

    def add(self, sizes: npt.NDArray[np.int64], faces: npt.NDArray[np.uint8]) -> None:
        """Count whole components: their sizes, and the low and high faces along z, y and x that they touch, as bits."""
        if not len(sizes):
            return
        self.voxels += int(sizes.sum())
        self.components += len(sizes)
        self.largest = max(self.largest, int(sizes.max()))
        self.touching += int(sizes[faces & 63 > 0].sum())
        for axis, name in enumerate("zyx"):
            both = (faces >> (2 * axis)) & 3 == 3
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
    groups: Sequence[Sequence[int]],
    *,
    field_of_view: FieldOfView | None = None,
    frame: Box | None = None,
    edge: Triple = EDGE,
    flat: bool = False,
    report: Report = silent,
) -> list[Connected]:
    """The components, by faces of voxels, of each group of classes of a label volume (z, y, x) within the field of view.

    No class is in two groups; voxels of one group are connected whichever of its classes they are. The `frame`, the whole volume
    without one, is what they reach the faces of. `flat` connects nothing along z, and nothing then reaches its faces.
    """
    from lithoscope.labels.cleaning.components import Components

    table = np.zeros(256, np.uint8)
    for number, ids in enumerate(groups, 1):
        table[list(ids)] = number
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    source = InView(labels, field_of_view)
    found = [Connected() for _ in groups]
    message = "following connected voxels"
    box = Box.whole(shape) if frame is None else frame
    every = Components(source, box, edge, lambda block: table[block], flat=flat, report=_half(report, 0), message=message)
    told = _half(report, 1)
    for part in every:
        told(Progress(part.index, len(every.boxes), message))
        for number, one in enumerate(found, 1):
            own = (part.keys == number) & (part.crossing < 0)
            one.add(part.sizes[own], part.faces[own])
    whole = every.all_crossing()
    for number, one in enumerate(found, 1):
        own = whole.keys == number
        one.add(whole.sizes[own], whole.faces[own])
    told(Progress(1, 1, message))
    return found


def _half(report: Report, number: int) -> Report:
    """The report of the first or the second look at the volume."""
    return lambda p: report(Progress(round(1000 * (number + p.fraction) / 2), 1000, p.message))
