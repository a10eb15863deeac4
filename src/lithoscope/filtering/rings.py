"""Ring removal: what is the same all around the rotation axis is taken away."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from lithoscope.filtering.base import Filter, Piece, register
from lithoscope.filtering.centred import Centred
from lithoscope.filtering.pairs import Likeness, averaged
from lithoscope.filtering.slices import Table, radii
from lithoscope.filtering.survey import Survey
from lithoscope.job import Progress, Report, silent
from lithoscope.parameters import parameter
from lithoscope.volume.box import Box, Triple

Profile = npt.NDArray[np.float64]

MOST_WORKERS = 4
AT_ONCE = 1 << 24
"""Planes are judged side by side while they hold no more voxels than this together."""
REACH = 6
"""How far around a voxel its phase's grey level is looked for."""
ALIKE = 3.0
"""Voxels of one phase differ by no more than about so many standard deviations of the noise."""
OUTLYING = 4.0
"""Voxels further from their surroundings than so many standard deviations of the noise lie on an edge, and say nothing of rings."""
CORRELATED = 3.0
"""Neighbours err alike, so that a mean is less certain than their number says."""
ROUNDS = 2
SMOOTH = 1.5
"""By how much a plane is smoothed to tell its phases (sigma in voxels)."""


@register
@dataclass
class Rings(Filter):
    """The profile of each plane's rings is judged by how voxels at one radius differ from voxels of their own phase around them.

    Phases are told by grey level on a smoothed plane, so that grains and pores do not leave arcs. A profile is taken back by as
    much as its own uncertainty asks for: near the axis, where few voxels speak, next to nothing is taken away.
    """

    name: ClassVar[str] = "rings"
    title: ClassVar[str] = "Ring removal"
    summary: ClassVar[str] = "Takes away rings around the rotation axis, plane by plane."
    by_slice: ClassVar[bool] = True

    centre_y: float | None = parameter(None, "The rotation axis along y; the middle of the field of view if not given", unit="voxels")
    centre_x: float | None = parameter(None, "The rotation axis along x; the middle of the field of view if not given", unit="voxels")
    width: float = parameter(20.0, "Rings wider than about this are left, as cupping", minimum=1, maximum=200, unit="voxels")
    slices: int = parameter(
        1, "Planes whose rings are judged together, odd; more where rings run through the stack", minimum=1, maximum=101, level="advanced"
    )
    axis_: tuple[float, float] = (0.0, 0.0)
    profiles_: Table | None = None
    values_: Centred | None = None

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        y, x = survey.axis
        axis = (y if self.centre_y is None else self.centre_y, x if self.centre_x is None else self.centre_x)
        values, noise = Centred.of(survey), survey.noise
        depth, height, width = survey.scan.shape
        radius = radii(Box((0, 0, 0), (1, height, width)), axis)
        side = self.slices // 2 if not survey.scan.separate_slices else 0
        wanted = range(max(z.start - side, 0), min(z.stop + side, depth))
        found: list[tuple[Profile, Profile]] = []

        def judged(plane: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> tuple[Profile, Profile]:
            return _profile(values.centred(plane[None], known[None]), known, radius, max(noise / values.unit, 1e-4))

        workers = max(1, min(os.cpu_count() or 1, MOST_WORKERS, AT_ONCE // (height * width)))
        with ThreadPoolExecutor(workers, thread_name_prefix="rings") as pool:
            for _, slab, valid in survey.slabs(wanted):
                for start in range(0, len(slab), workers):
                    report(Progress(len(found), len(wanted), "looking for rings"))
                    found += pool.map(judged, slab[start : start + workers], valid[start : start + workers])
        rows = []
        for place in z:
            near = found[max(place - side, wanted.start) - wanted.start : min(place + side + 1, wanted.stop) - wanted.start]
            rows.append(self._ring(np.mean([p for p, _ in near], axis=0), np.mean([v for _, v in near], axis=0) / len(near) ** 0.5))
        return replace(self, axis_=axis, values_=values, profiles_=Table(z.start, np.stack(rows).astype(np.float32)))

    def _ring(self, profile: Profile, variance: Profile) -> Profile:
        """The narrow part of a profile, shrunk by its uncertainty."""
        from scipy.ndimage import gaussian_filter1d

        sure = 1 / variance
        broad = gaussian_filter1d(profile * sure, self.width / 2) / gaussian_filter1d(sure, self.width / 2)
        narrow: Profile = profile - broad
        strength = gaussian_filter1d((narrow**2 - variance) * sure, 4 * self.width) / gaussian_filter1d(sure, 4 * self.width)
        strength = np.maximum(strength, 0)
        return narrow * strength / (strength + variance)

    def piece(self) -> Triple:
        return (32, 256, 256)

    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        assert self.values_ is not None
        assert self.profiles_ is not None
        radius = radii(piece.core, self.axis_)
        index = np.minimum(radius.astype(np.int64), self.profiles_.rows.shape[1] - 2)
        part = radius - index
        found = np.empty(piece.core.shape, np.float64)
        for plane, image, row in zip(found, piece.image, self.profiles_.of(piece.core), strict=True):
            plane[...] = image - self.values_.unit * (row[index] * (1 - part) + row[index + 1] * part).astype(np.float64)
        return found

    def learnt(self) -> dict[str, Any]:
        rows = None if self.profiles_ is None or self.values_ is None else self.profiles_.rows * self.values_.unit
        strength = 0.0 if rows is None else float(np.sqrt(np.mean(np.square(rows, dtype=np.float64))))
        return {"axis": list(self.axis_), "ring_strength": strength}


def _profile(
    plane: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], radius: npt.NDArray[np.float32], noise: float
) -> tuple[Profile, Profile]:
    """By how much voxels at each radius 0, 1 … are brighter than their surroundings of the same phase, and how uncertain that is.

    `plane` (1, y, x) is centred. Strong rings hide phases, so the profile is judged again on what the first one leaves.
    """
    profile: Profile = np.zeros(int(radius.max()) + 2)
    variance = np.ones_like(profile)
    index = radius.astype(np.int64)
    part = radius - index
    for _ in range(ROUNDS):
        found = (profile[index] * (1 - part) + profile[index + 1] * part).astype(np.float32)
        left = plane - np.where(valid, found, 0)
        beyond = left[0] - _background(left, valid, noise)
        kept = valid & (np.abs(beyond) < OUTLYING * noise)
        more, variance = _fitted(beyond[kept].astype(np.float64), radius[kept].astype(np.float64), len(profile))
        profile += more
    return profile, variance


def _fitted(values: Profile, radius: Profile, size: int) -> tuple[Profile, Profile]:
    """The piecewise linear function of the radius that fits values best, at 0, 1 … size - 1, and its variance."""
    from scipy.linalg import solveh_banded

    index = radius.astype(np.int64)
    high = radius - index
    low = 1 - high

    def binned(at: npt.NDArray[np.int64], weights: Profile) -> Profile:
        return np.bincount(at, weights, minlength=size)[:size].astype(np.float64)

    bands = np.zeros((2, size))
    bands[1] = binned(index, low * low) + binned(index + 1, high * high) + 0.5
    bands[0, 1:] = binned(index, low * high)[:-1]
    fitted: Profile = solveh_banded(bands, binned(index, low * values) + binned(index + 1, high * values))
    spread = float(values.var()) if values.size else 0.0
    return fitted, CORRELATED * max(spread, 1e-12) / bands[1]


def _background(plane: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], noise: float) -> npt.NDArray[np.float32]:
    """The mean grey (y, x) of the surroundings of the same phase."""
    from scipy.ndimage import gaussian_filter

    guide = gaussian_filter(plane[0], SMOOTH)
    share = gaussian_filter(valid.astype(np.float32), SMOOTH)
    guide = np.where(valid, guide / np.maximum(share, 1e-6), 0)
    like = Likeness((0, REACH, REACH), (0, 0, 0), 1 / (ALIKE * noise * 2**0.5))
    around = [(0, 0), (REACH, REACH), (REACH, REACH)]
    values, guide, known = (np.pad(a, around, mode="symmetric") for a in (plane, guide[None], valid[None]))
    found: npt.NDArray[np.float32] = averaged(values, like, guide=guide, valid=known)[0]
    return found
