"""How thick each phase is, voxel by voxel: the diameter of the largest sphere within it that holds the voxel, block by block.

Of a large volume only blocks spread over it are measured, so that it ends in bounded time. Spheres may reach beyond the faces of the
scan and of the field of view, where nobody knows better; their centres may not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.measure.spheres import Edges, distances, from_core, largest_spheres
from lithoscope.volume.blocks import Array3D, blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import FieldOfView
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

EDGE = (96, 96, 96)
MOST = 64
"""At most so many blocks are measured."""
LARGEST = 40.0
"""The largest radius that is followed, in smallest edges of a voxel; it bounds the memory."""
FIRST = 8.0
"""The radius that is looked for first."""
BINS = 200
NARROWEST = 2.0
"""The least width of a bin of diameters, in smallest edges: on a grid, narrower ones hold now more, now fewer of the radii there are."""
APART = 1e4
"""How far slices are apart that are separate images: farther than any sphere."""


@dataclass
class Thickness:
    """How many voxels of a phase have which diameter, in smallest edges of a voxel."""

    voxels: dict[float, int] = field(default_factory=dict)

    def add(self, diameters: npt.NDArray[np.float32]) -> None:
        """Count the diameters of some voxels."""
        for value, count in zip(*np.unique(diameters, return_counts=True), strict=True):
            key = round(float(value), 4)
            self.voxels[key] = self.voxels.get(key, 0) + int(count)

    def to_json(self, unit: float) -> dict[str, Any] | None:
        """Mean, spread, median and distribution, in lengths of `unit` to the smallest edge; None where there are no voxels."""
        if not self.voxels:
            return None
        values = np.array(sorted(self.voxels))
        counts = np.array([self.voxels[v] for v in values.tolist()], np.float64)
        parts = counts / counts.sum()
        mean = float(values @ parts)
        width = max(NARROWEST, float(np.ceil(values[-1] / BINS)))
        bins = np.floor(values / width).astype(np.int64)
        shares = np.bincount(bins, parts)
        first = int(bins[0])
        return {
            "mean": mean * unit,
            "sd": float(np.sqrt(((values - mean) ** 2) @ parts)) * unit,
            "median": float(values[np.searchsorted(parts.cumsum(), 0.5)]) * unit,
            "largest": float(values[-1]) * unit,
            "voxels": int(counts.sum()),
            "cut_off": float(parts[values >= 2 * LARGEST].sum()),
            "distribution": {
                "at": [(n + 0.5) * width * unit for n in range(first, len(shares))],
                "fraction": [round(float(v), 6) for v in shares[first:]],
            },
        }


def local_thickness(
    labels: Array3D,
    groups: Sequence[Sequence[int]],
    *,
    field_of_view: FieldOfView | None = None,
    frame: Box | None = None,
    edges: Edges = (1.0, 1.0, 1.0),
    edge: Triple = EDGE,
    most: int = MOST,
    report: Report = silent,
) -> tuple[list[Thickness], int, int]:
    """The thickness of each group of classes of a label volume (z, y, x); how many blocks were measured, and of how many.

    `frame` is the box that has labels, the whole volume without one; blocks are spread over it. `edges` are those of a voxel, the
    smallest 1. What nobody labelled is no wall, but no sphere begins there.
    """
    whole = Box.whole((labels.shape[0], labels.shape[1], labels.shape[2])) if frame is None else frame
    every = blocks(whole, edge)
    chosen = np.unique(np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(int)).tolist()
    found = [Thickness() for _ in groups]
    seen = _Seen(labels, field_of_view, whole, edges)
    for done, number in enumerate(chosen):
        report(Progress(done, len(chosen), "measuring thickness"))
        for ids, one in zip(groups, found, strict=True):
            one.add(seen.diameters(every[number], ids))
    return found, len(chosen), len(every)


@dataclass
class _Seen:
    """The labels, read in windows around blocks."""

    labels: Array3D
    view: FieldOfView | None
    whole: Box
    edges: Edges

    def diameters(self, core: Box, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Those of all voxels of a phase in a block, in a row."""
        radius = FIRST
        while True:
            z, y, x = (int(np.ceil(2 * radius / edge)) for edge in self.edges)
            window = core.grow((z, y, x)).intersect(self.whole)
            block = self._read(window)
            phase = np.isin(block, ids)
            place = core.within(window)
            own = phase[place.slices]
            if not own.any():
                return np.zeros(0, np.float32)
            radii = distances((block > 0) & ~phase, self.edges)
            radii[~phase] = 0
            needed = float(radii[radii > from_core(window.shape, place.start, place.stop, self.edges)].max())
            # A sphere whose centre is beyond the window has, on its way here, centres within it that are nearly as large.
            if needed <= radius - 2 * max(self.edges) or radius >= LARGEST or window == self.whole:
                break
            radius = min(LARGEST, needed + 3 * max(self.edges))
        spheres = largest_spheres(np.minimum(radii, LARGEST), place.start, place.stop, self.edges)
        return 2 * spheres[own]

    def _read(self, box: Box) -> npt.NDArray[np.uint8]:
        block = np.asarray(self.labels[box.slices])
        inside = None if self.view is None else self.view.inside(box)
        return block if inside is None else np.multiply(block, inside, dtype=np.uint8)


def thickness(scan: "Scan", result: str, *, report: Report = silent) -> dict[str, Any]:
    """The local thickness of every class of a result (and of the pore space, if several classes are porous), in physical units."""
    from lithoscope.labels.classes_file import known_classes
    from lithoscope.labels.clean import frame_of
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    found = open_result(scan, result)
    classes = known_classes(scan, found.classes)
    groups = {str(id): [id] for id in classes.ids}
    porous = [c.id for c in classes if c.porosity > 0]
    if len(porous) > 1:
        groups["pore_space"] = porous
    unit, edges = lengths(scan.voxel)
    if scan.separate_slices:
        edges = (APART, *edges[1:])
    with corrected(scan, found, readonly=True) as labels:
        measured, done, blocks_ = local_thickness(
            labels, list(groups.values()), field_of_view=scan.field_of_view, frame=frame_of(scan, found.box), edges=edges, report=report
        )  # fmt: skip
    phases = {name: one.to_json(unit) for name, one in zip(groups, measured, strict=True)}
    return {
        "unit": "voxel edge" if scan.voxel is None else scan.voxel.symbol,
        "blocks": done,
        "of_blocks": blocks_,
        "largest_followed": 2 * LARGEST * unit,
        "phases": {name: one for name, one in phases.items() if one is not None},
    }


def lengths(voxel: Voxel | None) -> tuple[float, Edges]:
    """The smallest edge of a voxel, and all three in units of it."""
    if voxel is None:
        return 1.0, (1.0, 1.0, 1.0)
    unit = min(voxel.size)
    z, y, x = (size / unit for size in voxel.size)
    return float(unit), (z, y, x)
