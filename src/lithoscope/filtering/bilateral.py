"""The bilateral filter: a mean of near voxels of like grey level."""

from dataclasses import dataclass, replace
from math import exp
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from lithoscope.filtering.base import Piece, SpatialFilter, register
from lithoscope.filtering.centred import Centred
from lithoscope.filtering.pairs import WORKING, Likeness, averaged
from lithoscope.filtering.survey import Survey
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.volume.box import Triple

TRUNCATE = 2.0
"""Neighbours are looked at up to this many sigmas away."""
RANGE = 3.0
"""The range of grey levels beside the standard deviation of the noise, when it is chosen by that."""


@register
@dataclass
class Bilateral(SpatialFilter):
    """Gaussian in space and in grey level."""

    name: ClassVar[str] = "bilateral"
    title: ClassVar[str] = "Bilateral"
    summary: ClassVar[str] = "Averages near voxels of like grey level: quicker than non-local means, and weaker where noise is strong."

    sigma: float = parameter(1.5, "How far neighbours count: sigma in space", minimum=0.3, maximum=16, step=0.1, unit="voxels")
    grey: float | None = parameter(None, "How different they may be: sigma in grey levels; three times the noise if not given", minimum=0)
    device: str = "cpu"
    values_: Centred | None = None
    noise_: float = 0.0

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        base = super().fit(survey, z, report=report)
        noise = survey.noise if base.grey is None else 0.0
        return replace(base, grey=RANGE * noise if base.grey is None else base.grey, values_=Centred.of(survey), noise_=noise)

    def likeness(self) -> Likeness:
        """The weights, for values that are centred and scaled."""
        assert self.values_ is not None
        assert self.grey is not None
        reach = max(1, int(np.ceil(TRUNCATE * self.sigma)))
        scale = self.values_.unit / max(self.grey * 2**0.5, 1e-12 * self.values_.unit)
        return Likeness(self.around(reach), (0, 0, 0), scale, factor=self._near)

    def _near(self, offset: Triple) -> float:
        return exp(-sum(d * d for d in offset) / (2 * self.sigma**2))

    def halo(self) -> Triple:
        return self.likeness().halo()

    def working_bytes(self) -> int:
        return WORKING + 8

    def piece(self) -> Triple:
        return (128, 256, 256) if self.device != "cpu" else (16, 64, 128)

    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        assert self.values_ is not None
        if not self.grey:
            return piece.image[piece.place]
        values = self.values_.centred(piece.image, piece.valid)
        return self.values_.native(averaged(values, self.likeness(), valid=piece.valid, device=self.device))

    def learnt(self) -> dict[str, Any]:
        return {"noise": self.noise_}
