"""What voxel by voxel learners take from labelled blocks: features, classes and weights, no stroke drowning another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.features.filters import FilterBank
from lithoscope.job import Progress, Report
from lithoscope.segmenters.base import Sample, Samples

MOST_OF_A_STROKE = 500
"""Voxels of one connected stroke that are learnt from; the rest of a long one says much the same."""
MOST = 20_000
"""Voxels that are learnt from in all."""
NOTHING = "nothing is painted inside the field of view; paint strokes of at least two classes"


@dataclass(frozen=True, eq=False)
class Listed:
    """Labelled voxels to learn from, whose features are kept: class ids (n,), the stroke of each (n,), and what gives the features
    (k, channels) of those of them with the rising numbers (k,)."""

    labels: npt.NDArray[np.int64]
    strokes: npt.NDArray[np.int64]
    features: Callable[[npt.NDArray[np.intp], FilterBank], npt.NDArray[np.float32]]


class Listing(Protocol):
    """Samples that can list their voxels, in the order in which the samples hold them."""

    def listed(self) -> Listed | None:
        """The voxels, or None if their features are not kept voxel by voxel."""
        ...


Places = tuple[npt.NDArray[np.intp], ...]
Look = Callable[[Sample, Places], npt.NDArray[np.float32]]
"""Features (n, channels) of places (z, y, x) of a sample's core."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Labelled voxels: features (n, channels), class ids (n,), the stroke each belongs to (n,) and weights (n,)."""

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    strokes: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]


def gathered(samples: Samples, bank: FilterBank, report: Report, *, look: Look | None = None, seed: int = 0, most: int = MOST) -> Chosen:
    """The features of all labelled voxels of the field of view that are not held for the score; `look` gives further ones.

    Where features are kept, of the voxels that `balanced` takes by this seed and with so many at most alone.
    """
    if look is None and hasattr(samples, "listed") and (known := cast(Listing, samples).listed()) is not None:
        report(Progress(0, 1, "looking at what is painted"))
        if not len(known.labels):
            raise InputError(NOTHING)
        kept = drawn(known.strokes, seed, most)
        return Chosen(known.features(kept, bank), known.labels[kept], known.strokes[kept], np.ones(len(kept)))
    features, labels, strokes = [], [], []
    for number, sample in enumerate(samples):
        report(Progress(number, len(samples), "looking at what is painted"))
        said, stroke = _said(sample, number)
        if not said.any():
            continue
        places = np.nonzero(said)
        found = _features(sample, bank, places)
        features.append(found if look is None else np.concatenate([found, look(sample, places)], axis=1))
        labels.append(said[places].astype(np.int64))
        strokes.append(stroke[places])
    if not labels:
        raise InputError(NOTHING)
    classes = np.concatenate(labels)
    return Chosen(np.concatenate(features), classes, np.concatenate(strokes), np.ones(len(classes)))


def _said(sample: Sample, number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The labels of the core to learn from, and the number of the stroke of each voxel; both (z, y, x)."""
    from scipy.ndimage import label

    assert sample.labels is not None
    said = sample.labels[sample.core].copy()
    if sample.inside is not None:
        said[~sample.inside[sample.core]] = 0
    if sample.held is not None:
        said[sample.held[sample.core]] = 0
    if sample.image.dtype.kind == "f":
        said[~np.isfinite(sample.image[sample.core])] = 0
    if sample.strokes is not None:
        return said, sample.strokes[sample.core]
    stroke = np.zeros(said.shape, np.int64)
    last = number << 32
    for id in np.unique(said[said > 0]):
        pieces, count = label(said == id, np.ones((3, 3, 3)))
        stroke[pieces > 0] = pieces[pieces > 0].astype(np.int64) + last
        last += count
    return said, stroke


def _features(sample: Sample, bank: FilterBank, places: tuple[npt.NDArray[np.intp], ...]) -> npt.NDArray[np.float32]:
    """The features (n, channels) of places of the core."""
    if sample.picked is not None:
        start = [o + c.start for o, c in zip(sample.origin, sample.core, strict=True)]
        return sample.picked(np.stack(places, axis=1) + np.array(start), bank)
    if sample.source is not None:
        core = sample.features(bank)[(slice(None), *sample.core)]
        return np.ascontiguousarray(core[:, places[0], places[1], places[2]].T, np.float32)
    low = [int(p.min()) for p in places]
    high = [int(p.max()) + 1 for p in places]
    first = [c.start for c in sample.core]
    z, y, x = (slice(f + a, f + b) for f, a, b in zip(first, low, high, strict=True))
    found = np.empty((len(places[0]), bank.channels), np.float32)
    for planes, values in bank.prepare(sample.image, sample.window, (z, y, x), origin=sample.origin).pieces():
        here = np.flatnonzero((places[0] - low[0] >= planes.start) & (places[0] - low[0] < planes.stop))
        z_at, y_at, x_at = (p[here] - a for p, a in zip(places, (low[0] + planes.start, low[1], low[2]), strict=True))
        found[here] = values.numpy()[:, z_at, y_at, x_at].T
    return found


def balanced(chosen: Chosen, seed: int, most: int = MOST) -> Chosen:
    """At most some hundred voxels of every stroke, drawn at random, weighted so that the classes count alike."""
    kept = drawn(chosen.strokes, seed, most)
    labels = chosen.labels[kept]
    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = (len(labels) / len(counts) / counts)[number]
    return Chosen(chosen.features[kept], labels, chosen.strokes[kept], weights)


def drawn(strokes: npt.NDArray[np.int64], seed: int, most: int = MOST) -> npt.NDArray[np.intp]:
    """Which voxels to learn from, rising, by the stroke of each (n,): of no stroke more than some hundred, and about `most` in all."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(strokes))
    _, stroke, sizes = np.unique(strokes[order], return_inverse=True, return_counts=True)
    of_one = MOST_OF_A_STROKE
    while np.minimum(sizes, of_one).sum() > most and of_one > 1:
        of_one = of_one * 3 // 4
    by_stroke = np.argsort(stroke, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[by_stroke] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < of_one])
