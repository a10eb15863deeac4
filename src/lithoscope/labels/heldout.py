"""Strokes kept back for the score: whole connected ones, about a fifth of each class, far enough from those that teach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.labels.painted import Painted

PART = 0.2
"""The part of each class's voxels that is held back."""
KEPT = 0.4
"""The part of each class's voxels that must be left to teach while scoring."""
APART = 32
"""Voxels between held and teaching strokes for a method that does not look around."""

SEPARATE = 1 << 20
"""How far apart slices are that are separate images."""
FEW = 50
"""Fewer voxels of a class than this teach next to nothing."""


@dataclass(frozen=True, eq=False)
class Split:
    """For each scan, which painted voxels are `held` and which are `aside`: too near a held stroke to teach while scoring.

    `lacking` says, in words, why there is no score, or is empty.
    """

    held: tuple[npt.NDArray[np.bool_], ...]
    aside: tuple[npt.NDArray[np.bool_], ...]
    lacking: str


def held_out(painted: Sequence[Painted], classes: ClassTable, *, halo: int, seed: int = 0) -> Split:
    """Choose the strokes to hold back; one nearer to them than `halo`, or than 32 voxels if that is less or there is none, is set aside."""
    gap = min(halo or APART, APART)
    strokes = [_Strokes(p) for p in painted]
    ids = sorted({int(i) for p in painted for i in np.unique(p.labels)})
    rng = np.random.default_rng(seed)
    lacking = []
    for id in ids:
        every = [(k, int(s)) for k, known in enumerate(strokes) for s in np.flatnonzero(known.classes == id)]
        total = sum(strokes[k].sizes[s] for k, s in every)
        taken = 0
        for place in rng.permutation(len(every)):
            k, s = every[place]
            if taken >= PART * total:
                break
            if taken + strokes[k].sizes[s] > 0.5 * total or strokes[k].aside[s]:
                continue
            near = strokes[k].near(s, gap)
            if _still_taught(strokes, ids, k, s, near):
                strokes[k].held[s] = True
                strokes[k].aside |= near & ~strokes[k].held
                taken += strokes[k].sizes[s]
        if not taken:
            more = max(1, 3 - len(every))
            lacking.append(f"{more} more stroke{'s' if more > 1 else ''} of {classes[id].name}")
    words = f"paint {' and '.join(lacking)} for a score, at least {gap} voxels from the others" if lacking else ""
    if not ids:
        words = "paint strokes of at least two classes for a score"
    return Split(tuple(s.held[p.strokes] for s, p in zip(strokes, painted, strict=True)),
                 tuple(s.aside[p.strokes] for s, p in zip(strokes, painted, strict=True)), words)  # fmt: skip


def too_few(counts: Mapping[int, int], classes: ClassTable) -> str:
    """Which classes have next to nothing painted, in words; empty when there are none."""
    few = [f"{counts[c.id]} of {c.name}" for c in classes if 0 < counts.get(c.id, 0) < FEW]
    return f"only {' and '.join(few)} painted: too little to trust, paint more" if few else ""


class _Strokes:
    """The strokes of one scan: their classes, sizes and boxes (strokes, 3), and which are held and which set aside."""

    def __init__(self, painted: Painted) -> None:
        count = int(painted.strokes.max()) + 1 if len(painted) else 0
        self.painted = painted
        self._grid: npt.NDArray[np.int64] = painted.places * np.array([SEPARATE if painted.flat else 1, 1, 1], np.int64)
        self.sizes = np.bincount(painted.strokes, minlength=count)
        self.classes = np.zeros(count, np.uint8)
        self.classes[painted.strokes] = painted.labels
        self.low, self.high = np.full((count, 3), np.iinfo(np.int64).max), np.full((count, 3), -1)
        np.minimum.at(self.low, painted.strokes, self._grid)
        np.maximum.at(self.high, painted.strokes, self._grid)
        self.held, self.aside = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        self._order = np.argsort(painted.strokes, kind="stable")
        self._ends = np.cumsum(self.sizes)

    def places(self, stroke: int) -> npt.NDArray[np.int64]:
        return self._grid[self._order[self._ends[stroke] - self.sizes[stroke] : self._ends[stroke]]]

    def near(self, stroke: int, gap: int) -> npt.NDArray[np.bool_]:
        """Which other strokes come nearer than `gap` voxels to this one along every axis."""
        from scipy.spatial import KDTree

        close = ((self.low - self.high[stroke] < gap) & (self.low[stroke] - self.high < gap)).all(axis=1)
        close[stroke] = False
        if close.any():
            tree = KDTree(self.places(stroke))
            for other in np.flatnonzero(close):
                distance, _ = tree.query(self.places(int(other)), p=np.inf, distance_upper_bound=gap)
                close[other] = bool((np.asarray(distance) < gap).any())
        found: npt.NDArray[np.bool_] = close
        return found


def _still_taught(strokes: Sequence[_Strokes], ids: Sequence[int], k: int, s: int, near: npt.NDArray[np.bool_]) -> bool:
    """Whether every class keeps enough to teach if stroke s of scan k is held too, and those near it are set aside."""
    for id in ids:
        left = total = 0
        for number, known in enumerate(strokes):
            own = known.classes == id
            teaching = own & ~known.held & ~known.aside
            if number == k:
                teaching = teaching & ~near
                teaching[s] = False
            left += int(known.sizes[teaching].sum())
            total += int(known.sizes[own].sum())
        if left < KEPT * total:
            return False
    return True
