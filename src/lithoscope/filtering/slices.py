"""What was found slice by slice, kept for the slices that are to be answered for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box


@dataclass(frozen=True, eq=False)
class Table:
    """One row of numbers for each slice from z = `first` on: `rows` (slices, n)."""

    first: int
    rows: npt.NDArray[np.float32]

    def of(self, box: Box) -> npt.NDArray[np.float32]:
        """The rows of a box's slices."""
        return self.rows[box.start[0] - self.first : box.stop[0] - self.first]


def radii(box: Box, axis: tuple[float, float]) -> npt.NDArray[np.float32]:
    """How far each voxel of a plane of the box lies from the axis (y, x), in voxels."""
    y = (np.arange(box.start[1], box.stop[1]) - axis[0])[:, None]
    x = (np.arange(box.start[2], box.stop[2]) - axis[1])[None]
    found: npt.NDArray[np.float32] = np.sqrt(y * y + x * x).astype(np.float32)
    return found
