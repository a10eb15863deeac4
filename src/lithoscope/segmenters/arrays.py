"""Samples of an image that is in memory: for scripts, previews and tests. Whole scans are learnt from on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.job import Report, silent
from lithoscope.segmenters.base import Block, Sample
from lithoscope.volume.blocks import read, spread
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.counting import Counter, levelwise
from lithoscope.volume.histogram import Histogram


@dataclass
class ArraySamples:
    """The grey values of an array (z, y, x), or those of them that are `inside`, and labelled blocks if there are any."""

    image: npt.NDArray[Any]
    inside: npt.NDArray[np.bool_] | None = None
    labelled: tuple[Sample, ...] = ()
    classes: ClassTable = field(default_factory=ClassTable)

    def __len__(self) -> int:
        return len(self.labelled)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.labelled)

    def histogram(self, *, report: Report = silent) -> Histogram:
        """Grey values inside the field of view."""
        return _counted(self.image, self.inside)

    def slice_histograms(self, *, report: Report = silent) -> Sequence[Histogram]:
        """The same, one for each z."""
        inside = [None] * len(self.image) if self.inside is None else self.inside
        return [_counted(plane[None], None if known is None else known[None]) for plane, known in zip(self.image, inside, strict=True)]

    def spread(self, edge: int, count: int, halo: Triple = (0, 0, 0)) -> Iterator[Block]:
        """Blocks spread over the image."""
        low, high = self.histogram().window()
        z, y, x = self.image.shape
        for box in spread(Box.whole((z, y, x)), edge, count):
            grown = box.grow(halo)
            inside = None if self.inside is None else read(self.inside, grown)
            core = box.within(grown).slices
            yield Block(image=read(self.image, grown), core=core, window=(low, high), origin=grown.start, inside=inside)


def _counted(image: npt.NDArray[Any], inside: npt.NDArray[np.bool_] | None) -> Histogram:
    counter = Counter(image.dtype, None if levelwise(image.dtype) else (image if inside is None else image[inside]))
    counter.add(image, inside)
    return counter.histogram()
