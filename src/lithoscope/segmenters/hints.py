"""What a forest taught by the same strokes says of the voxels around them: a network learns from that where it is sure.

A few strokes say little of borders and of places between them; a forest on filters says more of them after a second than a network
does after minutes. Taught by both, the network does better than by strokes alone (benchmarks/networks.py), and is not bound to the
forest: it sees shapes, other tones and noise, and its own score on held strokes chooses it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.base import Block, Sample

if TYPE_CHECKING:
    from lithoscope.segmenters.forest import Forest
    from lithoscope.segmenters.network_parts import Taught
    from lithoscope.training.crops import Piece

SURE = 0.5
"""How likely the forest must find a class for its word to count."""
DENSE = 0.5
"""Pieces of whose planes more is labelled than this are masks, and need no hints."""


def hinted(found: "Taught", *, axis: int | None, flat: bool, seed: int, near: int | None = None, report: Report) -> "Taught":
    """The pieces with hints (z, y, x) on the planes across `axis` that are painted on; without an axis, everywhere, or up to `near`
    voxels from what is painted.

    With `flat` the forest looks within those planes alone, else in space, also where the network sees but a few neighbours.
    What is held for the score teaches the forest nothing. Pieces that are masks already stay as they are.
    """
    from lithoscope.segmenters.forest import Forest

    thin = [p for p in found.pieces if not _is_mask(p, axis)]
    if not thin:
        return found
    plane = "zyx"[axis or 0]
    forest = Forest(dimensions=2 if flat else 3, plane=plane, seed=seed)  # type: ignore[arg-type]
    forest = forest.fit(ArraySamples(thin[0].image, labelled=tuple(_sample(p) for p in found.pieces), classes=found.table), report=report)
    pieces = []
    for number, piece in enumerate(found.pieces):
        report(Progress(number, len(found.pieces), "asking a forest what lies between the strokes"))
        pieces.append(replace(piece, hints=_hints(forest, piece, axis, near)) if any(piece is p for p in thin) else piece)
    return replace(found, pieces=tuple(pieces))


def _sample(piece: "Piece") -> Sample:
    whole = Block.of(piece.image, piece.window)
    return Sample(image=piece.image, core=whole.core, window=piece.window, inside=piece.inside, labels=piece.labels, held=piece.held)


def _painted(piece: "Piece", axis: int | None) -> npt.NDArray[np.intp]:
    """Which planes across the axis are painted on."""
    assert axis is not None
    return np.flatnonzero(piece.labels.any(axis=tuple(a for a in range(3) if a != axis)))


def _around(labels: npt.NDArray[np.uint8], near: int) -> tuple[slice, slice, slice]:
    """The part of a piece up to so many voxels from what is painted."""
    places = np.argwhere(labels)
    low, high = places.min(0) - near, places.max(0) + 1 + near
    z, y, x = (slice(max(0, int(a)), min(n, int(b))) for a, b, n in zip(low, high, labels.shape, strict=True))
    return (z, y, x)


def _is_mask(piece: "Piece", axis: int | None) -> bool:
    said = piece.labels if axis is None else np.take(piece.labels, _painted(piece, axis), axis)
    return bool(said.size and (said > 0).mean() > DENSE)


def _hints(forest: "Forest", piece: "Piece", axis: int | None, near: int | None) -> npt.NDArray[np.uint8]:
    hints = np.zeros(piece.labels.shape, np.uint8)
    whole = Block.of(piece.image, piece.window)
    cores = [whole.core if near is None else _around(piece.labels, near)]
    if axis is not None:
        cores = [tuple(slice(int(k), int(k) + 1) if a == axis else c for a, c in enumerate(whole.core)) for k in _painted(piece, axis)]  # type: ignore[misc]
    for core in cores:
        scores = forest.scores(Block(image=piece.image, core=core, window=piece.window))[(slice(None), *core)]
        hints[core] = np.where(scores.max(0) >= SURE, scores.argmax(0) + 1, 0)
    ids = np.array([0, *forest.classes_.ids], np.uint8)
    hints = ids[hints]
    hints[piece.labels > 0] = 0
    if piece.inside is not None:
        hints[~piece.inside] = 0
    if piece.image.dtype.kind == "f":
        hints[~np.isfinite(piece.image)] = 0
    return hints
