"""How well labels agree with a truth of the same grid: every score, over the voxels, by class, by slice and along the borders."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.scores.boundary import Boundary
from lithoscope.scores.by_slice import SliceScores
from lithoscope.scores.segmentation import Confusion
from lithoscope.volume.blocks import Array3D, blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import FieldOfView

_SLAB = 32 << 20


@dataclass
class Agreement:
    """The counts from which all scores come."""

    planes: int
    boundary: Boundary | None = None
    confusion: Confusion = field(default_factory=Confusion)
    slices: SliceScores = field(init=False)

    def __post_init__(self) -> None:
        self.slices = SliceScores(self.planes)

    def to_json(self) -> dict[str, Any]:
        """IoU, Dice, precision, recall and boundary F1 by class, their means, the confusion matrix and the IoU by slice."""
        found = agreement(self.confusion)
        ids = self.confusion.classes
        found["confusion"] = confusion_table(self.confusion)
        found["by_slice"] = {"mean_iou": self.slices.mean_iou, "iou": {str(id): self.slices.iou(id) for id in ids}}
        if self.boundary is not None:
            found["boundary_f1"] = {str(id): _number(self.boundary.f1(id)) for id in ids}
            found["mean_boundary_f1"] = _number(self.boundary.mean_f1)
            found["boundary_tolerance"] = self.boundary.tolerance
        return found


def against(
    labels: Array3D,
    truth: Array3D,
    *,
    field_of_view: FieldOfView | None = None,
    boundary: Boundary | None = None,
    edge: Triple | None = None,
    report: Report = silent,
) -> Agreement:
    """The agreement of two label volumes (z, y, x) within the field of view; where the truth is 0 nothing is counted."""
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    if tuple(truth.shape) != shape:
        raise InputError(f"the truth has shape {tuple(truth.shape)}, the scan {shape}; give a truth of the same grid")
    found = Agreement(shape[0], boundary)
    whole = Box.whole(shape)
    todo = blocks(whole, edge or flat_edge(shape))
    for done, core in enumerate(todo):
        report(Progress(done, len(todo), "scoring"))
        box = core if boundary is None else core.grow(boundary.halo).intersect(whole)
        inside = None if field_of_view is None else field_of_view.inside(box)
        real = np.asarray(truth[box.slices]).astype(np.uint8, copy=False)
        if inside is not None:
            real = np.multiply(real, inside, dtype=np.uint8)
        if not real.any():
            continue
        said = np.asarray(labels[box.slices])
        place = core.within(box).slices
        found.confusion.add(real[place], said[place])
        found.slices.add(core.start[0], real[place], said[place])
        if boundary is not None:
            boundary.add(real, said, place)
    report(Progress(len(todo), len(todo), "scored"))
    return found


def flat_edge(shape: Triple) -> Triple:
    """Blocks of whole planes, for files that are read by planes."""
    return (max(1, min(64, _SLAB // (shape[1] * shape[2]))), shape[1], shape[2])


def agreement(confusion: Confusion) -> dict[str, Any]:
    """Intersection over union, Dice, precision and recall by class, and the mean, as plain JSON."""
    ids = confusion.classes
    if not ids:
        raise InputError("the truth holds no class within the field of view; there is nothing to compare with")
    scores = {"iou": confusion.iou, "dice": confusion.dice, "precision": confusion.precision, "recall": confusion.recall}
    found: dict[str, Any] = {name: {str(id): _number(score(id)) for id in ids} for name, score in scores.items()}
    return {**found, "mean_iou": confusion.mean_iou, "accuracy": confusion.accuracy}


def confusion_table(confusion: Confusion) -> dict[str, Any]:
    """The confusion matrix of the classes that occur: rows are the truth, columns the prediction, 0 is "none"."""
    known = confusion.known
    columns = [int(c) for c in np.flatnonzero(known.sum(axis=0) + known.sum(axis=1))]
    rows = [int(r) for r in np.flatnonzero(known.sum(axis=1))]
    return {"truth": rows, "predicted": columns, "voxels": known[np.ix_(rows, columns)].tolist()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
