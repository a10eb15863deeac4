"""What the methods without labels learn from: the grey values of a scan inside its field of view, counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.job import Progress, Report, silent
from lithoscope.segmenters.base import Block, Sample
from lithoscope.volume.blocks import Array3D, read, spread
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.counting import Counter, levelwise
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.images import histogram_of
from lithoscope.volume.scan import HISTOGRAM, Scan
from lithoscope.volume.sidecar import load_histogram

SLAB_BYTES = 64 << 20
"""Planes are read together up to this size."""


@dataclass
class GreyValues:
    """The samples of a whole scan, or of one of its filtered images; there are no labelled blocks among them."""

    scan: Scan
    image: str | None = None
    classes: ClassTable = field(default_factory=ClassTable)

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Sample]:
        return iter(())

    def histogram(self, *, report: Report = silent) -> Histogram:
        """Grey values inside the field of view of the whole scan, so that a part of it is segmented as the whole would be."""
        if self.image is None:
            known = load_histogram(self.scan.sidecar / HISTOGRAM) is not None or "histogram" in self.scan.__dict__
            return self.scan.histogram if known else self.scan.count(report)
        return histogram_of(self.scan, self.image, report)

    def slice_histograms(self, *, report: Report = silent) -> Sequence[Histogram]:
        """The same slice by slice along z, each counted when it is asked for."""
        return SliceHistograms(self.scan, self.scan.array(self.image), report)

    def spread(self, edge: int, count: int, halo: Triple = (0, 0, 0)) -> Iterator[Block]:
        """Blocks spread over the scan, those without a voxel in the field of view left out."""
        array, window = self.scan.array(self.image), self.histogram().window()
        for box in spread(self.scan.box, edge, count):
            inside = self.scan.inside(box)
            if inside is None or inside.any():
                grown = box.grow(halo)
                core = box.within(grown).slices
                yield Block(read(array, grown), core, window, grown.start, self.scan.inside(grown), self.scan.voxel)


class SliceHistograms(Sequence[Histogram]):
    """One histogram for each z, read some planes at a time and kept for none but those."""

    def __init__(self, scan: Scan, array: Array3D, report: Report) -> None:
        self._scan, self._array, self._report = scan, array, report
        self._first, self._planes = -1, np.zeros((0, 0, 0))

    def __len__(self) -> int:
        return self._scan.shape[0]

    @cached_property
    def depth(self) -> int:
        """How many planes are read together."""
        _, y, x = self._scan.shape
        plane = y * x * int(np.dtype(self._array.dtype).itemsize)
        return max(1, min(self._scan.shard[0], SLAB_BYTES // plane))

    def slab(self, z: int) -> tuple[Box, npt.NDArray[Any]]:
        """The planes that are read together with plane z, and their box."""
        first = z // self.depth * self.depth
        depth, (size, y, x) = self.depth, self._scan.shape
        box = Box((first, 0, 0), (min(first + depth, size), y, x))
        if first != self._first:
            self._report(Progress(first, size, "counting grey values slice by slice"))
            self._planes, self._first = read(self._array, box), first
        return box, self._planes

    def __getitem__(self, z: Any, /) -> Any:
        if isinstance(z, slice):
            return [self[i] for i in range(*z.indices(len(self)))]
        if not 0 <= z < len(self):
            raise IndexError(z)
        box, planes = self.slab(z)
        inside = self._scan.inside(Box((z, *box.start[1:]), (z + 1, *box.stop[1:])))
        plane = planes[z - box.start[0]][None]
        counter = Counter(plane.dtype, None if levelwise(plane.dtype) else (plane if inside is None else plane[inside]))
        counter.add(plane, inside)
        return counter.histogram()
