"""A source cut and binned on the way in."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.formats import Source
from lithoscope.volume.pyramid import reduce_image
from lithoscope.volume.voxel import Voxel

PIECE = 64 << 20
"""Bytes of source planes that are held while they are cut and binned."""


class Prepared:
    """The `box` of a source, averaged over cells of `bin` voxels along y, x and, unless the slices are separate, z."""

    def __init__(self, source: Source, box: Box, factor: int, *, separate_slices: bool = False) -> None:
        if factor < 1:
            raise InputError(f"bin {factor} is not a whole number of 1 or more")
        self._source, self._box = source, box
        self.factors: Triple = (1 if separate_slices else factor, factor, factor)
        z, y, x = (-(-n // f) for n, f in zip(box.shape, self.factors, strict=True))
        self.shape: Triple = (z, y, x)
        self.dtype: np.dtype[Any] = source.dtype
        self.voxel = scaled(source.voxel, self.factors)
        self.metadata: dict[str, Any] = dict(source.metadata)
        if box != Box.whole(source.shape):
            self.metadata["crop"] = box.to_json()
        if factor > 1:
            self.metadata["bin"] = factor

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        if self._box == Box.whole(self._source.shape) and self.factors == (1, 1, 1):
            return self._source.planes(z0, z1)
        out = np.empty((z1 - z0, *self.shape[1:]), self.dtype)
        thick = self.factors[0]
        plane = self._source.shape[1] * self._source.shape[2] * self.dtype.itemsize
        step = max(1, PIECE // (plane * thick))
        _, ys, xs = self._box.slices
        for z in range(z0, z1, step):
            stop = min(z + step, z1)
            first = self._box.start[0] + z * thick
            last = min(self._box.start[0] + stop * thick, self._box.stop[0])
            out[z - z0 : stop - z0] = reduce_image(self._source.planes(first, last)[:, ys, xs], self.factors)
        return out

    def close(self) -> None:
        self._source.close()


def scaled(voxel: Voxel | None, factors: Triple) -> Voxel | None:
    """A voxel size after binning by `factors`."""
    if voxel is None:
        return None
    z, y, x = (s * f for s, f in zip(voxel.size, factors, strict=True))
    return Voxel((z, y, x), voxel.unit)
