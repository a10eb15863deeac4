"""Labels as they count: 0 outside the field of view, whatever a result holds there that was made before the view was set."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.labels.changes import Labels
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box
from lithoscope.volume.field_of_view import FieldOfView


class InView:
    """Labels (z, y, x) read by slices or boxes, 0 outside the field of view; with None, as they are."""

    def __init__(self, labels: Array3D, view: FieldOfView | None) -> None:
        self._labels, self._view = labels, view
        self.shape, self.dtype = labels.shape, labels.dtype

    def __getitem__(self, key: tuple[slice, slice, slice]) -> Labels:
        starts, stops = zip(*(part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True)), strict=True)
        return self.read(Box(starts, stops))

    def read(self, box: Box) -> Labels:
        """The labels (z, y, x) of a box within the volume."""
        block: npt.NDArray[Any] = np.asarray(self._labels[box.slices])
        inside = None if self._view is None else self._view.inside(box)
        return np.asarray(block if inside is None else block * inside, np.uint8)
