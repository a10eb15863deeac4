"""Grey values counted: exact for 8- and 16-bit integers, finely binned for everything else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

BINS = 65_536
"""Bins between the .01 and 99.99 percentiles of data that cannot be counted level by level."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How often each grey level occurs.

    `counts` (n,) int64. `values` (n,) float64, rising: the grey level a bin stands for (the level itself when `exact`, else
    the bin's centre; the overflow bins stand for their inner edge). `upper` (n,) float64: the greatest grey value that the bin
    holds, so that a threshold after bin i is `upper[i]` (bins are closed above). NaN and infinities are counted apart and are
    in no bin. When not `exact` the first and last bin hold what lies below and above the percentiles.
    """

    counts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    exact: bool
    minimum: float
    maximum: float
    nan: int = 0
    infinite: int = 0

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> "Histogram":
        """The histogram of an array of 8- or 16-bit integers that is in memory already."""
        if array.dtype.kind not in "iu" or array.dtype.itemsize > 2:
            raise InputError(f"only 8- and 16-bit integers are counted level by level, not {array.dtype}")
        low = int(np.iinfo(array.dtype).min)
        counts = np.bincount((array.ravel().astype(np.int32) - low), minlength=1)
        return cls.of_levels(counts.astype(np.int64), low)

    @classmethod
    def of_levels(cls, counts: npt.NDArray[np.int64], first: int) -> "Histogram":
        """An exact histogram from the counts of the levels first, first + 1 …; empty ends are dropped."""
        present = np.flatnonzero(counts)
        if not present.size:
            empty = np.zeros(0)
            return cls(np.zeros(0, np.int64), empty, empty, True, float("nan"), float("nan"))
        a, b = int(present[0]), int(present[-1])
        levels = np.arange(first + a, first + b + 1, dtype=np.float64)
        return cls(counts[a : b + 1].astype(np.int64), levels, levels, True, float(levels[0]), float(levels[-1]))

    @property
    def total(self) -> int:
        """How many finite voxels were counted."""
        return int(self.counts.sum())

    @property
    def bin_width(self) -> float:
        """The width of a bin in grey levels: 1 when exact."""
        return 1.0 if self.exact or len(self.upper) < 3 else float(self.upper[1] - self.upper[0])

    def percentile(self, q: float) -> float:
        """The smallest grey level that at least `q` percent of the voxels do not exceed."""
        if not self.total:
            raise InputError("there are no finite grey values to take a percentile of; look at the field of view")
        rank = max(1, int(np.ceil(q / 100 * self.total)))
        return float(self.values[int(np.searchsorted(np.cumsum(self.counts), rank))])

    def window(self, low: float = 0.5, high: float = 99.5) -> tuple[float, float]:
        """Two percentiles between which an image is shown and networks see it; never equal."""
        a, b = self.percentile(low), self.percentile(high)
        return (a, b) if b > a else (self.minimum, max(self.maximum, self.minimum + 1.0))
