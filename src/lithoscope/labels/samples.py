"""What the taught methods learn from: the strokes of one scan or of several, block by block, with what is held for the score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.features.base import Extractor
from lithoscope.features.cache import FeatureCache
from lithoscope.features.windows import EDGE, ScanFeatures
from lithoscope.job import Report, silent
from lithoscope.labels.grey_values import GreyValues
from lithoscope.labels.heldout import Split, held_out
from lithoscope.labels.painted import Painted
from lithoscope.segmenters.base import Block, Sample, Segmenter
from lithoscope.segmenters.strokes import Listed
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.scan import Scan


@dataclass
class Taught:
    """One scan and what is painted on it. `features` gives its features; with a cache, all who look share what is kept."""

    scan: Scan
    painted: Painted
    features: ScanFeatures

    @classmethod
    def of(cls, scan: Scan, labels: Array3D, image: str | None = None, *, cache: FeatureCache | None = None) -> "Taught":
        """What is painted inside the field of view of a scan, or of one of its filtered images."""
        window = None if image is None else GreyValues(scan, image).histogram().window()
        painted = Painted.of(labels, scan.inside if scan.field_of_view is not None else None, flat=scan.separate_slices)
        return cls(scan, painted, ScanFeatures(scan, image, window=window, cache=cache))

    @property
    def image(self) -> str | None:
        return self.features.image

    @property
    def window(self) -> tuple[float, float]:
        return self.features.window


@dataclass
class StrokeSamples:
    """Samples of strokes for one method. With `split`, held strokes are marked and those too near to them left out."""

    taught: Sequence[Taught]
    classes: ClassTable
    halo: Triple = (0, 0, 0)
    split: Split | None = None
    featured: bool = True
    edge: Triple = (64, 64, 64)
    blind: bool = False
    """Whether the method looks at features alone: grey values that are whole numbers, which cannot be missing, are then not read."""
    _grey: GreyValues = field(init=False, repr=False)

    def __post_init__(self) -> None:
        first = self.taught[0]
        self._grey = GreyValues(first.scan, first.image, self.classes)

    @classmethod
    def of(cls, taught: Sequence[Taught], classes: ClassTable, method: Segmenter) -> "StrokeSamples":
        """The samples of a method: with features where it asks for them, with its halo where it looks at the image itself."""
        featured = bool(method.extractors())
        halo = (0, 0, 0) if featured else method.labelled_halo()
        return cls(
            taught, classes, halo, featured=featured, edge=method.labelled_edge(), blind=method.live and len(method.extractors()) == 1
        )

    def scored(self, halo: Triple, seed: int = 0) -> "StrokeSamples":
        """The same with strokes held back; why that is impossible is in `split.lacking`."""
        return replace(self, split=held_out([t.painted for t in self.taught], self.classes, halo=max(halo), seed=seed))

    @cached_property
    def _blocks(self) -> list[tuple[int, Box, npt.NDArray[np.intp]]]:
        found = []
        for number, one in enumerate(self.taught):
            edge = [EDGE, EDGE, EDGE] if self.featured else list(self.edge)
            if self.featured:
                edge[one.painted.across] = 1
            found += [(number, box, chosen) for box, chosen in one.painted.boxes((edge[0], edge[1], edge[2]))]
        return found

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Sample]:
        for number, box, chosen in self._blocks:
            yield self._sample(number, box, chosen)

    def _sample(self, number: int, box: Box, chosen: npt.NDArray[np.intp]) -> Sample:
        one = self.taught[number]
        painted, grown = one.painted, box.grow(self.halo)
        at = tuple((painted.places[chosen] - np.array(grown.start)).T)
        labels, strokes = np.zeros(grown.shape, np.uint8), np.zeros(grown.shape, np.int64)
        labels[at], strokes[at] = painted.labels[chosen], painted.strokes[chosen] + (number << 40)
        held = None
        if self.split is not None:
            held = np.zeros(grown.shape, np.bool_)
            held[at] = self.split.held[number][chosen]
            labels[tuple(a[self.split.aside[number][chosen]] for a in at)] = 0
        scan, source = one.scan, partial(one.features, grown) if self.featured else None
        array = one.features.array
        unread = self.blind and array.dtype.kind in "iu"
        image = np.broadcast_to(array.dtype.type(0), grown.shape) if unread else read(array, grown)
        picked = None
        if self.blind and one.features.cache is not None:

            def picked(places: npt.NDArray[np.int64], extractor: Extractor) -> npt.NDArray[np.float32]:
                return one.features.at(places, painted.across, extractor)

        return Sample(
            image=image, core=box.within(grown).slices, window=one.window, origin=grown.start,
            voxel=scan.voxel, source=source, labels=labels, held=held, strokes=strokes, picked=picked,
            tokens=one.features,
        )  # fmt: skip

    def listed(self) -> Listed | None:
        """All voxels to learn from, as iterating gives them, if the method needs nothing of them but features that are kept."""
        if not self.blind or any(t.features.cache is None or t.features.array.dtype.kind not in "iu" for t in self.taught):
            return None
        found = []
        for number, _, chosen in self._blocks:
            places = self.taught[number].painted.places[chosen]
            chosen = chosen[np.lexsort(places.T[::-1])]
            if self.split is not None:
                chosen = chosen[~(self.split.held[number][chosen] | self.split.aside[number][chosen])]
            found.append((number, chosen))
        scans = np.concatenate([np.full(len(chosen), number) for number, chosen in found] or [np.zeros(0, np.int64)])
        voxels = np.concatenate([chosen for _, chosen in found] or [np.zeros(0, np.intp)])

        def features(kept: npt.NDArray[np.intp], extractor: Extractor) -> npt.NDArray[np.float32]:
            made = np.empty((len(kept), extractor.channels), np.float32)
            for number, one in enumerate(self.taught):
                own = scans[kept] == number
                made[own] = one.features.at(one.painted.places[voxels[kept[own]]], one.painted.across, extractor)
            return made

        labels, strokes = np.zeros(len(voxels), np.int64), np.zeros(len(voxels), np.int64)
        for number, one in enumerate(self.taught):
            own = scans == number
            labels[own] = one.painted.labels[voxels[own]]
            strokes[own] = one.painted.strokes[voxels[own]] + (number << 40)
        return Listed(labels, strokes, features)

    def histogram(self, *, report: Report = silent) -> Histogram:
        """Grey values inside the field of view of the first scan."""
        return self._grey.histogram(report=report)

    def slice_histograms(self, *, report: Report = silent) -> Sequence[Histogram]:
        """The same, one for each z of the first scan."""
        return self._grey.slice_histograms(report=report)

    def spread(self, edge: int, count: int, halo: Triple = (0, 0, 0)) -> Iterator[Block]:
        """Blocks spread over the first scan."""
        return self._grey.spread(edge, count, halo)


def score(method: Segmenter, samples: StrokeSamples) -> dict[str, Any]:
    """How a method fitted without the held strokes does on them: `mean_iou`, `iou` and `voxels` by class name."""
    from lithoscope.scores.segmentation import Confusion

    table, known = Confusion(), {c.name.casefold(): c.id for c in method.classes_}
    to_own = np.zeros(256, np.uint8)
    for c in samples.classes:
        to_own[c.id] = known.get(c.name.casefold(), 255)
    for sample in samples:
        assert sample.labels is not None
        if sample.held is None or not sample.held.any():
            continue
        predicted = method.predict(sample)[sample.core]
        table.add(to_own[(sample.labels * sample.held)[sample.core]], predicted)
    return {
        "mean_iou": table.mean_iou,
        "iou": {c.name: table.iou(c.id) for c in method.classes_ if c.id in table.classes},
        "voxels": {c.name: int(table.known[c.id].sum()) for c in method.classes_},
    }
