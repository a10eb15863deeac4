"""Gaussian smoothing."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lithoscope.filtering.base import Piece, SpatialFilter, register
from lithoscope.parameters import parameter
from lithoscope.volume.box import Triple

TRUNCATE = 4.0


@register
@dataclass
class Gaussian(SpatialFilter):
    """Weighted mean of the neighbours; what is not valid has no weight."""

    name: ClassVar[str] = "gaussian"
    title: ClassVar[str] = "Gaussian"
    summary: ClassVar[str] = "Smooths everything, edges too."

    sigma: float = parameter(1.0, "Sigma of the smoothing", minimum=0.1, maximum=32, step=0.1, unit="voxels")

    def halo(self) -> Triple:
        return self.around(int(TRUNCATE * self.sigma + 0.5))

    def working_bytes(self) -> int:
        return 40

    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        from scipy.ndimage import gaussian_filter1d

        kind = np.float64 if piece.image.dtype.itemsize > 4 else np.float32
        values: Any = piece.image.astype(kind)
        weights: Any = None
        if piece.valid is not None:
            values[~piece.valid] = 0
            weights = piece.valid.astype(kind)
        for axis, reach in enumerate(self.halo()):
            if reach:
                cut = tuple(slice(reach, -reach) if a == axis else slice(None) for a in range(3))
                values = gaussian_filter1d(values, self.sigma, axis=axis, truncate=TRUNCATE)[cut]
                if weights is not None:
                    weights = gaussian_filter1d(weights, self.sigma, axis=axis, truncate=TRUNCATE)[cut]
        found: npt.NDArray[Any] = values if weights is None else values / np.maximum(weights, 1e-30)
        return found
