"""What a method would say of the plane in view, computed in a thread while the person moves a slider or a threshold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope._napari.shown import shown_image
from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, MissingError
from lithoscope.job import Report, silent
from lithoscope.labels.grey_values import GreyValues
from lithoscope.parameters import configured
from lithoscope.segmenters.base import Block, Sample, Samples, Segmenter, segmenter
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.images import histogram_of, window_of

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
    """The grey values of a plane (z, y, x; one thick but for a halo) from a level whose voxels are `factor` of the scan's.

    `core` is the plane within `image`; `inside` is the field of view over the core, or None; `origin` is the core's in the scan.
    """

    plane: Plane
    image: npt.NDArray[Any]
    core: tuple[slice, slice, slice]
    inside: npt.NDArray[np.bool_] | None
    origin: Triple
    factor: Triple
    halo: Triple

    @property
    def values(self) -> npt.NDArray[Any]:
        """The grey values of the plane itself."""
        found: npt.NDArray[Any] = self.image[self.core]
        return found


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

    def spread(self, edge: int, count: int, halo: Triple = (0, 0, 0)) -> Iterator[Block]:
        """No blocks: the histogram is all there is."""
        return iter(())


class Previewer:
    """Answers for one scan; keeps the last plane and the last fit, so that moving a threshold reads nothing."""

    def __init__(self, scan: "Scan", image: str | None = None) -> None:
        self.scan, self.image = scan, image
        self._pixels: Pixels | None = None
        self._fitted: tuple[Any, Segmenter] | None = None

    def answer(self, name: str, values: Mapping[str, Any], plane: Plane) -> Answer:
        """The classes of `plane` by this method and these settings."""
        pixels = self.pixels(plane, self._method(name, values).halo())
        method = self.fitted(name, values, pixels)
        block = Block(
            image=pixels.image,
            core=pixels.core,
            window=window_of(self.scan, self.image),
            origin=_minus(pixels.origin, pixels.halo),
            voxel=self.scan.voxel,
        )
        labels = method.predict(block)[pixels.core]
        blank = ~np.isfinite(pixels.values) if pixels.image.dtype.kind == "f" else np.zeros((), np.bool_)
        if pixels.inside is not None:
            blank = blank | ~pixels.inside
        labels = np.where(blank, np.uint8(0), labels) if blank.any() else labels
        return Answer(pixels, labels, method.learnt(), method.classes_)

    def fitted(self, name: str, values: Mapping[str, Any], pixels: Pixels | None = None) -> Segmenter:
        """The method with these settings, fitted to the scan's histogram, or slice by slice to the plane's."""
        method = self._method(name, values)
        samples: Samples = GreyValues(self.scan, self.image)
        key: tuple[Any, ...] = (name, repr(method))
        if getattr(method, "per_slice", False) and pixels is not None:
            if pixels.plane.axis != 0:
                raise InputError("slice by slice can be previewed on planes along z only; change the order of the axes")
            samples = HistogramSamples(_histogram(pixels, histogram_of(self.scan, self.image)))
            method = self._method(name, {**values, "per_slice": False})
            key = (*key, pixels.plane)
        if self._fitted is None or self._fitted[0] != key:
            self._fitted = (key, method.fit(samples))
        return self._fitted[1]

    def _method(self, name: str, values: Mapping[str, Any]) -> Segmenter:
        """The method with these settings, what was left open chosen as for a run."""
        from lithoscope.labels.predict import resolved

        return resolved(self.scan, configured(segmenter(name), values))[0]

    def pixels(self, plane: Plane, halo: Triple = (0, 0, 0)) -> Pixels:
        """The grey values of a plane, from the finest level at which it is not too large."""
        known = self._pixels
        if known is None or known.plane != plane or any(a < b for a, b in zip(known.halo, halo, strict=True)):
            known = self._pixels = _read(self.scan, self.image, plane, halo)
        return known


def _read(scan: "Scan", image_name: str | None, plane: Plane, halo: Triple) -> Pixels:
    if not scan.path.exists():  # of what is gone Zarr reads zeros
        raise MissingError(f"the scan {scan.path} is gone; put it back and open it again")
    level, coarse = 0, scan.level_factors[0]
    for level, coarse in enumerate(scan.level_factors):  # noqa: B007 - the last one is used
        shape = scan.levels[level].shape
        if int(np.prod(shape)) // shape[plane.axis] <= LARGEST_PLANE:
            break
    array = shown_image(scan, image_name)[level]  # the window decoded these chunks already; from the disk they cost a plane 64
    at = min(plane.index // coarse[plane.axis], array.shape[plane.axis] - 1)
    start = [at if axis == plane.axis else 0 for axis in range(3)]
    stop = [at + 1 if axis == plane.axis else array.shape[axis] for axis in range(3)]
    box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    image = read(array, box.grow(halo))
    core = box.within(box.grow(halo)).slices
    # One voxel of the scan thick along its axis and exactly where the slider is, whatever the level.
    z, y, x = (1 if axis == plane.axis else coarse[axis] for axis in range(3))
    a, b, c = (plane.index if axis == plane.axis else 0 for axis in range(3))
    return Pixels(plane, image, core, _inside(scan, plane, box.shape, (z, y, x)), (a, b, c), (z, y, x), halo)


def _minus(a: Triple, b: Triple) -> Triple:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


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
    values = pixels.values if pixels.inside is None else pixels.values[pixels.inside]
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        return Histogram.of(values)
    finite = values[np.isfinite(values)]
    bins = np.minimum(np.searchsorted(whole.upper, finite), len(whole.upper) - 1)
    counts = np.bincount(bins, minlength=len(whole.upper)).astype(np.int64)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (float("nan"),) * 2
    return replace(whole, counts=counts, minimum=low, maximum=high)
