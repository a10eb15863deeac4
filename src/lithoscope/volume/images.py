"""The filtered images of a scan: what is known of each, kept beside its values in `images/<name>` of the sidecar."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr

from lithoscope.errors import UnreadableError
from lithoscope.job import Progress, Report, silent
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box
from lithoscope.volume.counting import Counter, levelwise
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.scan import HISTOGRAM, IMAGES, Scan, sample_planes
from lithoscope.volume.sidecar import check_schema, load_histogram, save_histogram
from lithoscope.volume.store import open_array, storage_errors

SLAB_BYTES = 64 << 20
"""Planes are counted together up to this size."""


@dataclass(frozen=True)
class FilteredImage:
    """One filtered image of a scan, of its shape; the field of view is the scan's."""

    scan: Scan
    name: str

    @property
    def path(self) -> Path:
        """The OME-Zarr image."""
        return images_folder(self.scan) / self.name

    @cached_property
    def _own(self) -> dict[str, Any]:
        try:
            own = cast(dict[str, Any], zarr.open_group(str(self.path), mode="r").attrs["lithoscope"])
            check_schema(own, self.path)
            return own
        except (KeyError, TypeError, ValueError, FileNotFoundError, zarr.errors.BaseZarrError):
            raise UnreadableError(f"{self.path} is damaged; filter the scan again with --overwrite") from None

    @property
    def record(self) -> RunRecord:
        """How it was made."""
        return RunRecord.from_json(self._own["record"])

    @cached_property
    def levels(self) -> list[Array3D]:
        """Its arrays (z, y, x), full size first, at the scan's own level factors."""
        found = sorted((p for p in self.path.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
        return [open_array(level, readonly=True) for level in found]

    @cached_property
    def histogram(self) -> Histogram:
        """Its grey values inside the field of view; counted now if nobody has since that was set, and kept."""
        return self.count()

    @property
    def window(self) -> tuple[float, float]:
        """Its .5 and 99.5 percentiles."""
        return self.histogram.window() if self.histogram.total else (0.0, 1.0)

    def count(self, report: Report = silent) -> Histogram:
        """The histogram, read from disk or counted."""
        known = load_histogram(self.path / HISTOGRAM)
        if known is not None:
            return known
        array, shape = self.levels[0], self.scan.shape
        counter = Counter(array.dtype, None if levelwise(array.dtype) else self._sample())
        step = max(1, SLAB_BYTES // (shape[1] * shape[2] * np.dtype(array.dtype).itemsize))
        for z in range(0, shape[0], step):
            report(Progress(z, shape[0], "counting grey values"))
            box = Box((z, 0, 0), (min(z + step, shape[0]), *shape[1:]))
            counter.add(read(array, box), self.scan.inside(box))
        counted = counter.histogram()
        if not self.scan.readonly:
            save_histogram(self.path / HISTOGRAM, counted)
        return counted

    def _sample(self) -> Any:
        """Values of planes spread over it, inside the field of view, from which the bins of values that are not whole are chosen; flat."""
        _, height, width = self.scan.shape
        planes = []
        for z in sample_planes(self.scan.shape):
            box = Box((z, 0, 0), (z + 1, height, width))
            plane, inside = read(self.levels[0], box)[0], self.scan.inside(box)
            planes.append(plane.ravel() if inside is None else plane[inside[0]])
        return np.concatenate(planes)

    def info(self) -> dict[str, Any]:
        """What is known of it, as plain JSON."""
        record = self.record
        return {
            "name": self.name,
            "method": record.method,
            "parameters": record.parameters,
            "image": record.source.get("image"),
            "dtype": str(self.levels[0].dtype),
            "window": list(self.window),
            "created": record.created,
        }


def images_folder(scan: Scan) -> Path:
    """Where the filtered images of a scan lie."""
    return scan.sidecar / IMAGES


def filtered_image(scan: Scan, name: str) -> FilteredImage:
    """The filtered image of this name."""
    scan.array(name)
    return FilteredImage(scan, name)


def histogram_of(scan: Scan, image: str | None, report: Report = silent) -> Histogram:
    """The grey values, inside the field of view, of the scan or of one of its filtered images."""
    if image is None:
        return scan.histogram
    return filtered_image(scan, image).count(report)


def window_of(scan: Scan, image: str | None) -> tuple[float, float]:
    """The .5 and 99.5 percentiles of the scan or of one of its filtered images."""
    return scan.window if image is None else filtered_image(scan, image).window


def delete_image(scan: Scan, name: str) -> None:
    """Remove a filtered image; results that were made of it stay."""
    path = filtered_image(scan, name).path
    gone = path.with_name(f".{name}.deleted")
    with storage_errors(path):
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
