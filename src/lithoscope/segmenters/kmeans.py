"""K-means of the grey value: the global optimum, or Lloyd's algorithm from random starts as it was published."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Samples, register
from lithoscope.segmenters.by_level import ByLevel, Floats
from lithoscope.segmenters.partition import inertia_of, means_of, thresholds_of
from lithoscope.volume.histogram import Histogram


@register
@dataclass
class KMeans(ByLevel):
    """Centres of least squared distance to the voxels' grey values; each voxel belongs to the nearest."""

    name: ClassVar[str] = "kmeans"
    title: ClassVar[str] = "K-means"
    summary: ClassVar[str] = "Groups grey values around their means. The optimum is the same partition as Otsu's."

    classes: int = parameter(3, "How many classes to tell apart by grey value.", minimum=2, maximum=254, step=1)
    per_slice: bool = parameter(False, "Find other centres for every slice along z. Classes may then flicker from slice to slice.")
    starts: Literal["optimal", "seeded"] = parameter(
        "optimal",
        "The global optimum from the histogram, or Lloyd's algorithm from random starts, of which the best is kept.",
        level="advanced",
    )
    attempts: int = parameter(
        10, "How many random starts are tried.", minimum=1, maximum=1000, step=1, level="advanced", shown_if=("starts", "seeded")
    )
    iterations: int = parameter(
        100, "The most rounds of one attempt.", minimum=1, maximum=100_000, step=1, level="advanced", shown_if=("starts", "seeded")
    )
    tolerance: float = parameter(
        0.2, "An attempt ends when no centre moves further than this.", minimum=0, unit="grey levels", level="advanced",
        shown_if=("starts", "seeded"),
    )  # fmt: skip
    seed: int = parameter(
        0,
        "The random starts' seed; the same one gives the same classes.",
        minimum=0,
        step=1,
        level="advanced",
        shown_if=("starts", "seeded"),
    )

    centres_: Floats | None = field(default=None, init=False, repr=False, compare=False)
    inertia_: float = field(default=0.0, init=False, repr=False, compare=False)

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Find the centres of the histogram, or of each slice's."""
        self.thresholds_, self.centres_, self.unsplit_ = None, None, ()
        histogram = samples.histogram(report=report)
        if self.per_slice:
            self.thresholds_ = rows = self._fit_slices(samples, self._thresholds, self.classes, report)
            slices = samples.slice_histograms(report=report)
            own = [histogram if z in self.unsplit_ else s for z, s in enumerate(slices)]
            self.centres_ = np.array([means_of(h, t) for h, t in zip(own, rows, strict=True)])
            self.inertia_ = sum(inertia_of(s, c) for s, c in zip(slices, self.centres_, strict=True))
        else:
            self.thresholds_ = self._thresholds(histogram)
            self.centres_ = means_of(histogram, self.thresholds_)
            self.inertia_ = inertia_of(histogram, self.centres_)
        return self

    def learnt(self) -> dict[str, Any]:
        found = super().learnt()
        assert self.centres_ is not None
        return {**found, "centres": self.centres_.tolist(), "inertia": self.inertia_}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        found = super().state()
        assert self.centres_ is not None
        return {**found, "centres": self.centres_, "inertia": np.array([self.inertia_])}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        self.centres_, self.inertia_ = np.asarray(state["centres"], np.float64), float(state["inertia"][0])
        return super().restore(state, classes)

    def _thresholds(self, histogram: Histogram) -> Floats:
        exact = thresholds_of(histogram, self.classes)
        return exact if self.starts == "optimal" else self._seeded(histogram)

    def _seeded(self, histogram: Histogram) -> Floats:
        """The best of several runs of Lloyd's algorithm from centres drawn between the extremes."""
        occupied = histogram.counts > 0
        values, counts = histogram.values[occupied], histogram.counts[occupied].astype(np.float64)
        rng = np.random.default_rng(self.seed)
        best, least = None, np.inf
        for _ in range(self.attempts):
            centres = np.sort(rng.uniform(values[0], values[-1], self.classes))
            for _ in range(self.iterations):
                moved = _step(values, counts, centres)
                shift = np.abs(moved - centres).max()
                centres = moved
                if shift <= self.tolerance:
                    break
            inertia = inertia_of(histogram, centres)
            last = np.searchsorted(values, (centres[1:] + centres[:-1]) / 2, side="right") - 1
            if inertia < least and len(np.unique(last)) == self.classes - 1 and last[0] >= 0 and last[-1] < len(values) - 1:
                best, least = last, inertia
        if best is None:
            raise InputError(
                f"none of {self.attempts} random starts kept {self.classes} classes apart; use starts=optimal or more attempts"
            )
        return histogram.upper[occupied][best]


def _step(values: Floats, counts: Floats, centres: Floats) -> Floats:
    """One round of Lloyd's algorithm, (classes,), rising. A centre that no value is nearest to moves to the value furthest from its own."""
    nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values, side="left")
    size = np.bincount(nearest, counts, len(centres))
    means = np.bincount(nearest, counts * values, len(centres)) / np.maximum(size, 1)
    distance = np.abs(values - means[nearest]) * (counts > 0)
    for empty in np.flatnonzero(size == 0):
        furthest = int(np.argmax(distance))
        means[empty], distance[furthest] = values[furthest], 0
    return np.sort(means)
