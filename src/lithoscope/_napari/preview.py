"""What a method would say of the plane in view, computed in a thread while the person moves a slider or a threshold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Report, silent
from lithoscope.segmenters.base import Block, Sample, Segmenter, segmenter
from lithoscope.segmenters.parameters import configured
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.histogram import Histogram

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

LARGEST_PLANE = 1 << 23
"""Planes of more voxels than this are previewed from a coarser level."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane of the scan: `index` along `axis` (0 z, 1 y, 2 x), in voxels of level 0."""

    axis: int
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """The grey values of a plane (z, y, x; one thick) from a level whose voxels are `factor` of the scan's; `inside` or None."""

    plane: Plane
    image: npt.NDArray[Any]
    inside: npt.NDArray[np.bool_] | None
    origin: Triple
    factor: Triple


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Classes of a plane, and what was fitted for it."""

    pixels: Pixels
    labels: npt.NDArray[np.uint8]
    learnt: dict[str, Any]
    classes: ClassTable


@dataclass(frozen=True)
class HistogramSamples:
    """Samples for methods that learn from grey values alone."""

    grey: Histogram
    classes: ClassTable = field(default_factory=ClassTable)

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Sample]:
        return iter(())

    def histogram(self, *, report: Report = silent) -> Histogram:
        return self.grey

    def slice_histograms(self, *, report: Report = silent) -> Sequence[Histogram]:
        return [self.grey]


class Previewer:
    """Answers for one scan; keeps the last plane and the last fit, so that moving a threshold reads nothing."""

    def __init__(self, scan: "Scan") -> None:
        self.scan = scan
        self._pixels: Pixels | None = None
        self._fitted: tuple[Any, Segmenter] | None = None

    def answer(self, name: str, values: Mapping[str, Any], plane: Plane) -> Answer:
        """The classes of `plane` by this method and these settings."""
        pixels = self.pixels(plane)
        method = self.fitted(name, values, pixels)
        block = replace(Block.of(pixels.image, self.scan.window, self.scan.voxel), origin=pixels.origin, inside=pixels.inside)
        labels = method.predict(block)
        blank = ~np.isfinite(pixels.image) if pixels.image.dtype.kind == "f" else np.zeros((), np.bool_)
        if pixels.inside is not None:
            blank = blank | ~pixels.inside
        labels = np.where(blank, np.uint8(0), labels) if blank.any() else labels
        return Answer(pixels, labels, method.learnt(), method.classes_)

    def fitted(self, name: str, values: Mapping[str, Any], pixels: Pixels | None = None) -> Segmenter:
        """The method with these settings, fitted to the scan's histogram, or slice by slice to the plane's."""
        method = configured(segmenter(name), values)
        grey: Histogram = self.scan.histogram
        key: tuple[Any, ...] = (name, repr(method))
        if getattr(method, "per_slice", False) and pixels is not None:
            if pixels.plane.axis != 0:
                raise InputError("slice by slice can be previewed on planes along z only; change the order of the axes")
            grey = _histogram(pixels, grey)
            method = configured(type(method), {**values, "per_slice": False})
            key = (*key, pixels.plane)
        if self._fitted is None or self._fitted[0] != key:
            self._fitted = (key, method.fit(HistogramSamples(grey)))
        return self._fitted[1]

    def pixels(self, plane: Plane) -> Pixels:
        """The grey values of a plane, from the finest level at which it is not too large."""
        if self._pixels is None or self._pixels.plane != plane:
            self._pixels = _read(self.scan, plane)
        return self._pixels


def _read(scan: "Scan", plane: Plane) -> Pixels:
    level, coarse = 0, scan.level_factors[0]
    for level, coarse in enumerate(scan.level_factors):  # noqa: B007 - the last one is used
        shape = scan.levels[level].shape
        if int(np.prod(shape)) // shape[plane.axis] <= LARGEST_PLANE:
            break
    array = scan.levels[level]
    at = min(plane.index // coarse[plane.axis], array.shape[plane.axis] - 1)
    image = np.asarray(array[tuple(slice(at, at + 1) if axis == plane.axis else slice(None) for axis in range(3))])
    # One voxel of the scan thick along its axis and exactly where the slider is, whatever the level.
    z, y, x = (1 if axis == plane.axis else coarse[axis] for axis in range(3))
    a, b, c = (plane.index if axis == plane.axis else 0 for axis in range(3))
    return Pixels(plane, image, _inside(scan, plane, image.shape, (z, y, x)), (a, b, c), (z, y, x))


def _inside(scan: "Scan", plane: Plane, shape: Sequence[int], factor: Sequence[int]) -> npt.NDArray[np.bool_] | None:
    """The field of view over the same voxels, or None."""
    if scan.field_of_view is None:
        return None
    start = [plane.index if axis == plane.axis else 0 for axis in range(3)]
    stop = [plane.index + 1 if axis == plane.axis else n for axis, n in enumerate(scan.shape)]
    inside = scan.field_of_view.inside(Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])))
    if inside is None:
        return None
    coarse: npt.NDArray[np.bool_] = inside[tuple(slice(None, None, f) for f in factor)][tuple(slice(0, n) for n in shape)]
    return coarse


def _histogram(pixels: Pixels, whole: Histogram) -> Histogram:
    """The histogram of one plane, in bins of the whole scan's when levels are not counted."""
    values = pixels.image if pixels.inside is None else pixels.image[pixels.inside]
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        return Histogram.of(values)
    finite = values[np.isfinite(values)]
    bins = np.minimum(np.searchsorted(whole.upper, finite), len(whole.upper) - 1)
    counts = np.bincount(bins, minlength=len(whole.upper)).astype(np.int64)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (float("nan"),) * 2
    return replace(whole, counts=counts, minimum=low, maximum=high)
