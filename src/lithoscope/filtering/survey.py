"""What a filter may find out of a whole scan before it begins: planes inside the field of view, the axis, the noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box
from lithoscope.volume.field_of_view import BoxView, Cylinder
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.images import histogram_of
from lithoscope.volume.scan import Scan, sample_planes

SLAB_BYTES = 64 << 20
"""Planes are read together up to this size."""
SAMPLED = 16
"""From how many planes the noise is judged."""


@dataclass(frozen=True)
class Survey:
    """A scan, or one of its filtered images, as a filter sees it while it is fitted."""

    scan: Scan
    image: str | None = None

    @cached_property
    def array(self) -> Array3D:
        """The grey values (z, y, x) that are to be filtered."""
        return self.scan.array(self.image)

    @cached_property
    def histogram(self) -> Histogram:
        """Their histogram inside the field of view."""
        found = self.scan.histogram if self.image is None else histogram_of(self.scan, self.image)
        if not found.total:
            raise InputError(f"{self.scan.name} has no grey values inside its field of view; set another one first")
        return found

    @property
    def middle(self) -> float:
        """The median grey value: what stands in for a value that is not there."""
        return self.histogram.percentile(50)

    @property
    def axis(self) -> tuple[float, float]:
        """The rotation axis (y, x) in voxels: the middle of the field of view, or of the planes."""
        view = self.scan.field_of_view
        if isinstance(view, Cylinder):
            return view.cy, view.cx
        _, y, x = (slice(0, n) for n in self.scan.shape) if not isinstance(view, BoxView) else view.box.slices
        return (y.start + y.stop - 1) / 2, (x.start + x.stop - 1) / 2

    def slabs(self, z: range) -> Iterator[tuple[int, npt.NDArray[Any], npt.NDArray[np.bool_]]]:
        """The planes of `z`, some at a time: the first one's z, the values (n, y, x), and which of them are valid."""
        _, height, width = self.scan.shape
        step = max(1, SLAB_BYTES // (height * width * np.dtype(self.array.dtype).itemsize))
        for first in range(z.start, z.stop, step):
            box = Box((first, 0, 0), (min(first + step, z.stop), height, width))
            values = read(self.array, box)
            yield first, values, self._valid(values, box)

    def sample(self, count: int = SAMPLED) -> Iterator[tuple[int, npt.NDArray[Any], npt.NDArray[np.bool_]]]:
        """Up to `count` planes spread evenly: z, values (y, x), and which of them are valid."""
        _, height, width = self.scan.shape
        for z in sample_planes(self.scan.shape, count):
            box = Box((z, 0, 0), (z + 1, height, width))
            values = read(self.array, box)
            yield z, values[0], self._valid(values, box)[0]

    def _valid(self, values: npt.NDArray[Any], box: Box) -> npt.NDArray[np.bool_]:
        inside = self.scan.inside(box)
        valid = np.ones(values.shape, np.bool_) if inside is None else inside
        return valid & np.isfinite(values) if values.dtype.kind == "f" else valid

    @cached_property
    def noise(self) -> float:
        """The standard deviation of noise that differs from voxel to voxel, in grey levels; 0 when the planes are too small to tell.

        The median of what a 3 × 3 Laplacian difference leaves, which is blind to flat and sloping grey (Immerkær 1996). Noise that is
        alike in neighbouring voxels is judged too small.
        """
        found = [d for _, plane, valid in self.sample() if (d := _differences(plane, valid)).size]
        return float(np.median(np.abs(np.concatenate(found))) / 0.6745 / 6) if found else 0.0


def _differences(plane: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """[1 -2 1] × [1 -2 1] of a plane (y, x), where all nine voxels are valid; flat."""
    if min(plane.shape) < 3:
        return np.zeros(0)
    v = np.where(valid, plane, 0).astype(np.float64)
    rows = v[:-2] - 2 * v[1:-1] + v[2:]
    both = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    whole = valid[:-2] & valid[1:-1] & valid[2:]
    kept: npt.NDArray[np.float64] = both[whole[:, :-2] & whole[:, 1:-1] & whole[:, 2:]]
    return kept
