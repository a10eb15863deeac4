"""Marker watershed: what is surely one class by its grey value floods what lies between, along the lowest gradient."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Block, Labels, Samples, Scores, Segmenter, register
from lithoscope.segmenters.by_level import Floats, checked_rising, labels_of
from lithoscope.segmenters.partition import means_of, thresholds_of
from lithoscope.volume.box import Triple

Keys = npt.NDArray[np.uint64]
NEVER = np.uint64(0xFFFFFFFFFFFFFFFF)
_STEP = np.uint64(1 << 8)
_GRADIENT = np.uint64(16)


@register
@dataclass
class Watershed(Segmenter):
    """Two thresholds a boundary: below the one and above the other the class is sure, and floods the band between.

    A voxel of the band takes the class of the marker from which the way with the lowest highest gradient leads to it, the shortest of
    equal ones. Ways are at most `reach` steps long, so that an answer depends on no more than that around it and is the same whatever
    the blocks; what no marker reaches is decided by the middle of its two thresholds.
    """

    name: ClassVar[str] = "watershed"
    title: ClassVar[str] = "Watershed"
    summary: ClassVar[str] = "Two thresholds a boundary mark what is sure; the rest is flooded along the gradient. Denoise first."

    classes: int = parameter(2, "How many classes to tell apart by grey value.", minimum=2, maximum=16, step=1)
    bounds: tuple[float, ...] = parameter(
        (), "Two grey values a boundary, rising: 80,110 marks up to 80 and above 110. Left empty, they are found around Otsu's thresholds."
    )
    margin: float = parameter(
        0.5,
        "How far the markers keep from Otsu's threshold, as a part of the way to the mean of the class.",
        minimum=0.0,
        maximum=0.95,
        step=0.05,
    )
    reach: int = parameter(12, "The longest way from a marker.", minimum=1, maximum=64, step=1, unit="voxels", level="advanced")
    dimensions: Literal[2, 3] | None = parameter(
        None, "Flood in planes or in the volume; left open, the scan's voxel size and slices decide.", level="advanced"
    )

    limits_: Floats | None = field(default=None, init=False, repr=False, compare=False)

    def halo(self) -> Triple:
        far = self.reach + 1
        return (0 if self.dimensions == 2 else far, far, far)

    def working_bytes(self) -> int:
        return 48

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Take up the bounds, or set them around the optimal thresholds of the histogram."""
        self.limits_ = None
        if self.bounds:
            given = checked_rising(self.bounds)
            if len(given) % 2 or len(given) > 30:
                raise InputError(f"{len(given)} bounds are not two a boundary; give the end of one class and the start of the next: 80,110")
            self.limits_ = given
            return self
        histogram = samples.histogram(report=report)
        thresholds = thresholds_of(histogram, self.classes)
        means = means_of(histogram, thresholds)
        low = thresholds - self.margin * (thresholds - means[:-1])
        high = thresholds + self.margin * (means[1:] - thresholds)
        self.limits_ = np.maximum.accumulate(np.stack([low, high], axis=1).reshape(-1))
        return self

    def predict(self, block: Block) -> Labels:
        limits = self._limits()
        slots = labels_of(block.image, limits)
        middles = labels_of(block.image, limits.reshape(-1, 2).mean(axis=1))
        sure = slots % 2 == 1
        labels = np.where(sure, (slots + 1) // 2, np.uint8(0)).astype(np.uint8)
        if block.inside is not None:
            labels[~block.inside] = 0
        flooded = flood(labels, gradient(block.image, self.dimensions == 2), ~sure, self.reach, flat=self.dimensions == 2)
        return np.where(flooded > 0, flooded, middles)

    def scores(self, block: Block) -> Scores:
        ids = np.arange(1, len(self.classes_) + 1, dtype=np.uint8)
        return np.equal(self.predict(block), ids[:, None, None, None]).astype(np.float32)

    def learnt(self) -> dict[str, Any]:
        return {"thresholds": self._limits().tolist()}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {"limits": self._limits()}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        self.limits_ = np.asarray(state["limits"], np.float64)
        return self

    @property
    def classes_(self) -> ClassTable:
        return ClassTable.numbered(len(self._limits()) // 2 + 1)

    def _limits(self) -> Floats:
        if self.limits_ is None:
            raise self.unfitted()
        return self.limits_


def gradient(image: npt.NDArray[Any], flat: bool) -> npt.NDArray[np.float32]:
    """How steep the grey value is at each voxel (z, y, x), by the differences to both sides; within planes if `flat`."""
    values = image.astype(np.float32)
    squares = np.zeros(values.shape, np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for axis in range(int(flat), 3):
            if values.shape[axis] > 2:
                middle, before, after = (_part(axis, a, b) for a, b in ((1, -1), (None, -2), (2, None)))
                squares[middle] += (values[after] - values[before]) ** 2
        steep = np.sqrt(squares)
    return np.nan_to_num(steep, nan=np.inf, posinf=np.inf)


def flood(labels: Labels, steep: npt.NDArray[np.float32], band: npt.NDArray[np.bool_], reach: int, *, flat: bool) -> Labels:
    """The labels (z, y, x) with the voxels of `band` taken by what reaches them within `reach` steps; 0 where nothing does.

    A voxel's key holds the highest gradient on its way, the steps and the class; it follows the neighbour of the least key.
    """
    keys = np.full(labels.shape, NEVER, np.uint64)
    known = labels > 0
    keys[known] = labels[known]
    flat_keys = keys.reshape(-1)
    places = np.flatnonzero(band)
    own = steep.reshape(-1)[places].view(np.uint32).astype(np.uint64)
    _, height, width = labels.shape
    at = np.unravel_index(places, labels.shape)
    sides = []
    for axis, step in ((0, height * width), (1, width), (2, 1)):
        if flat and axis == 0:
            continue
        for by, there in ((-1, at[axis] > 0), (1, at[axis] < labels.shape[axis] - 1)):
            sides.append((np.flatnonzero(there), by * step))
    for _ in range(reach):
        best = np.full(len(places), NEVER)
        for which, step in sides:
            best[which] = np.minimum(best[which], flat_keys[places[which] + step])
        way = np.maximum(best >> _GRADIENT, own) << _GRADIENT
        way |= (best & np.uint64(0xFFFF)) + _STEP
        way[best == NEVER] = NEVER
        if np.array_equal(way, flat_keys[places]):
            break
        flat_keys[places] = way
    return np.where(keys == NEVER, np.uint64(0), keys & np.uint64(0xFF)).astype(np.uint8)


def _part(axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return tuple(slice(start, stop) if a == axis else slice(None) for a in range(3))
