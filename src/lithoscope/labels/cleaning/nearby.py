"""Labels decided by their neighbours: the majority or the median of a cube, whose voxels that nobody labelled do not count."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Majority:
    """The class that most voxels of the cube of `radius` (z, y, x) voxels have; of equal ones its own, then the lowest."""

    radius: Triple

    @property
    def halo(self) -> Triple:
        return self.radius

    def __call__(self, labels: Labels) -> Labels:
        """The new labels (z, y, x) of a block with its halo."""
        best = np.zeros(labels.shape, np.uint32)
        result = labels.copy()
        for id in _present(labels):
            own = labels == id
            score = counted(own, self.radius) * 2 + own  # doubled, so that its own class wins among equal ones
            better = score > best
            best[better] = score[better]
            result[better] = id
        result[labels == 0] = 0
        return result


@dataclass(frozen=True)
class Median:
    """The median of the classes in the cube of `radius` (z, y, x) voxels, taken by rising id; the lower one of two."""

    radius: Triple

    @property
    def halo(self) -> Triple:
        return self.radius

    def __call__(self, labels: Labels) -> Labels:
        """The new labels (z, y, x) of a block with its halo."""
        total = counted(labels > 0, self.radius)
        below = np.zeros(labels.shape, np.uint32)
        result = np.zeros(labels.shape, np.uint8)
        for id in _present(labels):
            below += counted(labels == id, self.radius)
            result[(result == 0) & (2 * below >= total)] = id
        result[labels == 0] = 0
        return result


def counted(mask: npt.NDArray[np.bool_], radius: Triple) -> npt.NDArray[np.uint32]:
    """How many voxels of the mask (z, y, x) lie in the cube around each voxel, cut at the faces."""
    counts = mask.astype(np.uint32)
    for axis, r in enumerate(radius):
        if r and counts.size:
            n = counts.shape[axis]
            sums = np.cumsum(counts, axis=axis, dtype=np.uint32)
            sums = np.concatenate([np.zeros_like(np.take(sums, [0], axis)), sums], axis=axis)
            high = np.take(sums, np.minimum(np.arange(n) + r + 1, n), axis)
            counts = high - np.take(sums, np.maximum(np.arange(n) - r, 0), axis)
    return counts


def _present(labels: Labels) -> list[int]:
    counts = np.bincount(labels.reshape(-1), minlength=256)
    return [id for id in np.flatnonzero(counts).tolist() if id]
