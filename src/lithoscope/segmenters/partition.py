"""The exact partition of a histogram into classes of rising grey value: what multi-Otsu and one-dimensional K-means both seek.

Among all ways to cut the occupied grey levels into `classes` runs it finds the one of greatest variance between the runs,
which is the one of least squared distance to the runs' means. Dynamic programming over the first level of each run; the best
cut moves only upwards with it (the gain fulfils the quadrangle inequality), so each layer is solved by halving, all
intervals of one depth at a time. Of equally good partitions the one with the lowest first threshold is taken, as far as
double precision can tell them apart.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume.histogram import Histogram

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


def cut(counts: npt.NDArray[Any], values: npt.NDArray[Any], classes: int) -> Indices:
    """The last bin of every class but the highest, (classes - 1,), rising; each is a bin that holds voxels."""
    occupied = np.flatnonzero(counts)
    if classes < 1:
        raise InputError(f"{classes} classes were asked for; at least 1 is needed")
    if occupied.size < classes:
        there = "is only 1 grey level" if occupied.size == 1 else f"are only {occupied.size} grey levels"
        raise InputError(f"{classes} classes were asked for, but there {there} in the field of view; ask for fewer classes")
    if classes == 1:
        return np.zeros(0, np.intp)
    weight, moment = _sums(counts[occupied], values[occupied])
    best = _last_class(weight, moment)
    layers: list[Indices] = []
    for _ in range(classes - 2):
        best = _layer(weight, moment, best, layers)
    stop = np.arange(1, len(best))
    starts = [1 + int(np.argmax(_gain(weight, moment, np.zeros_like(stop), stop) + best[stop]))]
    for place in reversed(layers):
        starts.append(int(place[starts[-1]]))
    return occupied[np.array(starts, dtype=np.intp) - 1]


def thresholds_of(histogram: Histogram, classes: int) -> Floats:
    """The optimal thresholds, (classes - 1,): the greatest grey value of every class but the highest."""
    return histogram.upper[cut(histogram.counts, histogram.values, classes)]


def means_of(histogram: Histogram, thresholds: Floats) -> Floats:
    """The mean grey value of each class between the thresholds, (classes,); NaN for a class without voxels."""
    place = np.searchsorted(thresholds, histogram.upper, side="left")
    size = np.bincount(place, weights=histogram.counts, minlength=len(thresholds) + 1)
    total = np.bincount(place, weights=histogram.counts * histogram.values, minlength=len(thresholds) + 1)
    means: Floats = np.divide(total, size, out=np.full(size.shape, np.nan), where=size > 0)
    return means


def inertia_of(histogram: Histogram, centres: Floats) -> float:
    """The sum over all voxels of the squared distance to the nearest centre."""
    centres = np.sort(centres)
    middle = (centres[1:] + centres[:-1]) / 2
    nearest = centres[np.searchsorted(middle, histogram.values)]
    return float(((histogram.values - nearest) ** 2 * histogram.counts).sum())


def _sums(counts: npt.NDArray[Any], values: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Running counts and running sums of the values about their middle, (n + 1,), the first entries 0."""
    share = counts.astype(np.float64)
    middle = np.rint(np.average(values, weights=share)) if np.all(values == np.rint(values)) else np.average(values, weights=share)
    weight, moment = np.zeros(len(share) + 1), np.zeros(len(share) + 1)
    np.cumsum(share, out=weight[1:])
    np.cumsum(share * (values - middle), out=moment[1:])
    return weight, moment


def _gain(weight: Floats, moment: Floats, start: Indices, stop: Indices) -> Floats:
    """What a class of the levels start ≤ i < stop adds to the variance between classes."""
    moved = moment[stop] - moment[start]
    moved *= moved
    moved /= weight[stop] - weight[start]
    return moved


def _last_class(weight: Floats, moment: Floats) -> Floats:
    """The gain of one class from each level to the end, (n,)."""
    n = len(weight) - 1
    return _gain(weight, moment, np.arange(n), np.full(n, n))


def _layer(weight: Floats, moment: Floats, after: Floats, layers: list[Indices]) -> Floats:
    """The best gain from each level to the end with one class more than `after`; the places of its cuts go to `layers`."""
    last = len(after) - 1
    place = np.zeros(last, np.intp)
    best = np.zeros(last)
    half = 1 << (last.bit_length() - 1)
    while half >= 1:
        asked = np.arange(half - 1, last, 2 * half)
        before, beyond = asked - half, asked + half
        low = np.maximum(np.where(before >= 0, place[before], 0), asked + 1)
        high = np.where(beyond < last, place[np.minimum(beyond, last - 1)], last)
        size = high - low + 1
        first = np.cumsum(size) - size
        stop = np.arange(size.sum()) + np.repeat(low - first, size)
        value = _gain(weight, moment, np.repeat(asked, size), stop)
        value += after[stop]
        best[asked] = np.maximum.reduceat(value, first)
        winners = np.flatnonzero(value == np.repeat(best[asked], size))
        place[asked] = stop[winners[np.searchsorted(winners, first)]]
        half //= 2
    layers.append(place)
    return best
