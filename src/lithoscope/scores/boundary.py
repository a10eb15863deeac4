"""How well the borders of the classes are met: the F1 of boundary voxels within a tolerance, counted block by block."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass
class Boundary:
    """Boundary voxels of each class that are met by the other's within `tolerance` voxels, and all of them, of truth and prediction.

    A boundary voxel has a neighbour by face that is of another known class. Where the truth says nothing (0) there is no boundary.
    With `flat`, planes are looked at one by one.
    """

    tolerance: int = 1
    flat: bool = False
    counts: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)

    @property
    def halo(self) -> tuple[int, int, int]:
        """How many voxels around a place its answer depends on."""
        reach = self.tolerance + 1
        return (0 if self.flat else reach, reach, reach)

    def add(self, truth: Labels, predicted: Labels, core: tuple[slice, slice, slice]) -> None:
        """Count the core of a block (z, y, x), given with `halo` voxels around it where the volume has them."""
        from scipy.ndimage import binary_dilation

        if truth.shape != predicted.shape:
            raise InputError(f"truth {truth.shape} and prediction {predicted.shape} differ in shape; give arrays on the same grid")
        predicted = np.where(truth == 0, np.uint8(0), predicted)
        near = _ball(self.tolerance, flat=self.flat)
        for id in np.union1d(np.unique(truth), np.unique(predicted)).tolist():
            if id == 0:
                continue
            real, said = self._edges(truth, id), self._edges(predicted, id)
            met = (said & binary_dilation(real, near), real & binary_dilation(said, near))
            found = [np.count_nonzero(mask[core]) for mask in (met[0], said, met[1], real)]
            self.counts[id] = self.counts.get(id, np.zeros(4, np.int64)) + np.array(found, np.int64)

    def _edges(self, labels: Labels, id: int) -> Mask:
        mask = labels == id
        other = (labels != id) & (labels != 0)
        edge = np.zeros(mask.shape, np.bool_)
        for axis in (1, 2) if self.flat else (0, 1, 2):
            ahead, behind = [slice(None)] * 3, [slice(None)] * 3
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            a, b = tuple(ahead), tuple(behind)
            edge[a] |= mask[a] & other[b]
            edge[b] |= mask[b] & other[a]
        return edge

    def f1(self, id: int) -> float:
        """The harmonic mean of the parts of both boundaries that are met; NaN where neither has one."""
        met_said, said, met_real, real = self.counts.get(id, np.zeros(4, np.int64)).tolist()
        if not said and not real:
            return float("nan")
        precision, recall = met_said / max(said, 1), met_real / max(real, 1)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def classes(self) -> tuple[int, ...]:
        return tuple(sorted(self.counts))

    @property
    def mean_f1(self) -> float:
        """The mean over the classes that have a boundary."""
        values = [v for id in self.classes if not np.isnan(v := self.f1(id))]
        return float(np.mean(values)) if values else float("nan")


def _ball(radius: int, *, flat: bool) -> Mask:
    steps = np.arange(-radius, radius + 1) ** 2
    ball: Mask = steps[:, None, None] + steps[:, None] + steps <= radius**2
    return ball[radius : radius + 1] if flat else ball
