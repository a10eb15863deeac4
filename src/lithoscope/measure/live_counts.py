"""How many voxels of each class a result has while it is corrected: the prediction is counted once, then only what was painted."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.job import Progress, Report, silent
from lithoscope.labels.corrections import Corrected
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import FieldOfView

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

Counts = npt.NDArray[np.int64]
"""Voxels by label, 0 to 255."""


class LiveCounts:
    """The counts of one result within the field of view.

    Args:
        labels: the result with its corrections.
        field_of_view: what counts; None for everything.
        edge: the blocks (z, y, x voxels) in which the prediction is read.
    """

    def __init__(self, labels: Corrected, field_of_view: FieldOfView | None, edge: Triple) -> None:
        self.labels = labels
        self._view = field_of_view
        self._edge = edge
        self._predicted: Counts | None = None

    def now(self, report: Report = silent) -> Counts:
        """The counts at this moment. The first call reads the whole prediction, later ones only the boxes that were painted in."""
        if self._predicted is None:
            self._predicted = self._whole(report)
        counts = self._predicted.copy()
        for box in self.labels.touched():
            inside = None if self._view is None else self._view.inside(box)
            counts += _count(self.labels.read(box), inside) - _count(self.labels.predicted(box), inside)
        return counts

    def _whole(self, report: Report) -> Counts:
        todo = blocks(Box.whole(self.labels.shape), self._edge)
        counts = np.zeros(256, np.int64)
        for done, box in enumerate(todo):
            report(Progress(done, len(todo), "counting classes"))
            counts += _count(self.labels.predicted(box), None if self._view is None else self._view.inside(box))
        return counts


def fractions(counts: Counts, classes: ClassTable) -> tuple[dict[int, float], float] | None:
    """The fraction of each class, and the porosity; None where no voxel has a class."""
    total = sum(int(counts[id]) for id in classes.ids)
    if not total:
        return None
    parts = {c.id: int(counts[c.id]) / total for c in classes}
    return parts, sum(parts[c.id] * c.porosity for c in classes)


def live_counts(scan: "Scan", labels: Corrected) -> LiveCounts:
    """The counts of a corrected result of a scan."""
    return LiveCounts(labels, scan.field_of_view, scan.shard)


def _count(labels: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_] | None) -> Counts:
    seen = labels if inside is None else labels[np.broadcast_to(inside, labels.shape)]
    return np.bincount(seen.reshape(-1), minlength=256).astype(np.int64)
