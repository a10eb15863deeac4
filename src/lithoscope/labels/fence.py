"""Where a brush takes: only on grey values of a range, only over classes that were chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.labels.changes import Labels, Mask
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box


class Painted(Protocol):
    """Labels that are read and written in boxes."""

    def read(self, box: Box) -> Labels: ...

    def write(self, box: Box, mask: Mask | None, value: npt.ArrayLike) -> Box | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Fence:
    """Voxels whose grey value lies within `between`, both ends included, and whose label is one of `over` (0 is: nothing painted)."""

    grey: Array3D | None = None
    between: tuple[float, float] | None = None
    over: frozenset[int] | None = None

    def within(self, labels: Painted, box: Box, mask: Mask | None = None) -> Mask:
        """Those voxels of a box (and of `mask`) on which it lets a brush paint."""
        allowed = np.ones(box.shape, np.bool_) if mask is None else np.array(mask, np.bool_)
        if self.between is not None and self.grey is not None and allowed.any():
            values = read(self.grey, box)
            allowed &= (values >= self.between[0]) & (values <= self.between[1])
        if self.over is not None and allowed.any():
            allowed &= np.isin(labels.read(box), sorted(self.over))
        return allowed

    def at(self, labels: Painted, places: Sequence[npt.NDArray[Any]]) -> Mask:
        """The same for single voxels, given by their z, y and x."""
        if not places[0].size:
            return np.zeros(places[0].shape, np.bool_)
        low, high = [int(p.min()) for p in places], [int(p.max()) + 1 for p in places]
        box = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        allowed: Mask = self.within(labels, box)[tuple(p - a for p, a in zip(places, low, strict=True))]
        return allowed


def painted_through(fence: Fence | None, labels: Painted, box: Box, mask: Mask | None, values: Labels) -> None:
    """Write what a brush painted, where the fence lets it."""
    labels.write(box, mask if fence is None else fence.within(labels, box, mask), values)
