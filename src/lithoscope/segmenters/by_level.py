"""What the methods share whose answer is a set of thresholds on the grey value.

A threshold is the last grey value of the lower class, so labels are `np.digitize(image, thresholds, right=True) + 1`. Values
that are not a number compare false and come out as class 1 here; the engine writes 0 (outside) over them. Infinities belong to
the lowest and the highest class.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.segmenters.base import Block, Labels, Samples, Scores, Segmenter
from lithoscope.volume.histogram import Histogram

Floats = npt.NDArray[np.float64]

PIECE = 1 << 18
"""Voxels compared at a time: few enough for image and labels to stay in the processor's cache."""
MOST_COMPARED = 12
"""With more thresholds than this, looking up beats comparing."""


@dataclass
class ByLevel(Segmenter):
    """A method that tells classes apart by thresholds, one set for the volume or one for each slice along z."""

    thresholds_: Floats | None = field(default=None, init=False, repr=False, compare=False)
    unsplit_: tuple[int, ...] = field(default=(), init=False, repr=False, compare=False)

    def predict(self, block: Block) -> Labels:
        if self.thresholds_ is None:
            raise self.unfitted()
        if self.thresholds_.ndim == 1:
            return labels_of(block.image, self.thresholds_)
        labels = np.empty(block.image.shape, np.uint8)
        for i, plane in enumerate(block.image):
            labels[i] = labels_of(plane, self.thresholds_[row_of(block.origin[0] + i, len(self.thresholds_))])
        return labels

    def scores(self, block: Block) -> Scores:
        labels = self.predict(block)
        ids = np.arange(1, len(self.classes_) + 1, dtype=np.uint8)
        return np.equal(labels, ids[:, None, None, None]).astype(np.float32)

    def learnt(self) -> dict[str, Any]:
        if self.thresholds_ is None:
            raise self.unfitted()
        found: dict[str, Any] = {"thresholds": self.thresholds_.tolist()}
        if self.unsplit_:
            found["slices_with_thresholds_of_the_volume"] = list(self.unsplit_)
        return found

    def state(self) -> dict[str, npt.NDArray[Any]]:
        if self.thresholds_ is None:
            raise self.unfitted()
        return {"thresholds": self.thresholds_, "unsplit": np.array(self.unsplit_, np.int64)}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        self.thresholds_ = np.asarray(state["thresholds"], np.float64)
        self.unsplit_ = tuple(int(z) for z in state["unsplit"])
        return self

    @property
    def classes_(self) -> ClassTable:
        if self.thresholds_ is None:
            raise self.unfitted()
        return ClassTable.numbered(self.thresholds_.shape[-1] + 1)

    def _fit_slices(self, samples: Samples, solve: Callable[[Histogram], Floats], classes: int, report: Report = silent) -> Floats:
        """One row of thresholds a slice; a slice with too few grey levels takes the volume's, and is named in `learnt`."""
        whole = solve(samples.histogram(report=report))
        slices = samples.slice_histograms(report=report)
        rows = np.tile(whole, (len(slices), 1))
        unsplit = []
        for z, histogram in enumerate(slices):
            report(Progress(z, len(slices), f"slice {z}"))
            if np.count_nonzero(histogram.counts) < classes:
                unsplit.append(z)
            else:
                rows[z] = solve(histogram)
        self.unsplit_ = tuple(unsplit)
        return rows


def row_of(z: int, slices: int) -> int:
    """The slice that lies at `z`, which in a halo beyond the scan's faces is a reflected one."""
    folded = z % (2 * slices)
    return folded if folded < slices else 2 * slices - 1 - folded


def checked_rising(bounds: tuple[float, ...]) -> Floats:
    """Class bounds as an array, refused unless they are finite and rising."""
    found = np.array(bounds, np.float64)
    if not found.size:
        raise InputError("there are no class bounds; give the last grey value of every class but the highest, such as bounds=80,150")
    if found.size > 253:
        raise InputError(f"{found.size} class bounds make more than 254 classes; give at most 253")
    if not np.isfinite(found).all() or not (np.diff(found) > 0).all():
        raise InputError(f"class bounds {', '.join(f'{b:g}' for b in found)} are not finite and rising; put them in order")
    return found


def labels_of(image: npt.NDArray[Any], thresholds: Floats) -> Labels:
    """`np.digitize(image, thresholds, right=True) + 1` as uint8, at the speed of memory."""
    if image.dtype.kind == "b":
        image = image.view(np.uint8)
    limits, below = _limits(image.dtype, thresholds)
    labels = np.empty(image.shape, np.uint8)
    if image.dtype.kind in "iu" and image.dtype.itemsize <= 2 and len(limits) > MOST_COMPARED:
        return _looked_up(image, thresholds)
    flat, out = np.ascontiguousarray(image).reshape(-1), labels.reshape(-1)
    above = np.empty(min(PIECE, flat.size), np.bool_)
    for start in range(0, flat.size, PIECE):
        grey, label = flat[start : start + PIECE], out[start : start + PIECE]
        label[...] = below + 1
        for limit in limits:
            np.greater(grey, limit, out=above[: grey.size])
            np.add(label, above[: grey.size].view(np.uint8), out=label)
    return labels


def _limits(dtype: np.dtype[Any], thresholds: Floats) -> tuple[npt.NDArray[Any], int]:
    """The thresholds as values of `dtype` that split it at the same places, and how many lie below all its values."""
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        whole = np.floor(thresholds)
        return whole[(whole >= low) & (whole < high)].astype(dtype), int((whole < low).sum())
    with np.errstate(over="ignore"):
        limits = thresholds.astype(dtype)
    return np.where(limits > thresholds, np.nextafter(limits, dtype.type(-np.inf)), limits).astype(dtype), 0


def _looked_up(image: npt.NDArray[Any], thresholds: Floats) -> Labels:
    native = image.astype(image.dtype.newbyteorder("="), copy=False)
    unsigned = np.dtype(f"u{image.dtype.itemsize}")
    every = np.arange(1 << (8 * image.dtype.itemsize), dtype=np.int64).astype(unsigned).view(native.dtype)
    table = (np.searchsorted(thresholds, every.astype(np.float64), side="left") + 1).astype(np.uint8)
    labels: Labels = table[np.ascontiguousarray(native).view(unsigned)]
    return labels
