"""Slice-to-slice normalisation: a slice that is brighter, or of more contrast, than the others is brought to their grey levels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.filtering.base import Filter, Piece, register
from lithoscope.filtering.levels import two_levels
from lithoscope.filtering.slices import Table
from lithoscope.filtering.survey import Survey
from lithoscope.job import Progress, Report, silent
from lithoscope.parameters import parameter
from lithoscope.volume.box import Triple

PLANES = 32
"""From how many slices the common levels are taken."""
ROUNDS = 4
ENOUGH = 1 << 18
"""About so many voxels of a slice, spread evenly, are compared with its neighbours."""
FEWEST = 16
"""Fewer voxels than this say nothing of a slice."""
Pair = tuple[float, float]
Plane = npt.NDArray[Any]


@register
@dataclass
class Normalise(Filter):
    """By its neighbours: the same place holds the same material a few slices on, so the median difference from their median is the slice's
    own fault.

    By levels: the medians of a slice's darker and brighter phase are brought to those of all slices. That also mends steps and slow
    changes, but takes a slice of other material for a fault.
    """

    name: ClassVar[str] = "normalise"
    title: ClassVar[str] = "Slice-to-slice normalisation"
    summary: ClassVar[str] = "Takes away that some slices are brighter or of more contrast than others."
    by_slice: ClassVar[bool] = True

    by: Literal["neighbours", "levels"] = parameter("neighbours", "Compare a slice with its neighbours, or its two phases with the scan's")
    reach: int = parameter(
        4, "How many slices to each side are compared with", minimum=1, maximum=50, unit="slices", shown_if=("by", "neighbours")
    )
    match: Literal["both", "offset", "gain"] = parameter("both", "What differs between slices: an offset, a gain, or both")
    levels_: Pair = (0.0, 1.0)
    lines_: Table | None = None

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        common = _common(survey)
        by = "levels" if survey.scan.separate_slices or survey.scan.shape[0] < 3 else self.by
        pairs = self._beside_neighbours(survey, z, common, report) if by == "neighbours" else _own_levels(survey, z, common, report)
        lines = [self._line(pair, common) for pair in pairs]
        return replace(self, by=by, levels_=common, lines_=Table(z.start, np.array(lines, np.float32).reshape(-1, 2)))

    def _beside_neighbours(self, survey: Survey, z: range, common: Pair, report: Report) -> Iterator[Pair]:
        """What the common levels look like in each slice, by its differences from the mean of its neighbours."""
        depth, height, width = survey.scan.shape
        step = max(1, int(np.ceil((height * width / ENOUGH) ** 0.5)))
        wanted = range(max(z.start - self.reach, 0), min(z.stop + self.reach, depth))
        coming = ((first + n, plane, known[n]) for first, slab, known in survey.slabs(wanted) for n, plane in enumerate(slab))
        planes: dict[int, npt.NDArray[np.float64]] = {}
        for place in z:
            report(Progress(place - z.start, len(z), "comparing slices"))
            near = range(max(place - self.reach, wanted.start), min(place + self.reach + 1, wanted.stop))
            while near[-1] not in planes:
                at, plane, known = next(coming)
                planes[at] = np.where(known, plane, np.nan)[::step, ::step]
            for gone in [at for at in planes if at < near.start]:
                del planes[gone]
            others = np.stack([planes[at] for at in near if at != place])
            bright = (others > sum(common) / 2).sum(axis=0)
            beyond = planes[place] - np.median(others, axis=0)
            known = np.isfinite(beyond)
            yield _shifted(common, beyond[known & (bright == 0)], beyond[known & (bright == len(others))])

    def _line(self, levels: Pair, common: Pair) -> Pair:
        """Gain and offset that bring a slice's levels to the common ones."""
        (dark, bright), (low, high) = levels, common
        if self.match == "offset":
            return 1.0, (low + high - dark - bright) / 2
        if self.match == "gain":
            size = dark * dark + bright * bright
            return ((low * dark + high * bright) / size if size else 1.0), 0.0
        gain = (high - low) / (bright - dark) if bright > dark and high > low else 1.0
        return gain, (low + high - gain * (dark + bright)) / 2

    def piece(self) -> Triple:
        return (32, 256, 256)

    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        assert self.lines_ is not None
        lines = self.lines_.of(piece.core).astype(np.float64)
        return piece.image * lines[:, 0, None, None] + lines[:, 1, None, None]

    def learnt(self) -> dict[str, Any]:
        lines = np.zeros((0, 2)) if self.lines_ is None else self.lines_.rows
        return {"levels": list(self.levels_), "gain": [float(v) for v in lines[:, 0]], "offset": [float(v) for v in lines[:, 1]]}


def _common(survey: Survey) -> Pair:
    """The levels of the scan's darker and brighter phase."""
    values = [plane[valid][:: max(1, plane.size >> 16)] for _, plane, valid in survey.sample(PLANES)]
    dark, bright, _ = two_levels(np.concatenate(values))
    return dark, bright


def _shifted(common: Pair, dark: Plane, bright: Plane) -> Pair:
    """The common levels, moved by the median difference of the voxels that are dark, and bright, in all neighbours."""
    each = [float(np.median(group)) if group.size >= FEWEST else None for group in (dark, bright)]
    low, high = (next((s for s in (own, other) if s is not None), 0.0) for own, other in (each, each[::-1]))
    return common[0] + low, common[1] + high


def _own_levels(survey: Survey, z: range, common: Pair, report: Report) -> Iterator[Pair]:
    """The medians of each slice's darker and brighter values, told apart where the scan's threshold comes to lie in the slice."""
    for first, slab, known in survey.slabs(z):
        for n, plane in enumerate(slab):
            report(Progress(first + n - z.start, len(z), "looking at each slice"))
            values = plane[known[n]].astype(np.float64)
            dark, bright = common
            for _ in range(ROUNDS):
                group = values > (dark + bright) / 2
                if not group.any() or group.all():
                    break
                dark, bright = float(np.median(values[~group])), float(np.median(values[group]))
            yield dark, bright
