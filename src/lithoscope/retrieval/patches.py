"""Where patches lie in a scan: cubes at a stride, the last of each axis against the far face, without those that show nothing."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.retrieval.recipe import Recipe
from lithoscope.retrieval.sources import Source
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box, Triple

LEAST_INSIDE = 0.1
"""A patch of which less lies in the field of view is left out."""
SLAB = 8
"""How many layers of patches are worked out and written together, at most."""
ROWS = 40_000
"""How many patches are worked out and written together, at most, unless one layer has more."""


@dataclass(frozen=True)
class Cubes:
    """The places of patches of one scale: where they begin along each axis, and their edges (z, y, x)."""

    scale: float
    edges: Triple
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @classmethod
    def of(cls, source: Source, recipe: Recipe, scale: float) -> "Cubes":
        """The patches of a scan. A flat scan's are one slice thick; where a scan is thinner than a patch, so is the patch."""
        if not recipe.patch:
            z, y, x = source.shape
            return cls(scale, (1, y, x), (tuple(range(z)), (0,), (0,)))
        voxel = source.voxel_um or (None, None, None)
        wanted = [recipe.edge(scale, um if recipe.patch_um is not None else None) for um in voxel]
        wanted[0] = 1 if source.flat else wanted[0]
        edges = [min(e, n) for e, n in zip(wanted, source.shape, strict=True)]
        steps = [1 if source.flat and axis == 0 else recipe.step(edge) for axis, edge in enumerate(wanted)]
        starts = [_starts(n, edge, step) for n, edge, step in zip(source.shape, edges, steps, strict=True)]
        return cls(scale, (edges[0], edges[1], edges[2]), (starts[0], starts[1], starts[2]))

    @property
    def count(self) -> int:
        """How many there are at most."""
        return len(self.starts[0]) * len(self.starts[1]) * len(self.starts[2])

    def slabs(self) -> Iterator["Cubes"]:
        """The same, some layers at a time."""
        layer = len(self.starts[1]) * len(self.starts[2])
        step = max(1, min(SLAB, ROWS // max(layer, 1)))
        for first in range(0, len(self.starts[0]), step):
            yield Cubes(self.scale, self.edges, (self.starts[0][first : first + step], *self.starts[1:]))

    def box(self, place: npt.NDArray[np.intp]) -> Box:
        """The box of one of them, by its numbers along the axes."""
        start = tuple(s[int(i)] for s, i in zip(self.starts, place, strict=True))
        return Box((start[0], start[1], start[2]), (start[0] + self.edges[0], start[1] + self.edges[1], start[2] + self.edges[2]))

    def shown(self, source: Source) -> npt.NDArray[np.bool_]:
        """Which of them (z, y, x) show something: not one constant, and enough of it in the field of view."""
        found = np.zeros([len(s) for s in self.starts], bool)
        for i, z in enumerate(self.starts[0]):
            layer = Box((z, 0, 0), (z + self.edges[0], *source.shape[1:]))
            values = read(source.array, layer)
            low, high = (self._over(of(values, axis=0), of) for of in (np.fmin.reduce, np.fmax.reduce))
            found[i] = high > low
            if (inside := source.inside(layer)) is not None:
                share = self._over(inside.sum(0, dtype=np.int64), np.add.reduce) / np.prod(self.edges)
                found[i] &= share >= LEAST_INSIDE
        return found

    def _over(self, plane: npt.NDArray[Any], of: Callable[..., npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """A plane (y, x) reduced over the patches' squares."""
        (_, ys, xs), (_, high, wide) = self.starts, self.edges
        rows = np.stack([of(plane[y : y + high], axis=0) for y in ys])
        return np.stack([of(rows[:, x : x + wide], axis=1) for x in xs], axis=1)


def cut_from(source: Source, recipe: Recipe) -> str:
    """What the patches of a source are cut from, as one word: its values, its field of view and, where patches are sized by it, its voxel.

    As long as it stays the same the patches do.
    """
    own = [json.dumps(source.view, sort_keys=True)] if source.view is not None else []
    own += [f"{um:.9g}" for um in source.voxel_um or ()] if recipe.patch_um is not None else []
    return "-".join([source.content_hash, *([hashlib.sha256(" ".join(own).encode()).hexdigest()[:16]] if own else [])])


def _starts(size: int, edge: int, step: int) -> tuple[int, ...]:
    regular = list(range(0, size - edge + 1, step))
    if regular[-1] + edge < size:
        regular.append(size - edge)
    return tuple(regular)
