"""Maps of embeddings: vectors of patches laid out in the plane, so that what is alike lies together.

PCA keeps distances and needs no choice; t-SNE keeps neighbours, and neither the size of its clusters nor the distance between them
means anything.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.explain.points import Map, Points
from lithoscope.explain.tsne import tsne
from lithoscope.features.basis import Basis
from lithoscope.job import Progress, Report, silent

Method = Literal["pca", "tsne"]
NEIGHBOURS = 10
"""Neighbours that a map is judged by."""


def embed(points: Points, method: Method = "tsne", *, perplexity: float = 30.0, seed: int = 0, report: Report = silent) -> Map:
    """Points in the plane; equal seeds give equal maps on one machine."""
    if method == "pca":
        report(Progress(0, 1, "main directions"))
        basis = Basis.fit([points.vectors], 2)
        at = ((points.vectors - basis.mean) @ basis.components.T).astype(np.float32)
        if at.shape[1] < 2:
            at = np.pad(at, ((0, 0), (0, 2 - at.shape[1])))
        notes: tuple[str, ...] = (f"{100 * basis.explained:.0f} % of the variance",)
    elif method == "tsne":
        used = min(perplexity, (len(points) - 1) / 3)
        at, notes = tsne(points.vectors, perplexity=used, seed=seed, report=report), (f"perplexity {used:g}",)
    else:
        raise InputError(f"a map is made by pca or tsne, not {method!r}")
    kept = neighbours_kept(points.vectors, at, seed=seed)
    return Map(points, at, method, (*notes, f"{100 * kept:.0f} % of the nearest {NEIGHBOURS} stay near"))


def neighbours_kept(vectors: npt.NDArray[np.float32], at: npt.NDArray[np.float32], *, most: int = 1000, seed: int = 0) -> float:
    """The part of points' nearest neighbours that are among their nearest in the map, over up to `most` points."""
    count = min(NEIGHBOURS, len(vectors) - 1)
    some = np.random.default_rng(seed).choice(len(vectors), min(most, len(vectors)), replace=False)
    kept = 0
    for part in np.array_split(some, max(1, len(some) // 100)):
        near = [_nearest(v, part, count) for v in (vectors, at)]
        kept += sum(len(np.intersect1d(a, b)) for a, b in zip(*near, strict=True))
    return kept / (len(some) * count)


def _nearest(vectors: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    distance = (vectors**2).sum(1) - 2 * vectors[rows] @ vectors.T
    distance[np.arange(len(rows)), rows] = np.inf
    return np.argpartition(distance, count - 1, axis=1)[:, :count]
