"""How well a segmentation agrees with a truth: counted block by block, in numbers that scikit-learn gives too.

Class 0 in the truth means that nobody said: such voxels are not counted. Class 0 in the prediction is a missed voxel.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

LABELS = 256
AT_ONCE = 1 << 20
"""Voxels counted at a time, so that they stay in the processor's cache."""


def _empty() -> npt.NDArray[np.int64]:
    return np.zeros((LABELS, LABELS), np.int64)


@dataclass
class Confusion:
    """How often each class was predicted (columns) for each class of the truth (rows); `add` it block by block."""

    counts: npt.NDArray[np.int64] = field(default_factory=_empty)

    def add(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_] | None = None) -> None:
        """Count a block; `inside` (broadcast against it) leaves voxels out."""
        if truth.shape != predicted.shape:
            raise InputError(f"truth {truth.shape} and prediction {predicted.shape} differ in shape; give arrays on the same grid")
        kept = None if inside is None else np.broadcast_to(inside, truth.shape)
        step = max(1, AT_ONCE // max(1, truth[:1].size))
        for start in range(0, len(truth), step):
            part = slice(start, start + step)
            pairs = truth[part].astype(np.uint16)
            pairs *= np.uint16(LABELS)
            pairs += predicted[part]
            if kept is not None:
                pairs *= kept[part]
                self.counts[0, 0] -= pairs.size - np.count_nonzero(kept[part])
            self.counts += np.bincount(pairs.ravel(), minlength=LABELS * LABELS).reshape(LABELS, LABELS)

    @property
    def known(self) -> npt.NDArray[np.int64]:
        """The counts where the truth says something: row 0 is empty."""
        known = self.counts.copy()
        known[0] = 0
        return known

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that occur in the truth, or are predicted where the truth says something."""
        known = self.known
        present = known.sum(axis=0) + known.sum(axis=1)
        return tuple(int(k) for k in np.flatnonzero(present) if k)

    def hits(self, id: int) -> tuple[int, int, int]:
        """True positives, false positives and false negatives of a class."""
        known = self.known
        right = int(known[id, id])
        return right, int(known[:, id].sum()) - right, int(known[id].sum()) - right

    def iou(self, id: int) -> float:
        """Intersection over union; NaN where the class is neither there nor predicted."""
        right, extra, missed = self.hits(id)
        return _part(right, right + extra + missed)

    def dice(self, id: int) -> float:
        """Twice the intersection over the sum of both, also called F1; NaN where the class is neither there nor predicted."""
        right, extra, missed = self.hits(id)
        return _part(2 * right, 2 * right + extra + missed)

    def precision(self, id: int) -> float:
        """The part of what was predicted that is right; NaN where the class is not predicted."""
        right, extra, _ = self.hits(id)
        return _part(right, right + extra)

    def recall(self, id: int) -> float:
        """The part of what is there that was found; NaN where the class is not there."""
        right, _, missed = self.hits(id)
        return _part(right, right + missed)

    @property
    def mean_iou(self) -> float:
        """The mean over `classes`; NaN where the truth says nothing."""
        values = [self.iou(id) for id in self.classes]
        return float(np.mean(values)) if values else float("nan")

    @property
    def accuracy(self) -> float:
        """The part of the voxels, of those where the truth says something, that are right."""
        known = self.known
        return _part(int(np.trace(known)), int(known.sum()))


def confusion(truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_] | None = None) -> Confusion:
    """The confusion of arrays that are in memory."""
    counted = Confusion()
    counted.add(truth, predicted, inside)
    return counted


def _part(right: int, total: int) -> float:
    return right / total if total else float("nan")
