"""Cupping correction: the slow change of grey from the axis to the rim is taken away."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.filtering.base import Filter, Piece, register
from lithoscope.filtering.levels import two_levels
from lithoscope.filtering.slices import radii
from lithoscope.filtering.survey import Survey
from lithoscope.job import Progress, Report, silent
from lithoscope.parameters import parameter
from lithoscope.volume.box import Box, Triple

BINS = 64
ROUNDS = 4
PLANES = 24
FEWEST = 1000
"""Fewer voxels than this say nothing of cupping, and the image stays as it is."""


@register
@dataclass
class Cupping(Filter):
    """Grey levels are divided by a polynomial of the distance from the axis, the same for all slices.

    It is fitted to the level of the brighter of two phases, told apart anew as the correction gets better, so that more pores here than
    there are not taken for cupping.
    """

    name: ClassVar[str] = "cupping"
    title: ClassVar[str] = "Cupping correction"
    summary: ClassVar[str] = "Makes a material as bright at the axis as at the rim, which beam hardening prevents."

    centre_y: float | None = parameter(None, "The rotation axis along y; the middle of the field of view if not given", unit="voxels")
    centre_x: float | None = parameter(None, "The rotation axis along x; the middle of the field of view if not given", unit="voxels")
    order: int = parameter(2, "How freely the profile bends: terms in the square of the distance", minimum=1, maximum=5, level="advanced")
    air: float | None = parameter(
        None, "The grey level of nothing, which stays as it is; 0, or the .5 percentile where values are negative", level="advanced"
    )
    axis_: tuple[float, float] = (0.0, 0.0)
    reach_: float = 1.0
    terms_: tuple[float, ...] = ()

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        y, x = survey.axis
        axis = (y if self.centre_y is None else self.centre_y, x if self.centre_x is None else self.centre_x)
        low, _ = survey.histogram.window()
        air = self.air if self.air is not None else 0.0 if survey.histogram.minimum >= 0 else low
        _, height, width = survey.scan.shape
        radius = radii(Box((0, 0, 0), (1, height, width)), axis)
        values, places = [], []
        for done, (_, plane, valid) in enumerate(survey.sample(PLANES)):
            report(Progress(done, PLANES, "looking for cupping"))
            values.append(plane[valid].astype(np.float32) - np.float32(air))
            places.append(radius[valid])
        grey, distance = np.concatenate(values), np.concatenate(places)
        reach = float(distance.max()) or 1.0
        terms = _fitted(grey, distance / np.float32(reach), self.order)
        return replace(self, axis_=axis, reach_=reach, terms_=terms, air=air)

    def piece(self) -> Triple:
        return (32, 256, 256)

    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        assert self.air is not None
        square = (radii(piece.core, self.axis_).astype(np.float64) / self.reach_) ** 2
        profile = np.maximum(np.polynomial.polynomial.polyval(np.minimum(square, 1), self.terms_), 0.05)
        return (piece.image - np.float64(self.air)) / profile + self.air

    def learnt(self) -> dict[str, Any]:
        rim, middle = sum(self.terms_), self.terms_[0] if self.terms_ else 1.0
        return {"axis": list(self.axis_), "darker_at_the_axis": 1 - middle / rim if rim else 0.0, "terms": list(self.terms_)}


def _fitted(grey: npt.NDArray[np.float32], distance: npt.NDArray[np.float32], order: int) -> tuple[float, ...]:
    """The polynomial in the square of the distance (of 0 … 1), 1 on average over the voxels."""
    if grey.size < FEWEST:
        return (1.0,)
    square = distance * distance
    # Bins of equal area hold equally many voxels of a plane.
    bins = np.minimum((square * BINS).astype(np.int64), BINS - 1)
    terms: npt.NDArray[Any] = np.array([1.0])
    for _ in range(ROUNDS):
        profile = np.polynomial.polynomial.polyval(square, terms).astype(np.float32)
        flat = grey / np.maximum(profile, 0.05)
        bright = flat > two_levels(flat)[2]
        count = np.bincount(bins[bright], minlength=BINS)
        known = np.flatnonzero(count)
        if len(known) <= order:
            return (1.0,)
        inner = np.split(grey[bright][np.argsort(bins[bright], kind="stable")], np.cumsum(count)[:-1])
        level = np.array([np.median(inner[n]) for n in known])
        place, share = (known + 0.5) / BINS, count[known].astype(np.float64)
        terms = np.polynomial.polynomial.polyfit(place, level, order, w=np.sqrt(share))
        mean = float(np.average(np.polynomial.polynomial.polyval(place, terms), weights=share))
        if not mean > 0:
            raise InputError("the brighter phase is not brighter than air; give the grey level of nothing: --set air=VALUE")
        terms = terms / mean
    return tuple(float(t) for t in terms)
