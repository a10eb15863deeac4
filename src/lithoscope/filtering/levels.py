"""Two grey levels told apart in a sample of values: what cupping and slice-to-slice changes are measured by."""

from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 1024


def two_levels(values: npt.NDArray[Any]) -> tuple[float, float, float]:
    """The medians of the darker and the brighter values, and the threshold between them (Otsu's); all alike when values are."""
    low, high = (float(q) for q in np.percentile(values, (0.1, 99.9)))
    if not high > low:
        return low, low, low
    place = np.clip((values.astype(np.float64) - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.int64)
    counts = np.bincount(place, minlength=BINS).astype(np.float64)
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(BINS))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below - sums * below[-1]) ** 2 / (below * (below[-1] - below))
    cut = int(np.nanargmax(np.where(np.isfinite(between), between, -1)))
    centre = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    return (
        _median(counts[: cut + 1], centre[: cut + 1]),
        _median(counts[cut + 1 :], centre[cut + 1 :]),
        low + (cut + 1) * (high - low) / BINS,
    )


def _median(counts: npt.NDArray[np.float64], centres: npt.NDArray[np.float64]) -> float:
    """The median of binned values."""
    return float(centres[int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))]) if counts.sum() else float(centres[0])
