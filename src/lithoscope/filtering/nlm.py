"""Non-local means: every voxel becomes the mean of the voxels near it whose surroundings look alike."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.filtering.base import Piece, SpatialFilter, register
from lithoscope.filtering.centred import Centred
from lithoscope.filtering.pairs import WORKING, Likeness, averaged
from lithoscope.filtering.survey import Survey
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.volume.box import Triple

PUBLISHED_H, PUBLISHED_PATCH, PUBLISHED_SEARCH = 15.0, 7, 21
PATCH, SEARCH = {2: 5, 3: 3}, {2: 21, 3: 11}
STRENGTH = 0.7
"""The filter's strength beside the standard deviation of the noise, when it is chosen by that."""


@register
@dataclass
class NonLocalMeans(SpatialFilter):
    """Mean of alike patches: exp(-max(mean squared difference - 2 noise², 0) / h²), as scikit-image and OpenCV weigh them."""

    name: ClassVar[str] = "nlm"
    title: ClassVar[str] = "Non-local means"
    summary: ClassVar[str] = "Averages what looks alike: takes away noise and keeps edges; the usual first step before thresholds."

    preset: Literal["noise", "published"] = parameter("noise", "Strength by the scan's noise, or h 15, template 7, search 21 of 8 bits")
    h: float | None = parameter(None, "Strength: how different patches may be, in grey levels; by the preset if not given", minimum=0)
    patch: int | None = parameter(None, "Width of the patches compared, odd", minimum=1, maximum=31, unit="voxels", level="advanced")
    search: int | None = parameter(
        None, "Width of the neighbourhood that is searched, odd", minimum=3, maximum=101, unit="voxels", level="advanced"
    )
    noise: float | None = parameter(
        None, "Standard deviation of the noise that a difference may have; 0 counts every difference", minimum=0, level="advanced"
    )
    device: str = "cpu"
    values_: Centred | None = None
    noise_: float = 0.0

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        base = super().fit(survey, z, report=report)
        published = base.preset == "published"
        patch = base.patch or (PUBLISHED_PATCH if published else PATCH[base.dimensions or 3])
        search = base.search or (PUBLISHED_SEARCH if published else SEARCH[base.dimensions or 3])
        for key, value in (("patch", patch), ("search", search)):
            if value % 2 == 0:
                raise InputError(f"{key}={value} is even and has no middle voxel; use {value + 1}")
        found = survey.noise if base.h is None or base.noise is None else 0.0
        noise = base.noise if base.noise is not None else 0.0 if published or base.h is not None else found
        h = base.h if base.h is not None else PUBLISHED_H / 255 * _range(survey) if published else STRENGTH * found
        return replace(base, h=h, patch=patch, search=search, noise=noise, values_=Centred.of(survey), noise_=found)

    def likeness(self) -> Likeness:
        """The weights, for values that are centred and scaled."""
        assert self.values_ is not None
        assert self.h is not None
        assert self.patch is not None
        assert self.search is not None
        assert self.noise is not None
        patch = self.around(self.patch // 2)
        voxels = int(np.prod([2 * p + 1 for p in patch]))
        h = max(self.h / self.values_.unit, 1e-12)
        noise = self.noise / self.values_.unit
        return Likeness(self.around(self.search // 2), patch, 1 / (h * voxels**0.5), 2 * (noise / h) ** 2)

    def halo(self) -> Triple:
        return self.likeness().halo()

    def working_bytes(self) -> int:
        return WORKING + 8

    def piece(self) -> Triple:
        if self.device != "cpu":
            return (128, 256, 256)
        return (16, 96, 96) if self.dimensions == 3 else (1, 256, 256)

    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        assert self.values_ is not None
        if not self.h:
            return piece.image[piece.place]
        values = self.values_.centred(piece.image, piece.valid)
        return self.values_.native(averaged(values, self.likeness(), valid=piece.valid, device=self.device))

    def learnt(self) -> dict[str, Any]:
        return {"noise": self.noise_}


def _range(survey: Survey) -> float:
    """The grey levels that stand for the 255 of 8 bits: those for 8-bit scans, else the span of all but the very rare values."""
    if np.dtype(survey.array.dtype).itemsize == 1:
        return 255.0
    low, high = survey.histogram.window(0.01, 99.99)
    return high - low
