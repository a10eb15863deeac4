"""Opening and closing of a class by a ball of physical radius. What nobody labelled is neither the class nor anything else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, product
from math import floor, sqrt

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
_NONE = 255
"""Stands for no label; no class has this number."""
CLOSE = 1 + 1e-9
"""Distances that differ by rounding alone are equal."""


@dataclass(frozen=True)
class Ball:
    """The voxels within `radius` of one, which are `spacing` (z, y, x) apart in the same unit."""

    radius: float
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def reach(self) -> Triple:
        """How far it reaches along z, y and x, in voxels."""
        z, y, x = (floor(self.radius * CLOSE / s) for s in self.spacing)
        return (z, y, x)

    def rows(self) -> Iterator[tuple[int, int, int]]:
        """Its rows along x: their z and y from the centre, and how many voxels they reach to either side."""
        a, b, _ = self.reach
        for z, y in product(range(-a, a + 1), range(-b, b + 1)):
            left = (self.radius * CLOSE) ** 2 - (z * self.spacing[0]) ** 2 - (y * self.spacing[1]) ** 2
            if left >= 0:
                yield z, y, floor(sqrt(left) / self.spacing[2] * CLOSE)

    def shells(self) -> list[list[Triple]]:
        """Its voxels but the centre, nearest first, those of equal distance together."""
        found = []
        for z, y, width in self.rows():
            for x in range(-width, width + 1):
                d = sum((i * s) ** 2 for i, s in zip((z, y, x), self.spacing, strict=True))
                found.append((float(f"{d:.9g}"), (z, y, x)))
        found.sort()
        return [[place for _, place in shell] for _, shell in groupby(found[1:], key=lambda entry: entry[0])]


def dilated(mask: Mask, ball: Ball) -> Mask:
    """Every voxel within the ball's radius of one in the mask (z, y, x)."""
    from scipy.ndimage import maximum_filter1d

    out = np.zeros(mask.shape, np.bool_)
    by_width = sorted(ball.rows(), key=lambda row: row[2])
    for width, rows in groupby(by_width, key=lambda row: row[2]):
        wide = mask if not width else maximum_filter1d(mask.view(np.uint8), 2 * width + 1, axis=2, mode="constant").view(np.bool_)
        for z, y, _ in rows:
            to_z, from_z = _shifted(z, mask.shape[0])
            to_y, from_y = _shifted(y, mask.shape[1])
            out[to_z, to_y] |= wide[from_z, from_y]
    return out


def _shifted(by: int, size: int) -> tuple[slice, slice]:
    return slice(max(by, 0), max(size + min(by, 0), 0)), slice(max(-by, 0), max(size - max(by, 0), 0))


@dataclass(frozen=True)
class Closing:
    """Gaps of class `id` narrower than the ball become the class."""

    id: int
    ball: Ball

    @property
    def halo(self) -> Triple:
        z, y, x = self.ball.reach
        return (2 * z, 2 * y, 2 * x)

    def __call__(self, labels: Labels) -> Labels:
        """The new labels (z, y, x) of a block with its halo."""
        known = labels > 0
        mask = labels == self.id
        if not mask.any() or mask.all():
            return labels
        grown = dilated(mask, self.ball)
        closed = ~dilated(known & ~grown, self.ball) & known
        return np.where(closed | mask, np.uint8(self.id), labels)


@dataclass(frozen=True)
class Opening:
    """Parts of class `id` narrower than the ball become the nearest other class; of equally near ones the lowest."""

    id: int
    ball: Ball
    _shells: list[list[Triple]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_shells", self.ball.shells())

    @property
    def halo(self) -> Triple:
        z, y, x = self.ball.reach
        return (2 * z, 2 * y, 2 * x)

    def __call__(self, labels: Labels) -> Labels:
        """The new labels (z, y, x) of a block with its halo."""
        mask = labels == self.id
        other = (labels > 0) & ~mask
        if not mask.any() or not other.any():
            return labels
        kept = dilated(mask & ~dilated(other, self.ball), self.ball) & mask
        lost = mask & ~kept
        result = labels.copy()
        result[lost] = _nearest(np.where(mask, np.uint8(0), labels), lost, self._shells, self.id)
        return result


def _nearest(labels: Labels, lost: Mask, shells: list[list[Triple]], otherwise: int) -> Labels:
    """The label nearest to each voxel of a mask (z, y, x), in order, the lowest of equally near ones; `otherwise` where there is none."""
    far = max((max(map(abs, offset)) for shell in shells for offset in shell), default=0)
    around = np.where(labels == 0, np.uint8(_NONE), labels)
    around = np.pad(around, far, constant_values=_NONE)
    _, height, width = around.shape
    flat, at = around.reshape(-1), np.flatnonzero(np.pad(lost, far))
    found = np.full(len(at), otherwise, np.uint8)
    left = np.arange(len(at))
    for shell in shells:
        best = np.full(len(left), _NONE, np.uint8)
        for z, y, x in shell:
            np.minimum(best, flat[at + (z * height + y) * width + x], out=best)
        hit = best < _NONE
        found[left[hit]] = best[hit]
        left, at = left[~hit], at[~hit]
        if not left.size:
            break
    return found
