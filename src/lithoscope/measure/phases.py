"""How much of each phase there is within the field of view, in which slices, and how well it agrees with a truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.measure.agreement import against
from lithoscope.measure.correlation import Correlation, two_point
from lithoscope.measure.intervals import CONFIDENCE, Blocks, gathered, sampling_intervals, tile_edges
from lithoscope.measure.named_places import labelling
from lithoscope.measure.representative import representative_curve
from lithoscope.measure.truth import class_notes, opened_truth
from lithoscope.scores.boundary import Boundary
from lithoscope.volume.blocks import Array3D, blocks, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import FieldOfView
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

EDGE = (64, 256, 256)
"""Voxels read at a time where no layout says better."""


OLDER = "{result} is older than the field of view: what is outside does not count, and what it left out is not labelled; run it again"


@dataclass
class PhaseCounts:
    """Voxels of each class (columns, in the order of the table), by tile and by plane along z, y and x; others are not counted."""

    classes: ClassTable
    shape: Triple
    apart: bool = False
    """Whether the slices are images of their own, not neighbours."""
    tiles: npt.NDArray[np.int64] = field(init=False)
    profiles: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]] = field(init=False)
    unlabelled: int = 0

    def __post_init__(self) -> None:
        self.edges = tile_edges(self.shape, apart=self.apart)
        z, y, x = (len(e) - 1 for e in self.edges)
        self.tiles = np.zeros((z, y, x, len(self.classes)), np.int64)
        a, b, c = (np.zeros((n, len(self.classes)), np.int64) for n in self.shape)
        self.profiles = (a, b, c)

    def add(self, box: Box, labels: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_] | None) -> None:
        """Count a block (z, y, x) that lies at `box`."""
        if inside is not None:
            labels = np.where(inside, labels, np.uint8(0))
        counted = 0
        for column, id in enumerate(self.classes.ids):
            mask = labels == id
            plane = mask.sum(axis=0, dtype=np.int32)
            along = (mask.reshape(len(mask), -1).sum(axis=1), plane.sum(axis=1), plane.sum(axis=0))
            for profile, values, a, b in zip(self.profiles, along, box.start, box.stop, strict=True):
                profile[a:b, column] += values
            counted += int(along[0].sum())
            self._add_to_tiles(box, mask, column)
        within = labels.size if inside is None else int(np.count_nonzero(np.broadcast_to(inside, labels.shape)))
        self.unlabelled += within - counted

    def _add_to_tiles(self, box: Box, mask: npt.NDArray[np.bool_], column: int) -> None:
        cuts = []
        for edges, a, b in zip(self.edges, box.start, box.stop, strict=True):
            first, last = (int(np.searchsorted(edges, place, side="right")) - 1 for place in (a, b - 1))
            cuts.append([(i, slice(max(int(edges[i]), a) - a, min(int(edges[i + 1]), b) - a)) for i in range(first, last + 1)])
        for i, z in cuts[0]:
            for j, y in cuts[1]:
                for k, x in cuts[2]:
                    self.tiles[i, j, k, column] += np.count_nonzero(mask[z, y, x])

    @property
    def totals(self) -> npt.NDArray[np.int64]:
        """Voxels of each class."""
        totals: npt.NDArray[np.int64] = self.profiles[0].sum(axis=0)
        return totals


def count_phases(
    labels: Array3D,
    classes: ClassTable,
    *,
    field_of_view: FieldOfView | None = None,
    edge: Triple = EDGE,
    apart: bool = False,
    report: Report = silent,
) -> PhaseCounts:
    """The phases of a label volume (z, y, x), block by block; `apart` says that its slices are images of their own."""
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    counts = PhaseCounts(classes, shape, apart)
    todo = blocks(Box.whole(shape), edge)
    for done, box in enumerate(todo):
        report(Progress(done, len(todo), "measuring"))
        counts.add(box, read(labels, box), None if field_of_view is None else field_of_view.inside(box))
    report(Progress(len(todo), len(todo), "measured"))
    return counts


def summary(counts: PhaseCounts, *, voxel: Voxel | None = None, correlation: Sequence[Correlation | None] | None = None) -> dict[str, Any]:
    """Fractions, porosity, their sampling intervals, the profiles and the representative volume, as plain JSON."""
    totals = counts.totals
    total = int(totals.sum())
    if not total:
        raise InputError(
            f"no voxel within the field of view has one of the classes {counts.classes.summary()}; there is nothing to measure"
        )
    porosities = np.array([c.porosity for c in counts.classes])
    weights = np.vstack([np.eye(len(counts.classes)), porosities])
    values = (weights @ totals / total).tolist()
    flat = counts.apart or counts.shape[0] == 1
    drawn = gathered(counts.tiles, counts.shape, correlation or [None] * len(counts.classes))
    intervals = sampling_intervals(drawn.counts, weights, widen=drawn.widen)
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(weights) if intervals is None else [*intervals]
    phases = {}
    for c, value, (low, high), voxels in zip(counts.classes, values, bounds, totals.tolist(), strict=False):
        phases[str(c.id)] = {"name": c.name, "fraction": value, "low": low, "high": high, "voxels": voxels}
        if voxel is not None:
            phases[str(c.id)]["volume"] = voxels * float(np.prod(voxel.size))
    return {
        "phases": phases,
        "porosity": values[-1],
        "porosity_low": bounds[-1][0],
        "porosity_high": bounds[-1][1],
        "interval": {
            "confidence": CONFIDENCE,
            "covers": "what another part of the same material would give; not the errors of the segmentation",
            "by": _by(drawn, intervals is not None, correlation),
        },
        "voxels": total,
        "unlabelled": counts.unlabelled,
        "volume_unit": None if voxel is None else f"{voxel.symbol}³",
        "length_unit": None if voxel is None else voxel.symbol,
        "profiles": {axis: _profile(counts.classes, planes) for axis, planes in zip("zyx", counts.profiles, strict=True)},
        "representative": {
            "porosity": representative_curve(counts.tiles, counts.shape, porosities, voxel=voxel, flat=flat),
            **{
                str(c.id): representative_curve(counts.tiles, counts.shape, row, voxel=voxel, flat=flat)
                for c, row in zip(counts.classes, weights, strict=False)
            },
        },
    }


def _by(drawn: Blocks, given: bool, correlation: Sequence[Correlation | None] | None) -> str:
    """How the interval was made, or why there is none."""
    filled = int((drawn.counts.sum(axis=1) > 0).sum())
    grid = " × ".join(map(str, drawn.grid))
    lengths = [max(c.lengths) for c in correlation or () if c is not None]
    wide = f", each at least three correlation lengths ({max(lengths):.1f} voxels) wide" if lengths else ""
    if given:
        return f"bootstrap over {filled} blocks ({grid}){wide}"
    return f"none: only {filled} blocks ({grid}){wide} hold labels, which are too few"


def _profile(classes: ClassTable, planes: npt.NDArray[np.int64]) -> dict[str, list[float | None]]:
    """The fraction of each class in each plane; None where nothing was counted."""
    sums = planes.sum(axis=1)
    parts = np.round(planes / np.maximum(sums, 1)[:, None], 6)
    return {
        str(id): [value if some else None for value, some in zip(column.tolist(), sums, strict=True)]
        for id, column in zip(classes.ids, parts.T, strict=True)
    }


def correlations(classes: ClassTable, known: Sequence[Correlation | None], voxel: Voxel | None) -> dict[str, Any]:
    """The two-point correlation of each class, by axis, as plain JSON: `lengths` in voxels, `probability` by lag."""
    found: dict[str, Any] = {}
    for c, of in zip(classes, known, strict=True):
        if of is None:
            continue
        found[str(c.id)] = {
            "lengths": dict(zip("zyx", of.lengths, strict=True)),
            "probability": {axis: [round(float(v), 6) for v in values] for axis, values in zip("zyx", of.probability, strict=True)},
        }
        if voxel is not None:
            found[str(c.id)]["physical_lengths"] = {a: n * s for a, n, s in zip("zyx", of.lengths, voxel.size, strict=True)}
    return found


def measure(
    scan: "Scan",
    result: str,
    *,
    truth: str | Path | None = None,
    value_map: Mapping[int, int] | None = None,
    structure: bool = False,
    thickness: bool = False,
    report: Report = silent,
) -> dict[str, Any]:
    """The phases of a result, corrections included, and how well it agrees with a truth.

    The truth is a TIFF, a folder of slices, an array in a Zarr, or a name in the scan; `value_map` says which class each of its
    values is, 0 meaning that nobody said. With `structure`, also what is connected and how much surface there is; with
    `thickness`, how thick the phases are.
    """
    from lithoscope.labels.classes_file import known_classes
    from lithoscope.labels.clean import frame_of
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import older_than_view, open_result
    from lithoscope.measure import structure as structures
    from lithoscope.measure import thickness as thicknesses

    found, view = open_result(scan, result), scan.field_of_view
    classes = known_classes(scan, found.classes)
    old = older_than_view(scan, found)
    with corrected(scan, found, readonly=True) as labels, opened_truth(scan, truth, value_map, report) as real:
        counts = count_phases(labels, classes, field_of_view=view, edge=scan.shard, apart=scan.separate_slices, report=report)
        frame = frame_of(scan, found.box) if counts.totals.any() else None
        known = two_point(labels, classes, field_of_view=view, frame=frame, apart=scan.separate_slices, report=report)
        agreed, notes = None, [OLDER.format(result=result)] if old else []
        if real is not None:
            flat = scan.dimensions()[0] == 2
            found_by = against(labels, real, field_of_view=view, boundary=Boundary(flat=flat), report=report)
            agreed = found_by.to_json()
            notes += [*real.given.notes, *class_notes(found_by, classes, real.given.name, result)]
    facts = {"scan": scan.name, "result": result, "older_than_fov": old, "notes": notes}
    measured = {**facts, **summary(counts, voxel=scan.voxel, correlation=known)}
    measured["labelling"] = labelling(scan, result)
    measured["correlation"] = correlations(classes, known, scan.voxel)
    if structure:
        measured["structure"] = structures.structure(scan, result, report=report)
    if thickness:
        measured["thickness"] = thicknesses.thickness(scan, result, report=report)
    return measured if agreed is None else {**measured, "truth": Path(str(truth)).name, **agreed}
