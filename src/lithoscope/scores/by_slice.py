"""The same scores plane by plane, so that one sees where in the scan a method fails."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

LABELS = 256


@dataclass
class SliceScores:
    """Right, extra and missed voxels (planes, classes, 3) of each class by plane along z; `add` it block by block."""

    planes: int
    counts: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.planes, LABELS, 3), np.int64)

    def add(self, first: int, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]) -> None:
        """Count a block (z, y, x) whose first plane is `first`; voxels of which the truth says 0 are left out."""
        if truth.shape != predicted.shape:
            raise InputError(f"truth {truth.shape} and prediction {predicted.shape} differ in shape; give arrays on the same grid")
        for z, (t, p) in enumerate(zip(truth, predicted, strict=True), first):
            known = t > 0
            there = np.bincount(t[known], minlength=LABELS)
            said = np.bincount(p[known], minlength=LABELS)
            right = np.bincount(t[known & (t == p)], minlength=LABELS)
            self.counts[z] += np.stack([right, said - right, there - right], axis=1)

    def iou(self, id: int) -> list[float | None]:
        """Intersection over union of a class in each plane; None where it is neither there nor predicted."""
        return [right / total if (total := right + extra + missed) else None for right, extra, missed in self.counts[:, id].tolist()]

    @property
    def mean_iou(self) -> list[float | None]:
        """The mean over the classes that are in each plane or predicted in it."""
        sums = self.counts[:, 1:].sum(axis=2)
        values = self.counts[:, 1:, 0] / np.maximum(sums, 1)
        some = (sums > 0).sum(axis=1)
        return [float(v.sum() / n) if n else None for v, n in zip(values, some, strict=True)]
