"""The median of the neighbours."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.filtering.base import Piece, SpatialFilter, register
from lithoscope.filtering.survey import Survey
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.volume.box import Triple


@register
@dataclass
class Median(SpatialFilter):
    """Median over a square or a cube around each voxel."""

    name: ClassVar[str] = "median"
    title: ClassVar[str] = "Median"
    summary: ClassVar[str] = "Takes away single odd voxels and keeps edges; rounds off fine detail."

    size: int = parameter(3, "Width of the neighbourhood, odd", minimum=1, maximum=15, step=2, unit="voxels")

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        if self.size % 2 == 0:
            raise InputError(f"size={self.size} is even and has no middle voxel; use {self.size + 1}")
        return super().fit(survey, z, report=report)

    def halo(self) -> Triple:
        return self.around(self.size // 2)

    def working_bytes(self) -> int:
        return 32

    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        from scipy.ndimage import median_filter

        image = piece.image
        if piece.valid is not None:
            image = _balanced(piece)
        found: npt.NDArray[Any] = median_filter(image, tuple(2 * h + 1 for h in self.halo()), mode="nearest")[piece.place]
        return found


def _balanced(piece: Piece) -> npt.NDArray[Any]:
    """The image with every other invalid voxel very bright and the others very dark, so that the median is that of the valid ones."""
    assert piece.valid is not None
    z, y, x = (np.arange(a, b) for a, b in zip(piece.box.start, piece.box.stop, strict=True))
    odd = ((z[:, None, None] + y[:, None] + x) & 1).astype(np.bool_)
    dtype = piece.image.dtype
    low, high = (np.finfo(dtype).min, np.finfo(dtype).max) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    image = piece.image.copy()
    image[~piece.valid & odd] = high
    image[~piece.valid & ~odd] = low
    return image
