"""Maps of embeddings: vectors of patches laid out in the plane, so that what is alike lies together.

PCA keeps distances and needs no choice; t-SNE (van der Maaten and Hinton, JMLR 2008; scikit-learn's Barnes-Hut) keeps neighbours,
and neither the size of its clusters nor the distance between them means anything.
"""

import contextlib
import io
import re
from typing import Literal

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.explain.points import Map, Points
from lithoscope.features.basis import Basis
from lithoscope.job import Progress, Report, silent

Method = Literal["pca", "tsne"]
MANY = 3000
"""Beyond so many points the map is worked out more coarsely: on tokens of soil as many neighbours stay near, in two thirds of the time."""
FEW_STEPS, MANY_STEPS = 1000, 750
FINE, COARSE = 0.5, 0.8
"""How far points are taken together: the angle of Barnes and Hut."""
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
        at, notes = _tsne(points.vectors, perplexity, seed, report)
    else:
        raise InputError(f"a map is made by pca or tsne, not {method!r}")
    kept = neighbours_kept(points.vectors, at, seed=seed)
    return Map(points, at, method, (*notes, f"{100 * kept:.0f} % of the nearest {NEIGHBOURS} stay near"))


def _tsne(
    vectors: npt.NDArray[np.float32], perplexity: float, seed: int, report: Report
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    from sklearn.manifold import TSNE

    used = min(perplexity, (len(vectors) - 1) / 3)
    many = len(vectors) > MANY
    steps, angle = (MANY_STEPS, COARSE) if many else (FEW_STEPS, FINE)
    report(Progress(0, steps, "t-SNE: finding neighbours"))
    made = TSNE(
        2, perplexity=used, init="pca", learning_rate="auto", random_state=seed, max_iter=steps, angle=angle, verbose=2, n_jobs=-1
    )  # fmt: skip
    with contextlib.redirect_stdout(_Listener(report, steps)):
        at = made.fit_transform(vectors).astype(np.float32)
    report(Progress(steps, steps, "t-SNE"))
    return at, (f"perplexity {used:g}",)


class _Listener(io.TextIOBase):
    """scikit-learn says how far it is only by printing; a report that raises ends it from within its own print."""

    def __init__(self, report: Report, steps: int) -> None:
        self._report, self._steps, self._done = report, steps, 0

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        found = re.search(r"Iteration (\d+)", text)
        self._done = max(self._done, int(found[1])) if found else self._done
        self._report(Progress(min(self._done, self._steps), self._steps, "t-SNE" if self._done else "t-SNE: finding neighbours"))
        return len(text)


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
