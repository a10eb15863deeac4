"""How far a phase is like itself: its two-point correlation along the axes, from columns of voxels spread over the volume.

The probability that two voxels `lag` apart are both of a phase falls from its fraction to the fraction squared. Columns of
16 × 16 lines, up to sixteen along each axis, hold it well enough, and are read in bounded time whatever the volume.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import FieldOfView

WIDTH = 16
COLUMNS = 4
"""Columns along either axis across; so at most COLUMNS² along an axis."""
LONGEST = 1024
"""The most voxels of a column."""
RARE = 1e-4
"""A phase of less than this has no correlation to speak of."""


@dataclass(frozen=True)
class Correlation:
    """Of one phase: `probability` that two voxels are both of it, by axis and lag; `along` the same as a correlation, 1 … 0."""

    fraction: float
    probability: tuple[npt.NDArray[np.float64], ...]

    @property
    def along(self) -> tuple[npt.NDArray[np.float64], ...]:
        """The correlation by axis and lag, 1 at lag 0, and 0 from where it first falls to it."""
        p = self.fraction
        found = []
        for both in self.probability:
            values = (both - p * p) / (p - p * p)
            ends = np.flatnonzero(values <= 0)
            found.append(np.where(np.arange(len(values)) < (ends[0] if len(ends) else len(values)), values, 0.0))
        return tuple(found)

    @property
    def lengths(self) -> tuple[float, float, float]:
        """The lag (z, y, x) in voxels at which the correlation falls to 1/e; the longest lag known where it does not."""
        z, y, x = (_falls(values, np.exp(-1)) for values in self.along)
        return (z, y, x)


def _falls(values: npt.NDArray[np.float64], to: float) -> float:
    below = np.flatnonzero(values <= to)
    if not len(below):
        return float(max(1, len(values) - 1))
    lag = int(below[0])
    before, after = values[lag - 1], values[lag]
    return float(lag - 1 + (before - to) / (before - after))


def variance_of_mean(correlation: npt.NDArray[np.float64], size: int) -> float:
    """The variance of the mean of `size` voxels in a row, as a part of that of one voxel."""
    lags = np.arange(1, min(size, len(correlation)))
    return float((1 + 2 * ((1 - lags / size) * correlation[1 : len(lags) + 1]).sum()) / size)


def two_point(
    labels: Array3D,
    classes: ClassTable,
    *,
    field_of_view: FieldOfView | None = None,
    frame: Box | None = None,
    apart: bool = False,
    report: Report = silent,
) -> list[Correlation | None]:
    """The correlation of each class of the table, None for one that is (nearly) nowhere or everywhere in the columns.

    Columns are spread over the `frame`, the box that has labels; without one over the volume. Pairs with a voxel outside the field of
    view, or of no class, are not counted; nor are, where slices are images `apart`, pairs of two slices.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    whole = Box.whole((labels.shape[0], labels.shape[1], labels.shape[2])) if frame is None else frame
    shape = whole.shape
    ids = classes.ids
    both = [np.zeros((len(ids), max(1, min(n, LONGEST) // 2))) for n in ((1, *shape[1:]) if apart else shape)]
    pairs = [np.zeros(b.shape[1]) for b in both]
    found, known = np.zeros(len(ids)), 0
    todo = [(axis, box.shift(whole.start)) for axis in range(3) for box in columns(shape, axis)]
    for done, (axis, box) in enumerate(todo):
        report(Progress(done, len(todo), "measuring correlation"))
        block = np.asarray(labels[box.slices])
        inside = None if field_of_view is None else field_of_view.inside(box)
        block = block if inside is None else np.where(inside, block, 0)
        lines = np.moveaxis(block, axis, -1).reshape(-1, block.shape[axis])
        masks = [lines == id for id in ids]
        count = len(both[axis][0])
        length = next_fast_len(lines.shape[1] + count, real=True)
        for row, mask in enumerate([*masks, np.any(masks, axis=0)]):
            spectrum = rfft(mask.astype(np.float32), length, axis=1)
            products = irfft((spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2).sum(axis=0), length)[:count]
            if row < len(ids):
                both[axis][row, : len(products)] += products
                found[row] += np.count_nonzero(mask)
            else:
                pairs[axis][: len(products)] += products
                known += int(np.count_nonzero(mask))
    made: list[Correlation | None] = []
    for row in range(len(ids)):
        fraction = found[row] / known if known else 0.0
        if not RARE < fraction < 1 - RARE:
            made.append(None)
            continue
        lines_of = [b[row] / np.maximum(n, 0.5) for b, n in zip(both, pairs, strict=True)]
        made.append(Correlation(float(fraction), tuple(v[n > 0.5] for v, n in zip(lines_of, pairs, strict=True))))
    return made


def columns(shape: Triple, axis: int) -> list[Box]:
    """The columns along an axis: as long as the volume, up to `LONGEST`, and spread over the other two."""
    ranges: list[list[tuple[int, int]]] = []
    for a, size in enumerate(shape):
        if a == axis:
            start = (size - min(size, LONGEST)) // 2
            ranges.append([(start, start + min(size, LONGEST))])
            continue
        cells = max(1, size // WIDTH)
        count = min(COLUMNS, cells)
        firsts = [int((i + 0.5) * cells / count) * WIDTH for i in range(count)]
        ranges.append([(f, min(f + WIDTH, size)) for f in firsts])
    return [Box((z[0], y[0], x[0]), (z[1], y[1], x[1])) for z in ranges[0] for y in ranges[1] for x in ranges[2]]
