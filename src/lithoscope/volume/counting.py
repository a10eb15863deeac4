"""Grey values counted block by block, whatever their dtype: how a `Histogram` of a scan comes about."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.volume.histogram import BINS, Histogram

PIECE = 1 << 22
"""Voxels counted at once; bounds the wider copies that counting needs."""
FLOAT_PIECE = 1 << 17
"""The same for values that are binned: few enough for all steps to stay in the cache."""

HUGE = 4e307
"""Bins end here, so that their width is finite; what lies beyond falls into the overflow bins."""


def levelwise(dtype: Any) -> bool:
    """Whether values of this dtype are counted level by level."""
    kind = np.dtype(dtype)
    return kind.kind in "iu" and kind.itemsize <= 2


_SMALLEST = BINS / float(np.finfo(np.float64).max)
"""Spans below this cannot be divided into bins by a multiplication."""


class Counter:
    """Counts grey values of one dtype: `add` blocks in any order, then ask for the `histogram`.

    Values that cannot be counted level by level are binned between the .01 and 99.99 percentiles of `sample`, which should be
    spread over the scan.
    """

    def __init__(self, dtype: Any, sample: npt.NDArray[Any] | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.nan = self.infinite = 0
        self.minimum, self.maximum = float("inf"), float("-inf")
        self.exact = levelwise(self.dtype)
        if self.exact:
            self._counts = np.zeros(1 << (8 * self.dtype.itemsize), np.int64)
        else:
            self.low, self.high = _limits(sample)
            self._counts = np.zeros(BINS + 2, np.int64)
            edges = np.linspace(self.low, self.high, BINS + 1)
            self._upper = np.append(edges, np.inf)
            width = (self.high - self.low) / BINS
            self._tolerance = max(1e-6, 16 * np.finfo(np.float64).eps * max(abs(self.low), abs(self.high)) / width)

    def add(self, block: npt.NDArray[Any], inside: npt.NDArray[np.bool_] | None = None) -> None:
        """Count the voxels of a block, or those of it that are `inside` (of the same shape)."""
        step = PIECE if self.exact else FLOAT_PIECE
        for plane in range(block.shape[0]):
            values = block[plane] if inside is None else block[plane][inside[plane]]
            flat = np.ascontiguousarray(values).reshape(-1)
            for start in range(0, flat.size, step):
                piece = flat[start : start + step]
                if self.exact:
                    self._add_levels(piece)
                else:
                    self._add_values(piece)

    def _add_levels(self, values: npt.NDArray[Any]) -> None:
        """Signed values are counted by their bit pattern, and put in order at the end; bytes are counted two at a time."""
        if self.dtype.itemsize == 1 and values.size > 1 << 17:
            even = values.size & ~1
            pairs = np.bincount(values[:even].view(np.uint16), minlength=1 << 16).reshape(256, 256)
            self._counts += pairs.sum(0) + pairs.sum(1)
            values = values[even:]
        if values.size:
            self._counts += np.bincount(values.view(f"u{self.dtype.itemsize}"), minlength=self._counts.size)

    def _add_values(self, values: npt.NDArray[Any]) -> None:
        v = values.astype(np.float64)
        finite = np.isfinite(v)
        if not finite.all():
            nan = int(np.isnan(v).sum())
            self.nan += nan
            self.infinite += int(v.size - finite.sum()) - nan
            v = v[finite]
        if not v.size:
            return
        self.minimum, self.maximum = min(self.minimum, float(v.min())), max(self.maximum, float(v.max()))
        with np.errstate(over="ignore", invalid="ignore"):
            place = v - self.low
            span = self.high - self.low
            if span > _SMALLEST:
                place *= BINS / span
            else:
                place /= span
                place *= BINS
        np.clip(place, 0, BINS + 1, out=place)
        upper = np.ceil(place)
        # Rounding can put a value that lies by an edge one bin off; there the edges themselves decide.
        place -= np.rint(place)
        doubtful = np.flatnonzero(np.abs(place, out=place) <= self._tolerance)
        index = upper.astype(np.int64)
        if doubtful.size:
            near, values = index[doubtful], v[doubtful]
            near += values > self._upper[near]
            near -= (near > 0) & (values <= self._upper[np.maximum(near - 1, 0)])
            index[doubtful] = near
        self._counts += np.bincount(index, minlength=BINS + 2)

    def histogram(self) -> Histogram:
        """What was counted so far."""
        if self.exact:
            if self.dtype.kind == "u":
                return Histogram.of_levels(self._counts, 0)
            half = self._counts.size // 2
            return Histogram.of_levels(np.roll(self._counts, half), -half)
        if not self._counts.any():
            return Histogram(
                np.zeros(0, np.int64), np.zeros(0), np.zeros(0), False, float("nan"), float("nan"), nan=self.nan, infinite=self.infinite
            )
        upper = self._upper.copy()
        upper[-1] = max(self.maximum, self.high)
        centres = upper[:-2] / 2 + upper[1:-1] / 2
        values = np.concatenate([[self.low], centres, [self.high]])
        return Histogram(self._counts.copy(), values, upper, False, self.minimum, self.maximum, nan=self.nan, infinite=self.infinite)


def _limits(sample: npt.NDArray[Any] | None) -> tuple[float, float]:
    """Two finite values, the first below the second, between which the sample's values are binned."""
    finite = np.zeros(0) if sample is None else np.clip(sample[np.isfinite(sample)].astype(np.float64), -HUGE, HUGE)
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(q) for q in np.percentile(finite, (0.01, 99.99)))
    if not high > low:
        low, high = float(finite.min()), float(finite.max())
    span = np.finfo(np.float64).eps * max(abs(low), abs(high)) * BINS * 2
    return (low, high) if high - low > span else (low, low + max(1.0, span))
