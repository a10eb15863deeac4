"""Fuzzy C-means of the grey value, from the histogram, with memberships as scores and, if wanted, a say for the neighbours.

Centres and memberships are those of Bezdek's algorithm over all voxels. It starts from the optimal hard partition, whose
centres are distinct. The spatial variant (Chuang and others, 2006) multiplies a voxel's memberships with a power of the
memberships around it. Its centres settle on blocks spread over the scan, because those of a noisy histogram lie too close
together; after that every block is answered alone.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Block, Labels, Samples, Scores, register
from lithoscope.segmenters.by_level import ByLevel, Floats, row_of
from lithoscope.segmenters.memberships import memberships, neighbours
from lithoscope.segmenters.partition import means_of, thresholds_of
from lithoscope.volume.histogram import Histogram

COARSE = 1024
"""Occupied levels above which the centres are first found on pooled ones."""
SPREAD_EDGE, SPREAD_COUNT = 40, 8
"""The blocks on which the centres of the spatial variant settle …"""
ROUNDS = 30
"""… in at most so many rounds …"""
SETTLED = 1e-3
"""… until none moves by more than this part of the grey values' span."""


@register
@dataclass
class Fuzzy(ByLevel):
    """Centres that every voxel belongs to by degrees; its class is the one it belongs to most."""

    name: ClassVar[str] = "fuzzy"
    title: ClassVar[str] = "Fuzzy C-means"
    summary: ClassVar[str] = "Groups grey values by degrees of membership; gives certainty, and with neighbours a smoother answer."

    classes: int = parameter(3, "How many classes to tell apart by grey value.", minimum=2, maximum=254, step=1)
    per_slice: bool = parameter(False, "Find other centres for every slice along z. Classes may then flicker from slice to slice.")
    spatial: bool = parameter(False, "Let the voxels around have a say; mends specks of noise.")
    radius: int = parameter(
        1, "How far the neighbours that have a say may lie.", minimum=1, maximum=16, step=1, unit="voxels", shown_if=("spatial", True)
    )
    dimensions: Literal[2, 3] | None = parameter(
        None, "Neighbours within the slice (2) or in space (3); chosen from the scan when left open.", shown_if=("spatial", True)
    )
    plane: Literal["z", "y", "x", "all"] = parameter(
        "z", "With dimensions=2: the axis across the slices; all takes the mean of the three.", level="advanced", shown_if=("dimensions", 2)
    )
    m: float = parameter(
        2.0, "The fuzzifier: near 1 memberships are hard, above they blur.", minimum=1.05, maximum=20, step=0.1, level="advanced"
    )
    weight: float = parameter(
        8.0,
        "How much the neighbours count: the power of their memberships. 1 as published; more mends more noise.",
        minimum=0,
        maximum=10,
        step=0.1,
        level="advanced",
        shown_if=("spatial", True),
    )
    tolerance: float = parameter(
        1e-7, "Ends when no centre moves by more than this part of the grey values' span.", minimum=0, maximum=0.1, level="advanced"
    )
    iterations: int = parameter(1000, "The most rounds.", minimum=1, maximum=100_000, step=1, level="advanced")

    centres_: Floats | None = field(default=None, init=False, repr=False, compare=False)
    converged_: bool = field(default=True, init=False, repr=False, compare=False)

    def halo(self) -> tuple[int, int, int]:
        if not self.spatial:
            return (0, 0, 0)
        r, across = self.radius, "zyx".find(self.plane)
        return (r, r, r) if self.dimensions != 2 or across < 0 else (r * (across != 0), r * (across != 1), r * (across != 2))

    def working_bytes(self) -> int:
        return 0 if not self.spatial else 4 * (3 * self.classes + 2)

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Find the centres of the histogram, or of each slice's."""
        self.thresholds_, self.centres_, self.unsplit_, self.converged_ = None, None, (), True
        if not self.per_slice:
            histogram = samples.histogram(report=report)
            self.centres_ = self._centres(histogram)
            if self.spatial:
                self.centres_ = self._settled(samples, self.centres_, report)
            self.thresholds_ = _middles(histogram, self.centres_)
            return self
        found: list[Floats] = []

        def solve(histogram: Histogram) -> Floats:
            found.append(self._centres(histogram))
            return _middles(histogram, found[-1])

        self.thresholds_ = rows = self._fit_slices(samples, solve, self.classes, report)
        whole, each = found[0], iter(found[1:])
        self.centres_ = np.array([whole if z in self.unsplit_ else next(each) for z in range(len(rows))])
        return self

    def scores(self, block: Block) -> Scores:
        if self.centres_ is None:
            raise self.unfitted()
        return self._shares(block, self.centres_)

    def predict(self, block: Block) -> Labels:
        if not self.spatial:
            return super().predict(block)
        labels: Labels = np.argmax(self.scores(block), axis=0).astype(np.uint8)
        labels += 1
        return labels

    def learnt(self) -> dict[str, Any]:
        found = super().learnt()
        assert self.centres_ is not None
        return {**found, "centres": self.centres_.tolist(), "converged": self.converged_}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        found = super().state()
        assert self.centres_ is not None
        return {**found, "centres": self.centres_, "converged": np.array([self.converged_], np.uint8)}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        self.centres_, self.converged_ = np.asarray(state["centres"], np.float64), bool(state["converged"][0])
        return super().restore(state, classes)

    def _shares(self, block: Block, centres: Floats) -> Scores:
        if centres.ndim == 1:
            own = memberships(block.image, centres, self.m)
        else:
            rows = (centres[row_of(block.origin[0] + z, len(centres))] for z in range(len(block.image)))
            own = np.stack([memberships(plane, row, self.m) for plane, row in zip(block.image, rows, strict=True)], axis=1)
        if not self.spatial:
            return own
        planes = (0, 1, 2) if self.plane == "all" else ("zyx".index(self.plane),)
        around = neighbours(own, block.inside, self.radius, None if self.dimensions != 2 else planes)
        if self.weight != 1:
            around **= self.weight
        own *= around
        total = own.sum(0)
        own /= np.where(total > 0, total, 1)
        own[:, total == 0] = 1 / len(own)
        return own

    def _settled(self, samples: Samples, centres: Floats, report: Report) -> Floats:
        """The centres (classes,) that the memberships with the neighbours' say have, from blocks spread over the scan."""
        blocks = list(samples.spread(SPREAD_EDGE, SPREAD_COUNT))
        low, high = samples.histogram().minimum, samples.histogram().maximum
        for round_ in range(ROUNDS):
            report(Progress(round_, ROUNDS, "settling the centres"))
            size, total = np.zeros(len(centres)), np.zeros(len(centres))
            for block in blocks:
                known = np.isfinite(block.image) if block.inside is None else block.inside & np.isfinite(block.image)
                power = self._shares(block, centres)[:, known].astype(np.float64) ** self.m
                size += power.sum(1)
                total += power @ block.image[known].astype(np.float64)
            moved = np.sort(np.divide(total, size, out=centres.copy(), where=size > 0))
            shift = float(np.abs(moved - centres).max())
            if np.diff(moved).min() <= 1e-4 * (high - low):
                return centres
            centres = moved
            if shift <= SETTLED * (high - low):
                break
        return centres

    def _centres(self, histogram: Histogram) -> Floats:
        """The fuzzy centres of a histogram, (classes,), rising."""
        centres = means_of(histogram, thresholds_of(histogram, self.classes))
        occupied = histogram.counts > 0
        values, counts = histogram.values[occupied], histogram.counts[occupied].astype(np.float64)
        span = float(values[-1] - values[0])
        if len(values) > COARSE:
            pool = ((values - values[0]) * (COARSE / span)).astype(np.intp)
            size = np.bincount(pool, counts).astype(np.float64)
            full = size > 0
            centres, _ = self._iterate((np.bincount(pool, counts * values)[full] / size[full]), size[full], centres, span)
        centres, converged = self._iterate(values, counts, centres, span)
        self.converged_ = self.converged_ and converged
        gaps = np.diff(centres)
        if gaps.min() <= 1e-4 * span:
            where = f"{self.classes} classes one centre, {centres[np.argmin(gaps)]:g}"
            raise InputError(f"fuzzy C-means with m={self.m:g} gives two of the {where}; ask for fewer classes or lower m")
        return centres

    def _iterate(self, values: Floats, counts: Floats, centres: Floats, span: float) -> tuple[Floats, bool]:
        for _ in range(self.iterations):
            power = memberships(values, centres, self.m, np.float64) ** self.m * counts
            moved = np.sort(power @ values / power.sum(1))
            shift = float(np.abs(moved - centres).max())
            centres = moved
            if shift <= self.tolerance * span:
                return centres, True
        return centres, False


def _middles(histogram: Histogram, centres: Floats) -> Floats:
    """The grey values half-way between the centres: the last of the lower class."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.floor(middle) if histogram.exact else middle
