"""Crops of any number of scans: drawn from a pool of blocks, on all planes, turned by any angle and zoomed.

Which blocks and crops are drawn depends on the seed and the step alone, so that a training that was interrupted goes on
exactly as it would have gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lithoscope.errors import InputError

LOW, HIGH = -0.5, 1.5
"""Where networks cut an image whose window lies at 0…1."""

FLAT = 0.02
"""Crops whose values vary less than this (air, zeros outside a field of view) teach nothing and are drawn again."""


class Grid(Protocol):
    """Anything that holds (z, y, x) voxels and is read by slices."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class Source:
    """A scan to draw from: its voxels, its window (.5 and 99.5 percentiles), and whether planes across z make sense."""

    name: str
    array: Grid
    window: tuple[float, float]
    separate_slices: bool = False

    @classmethod
    def of(cls, array: Grid, name: str, *, separate_slices: bool = False) -> "Source":
        """A source whose window is measured on a spread sample of the array."""
        if len(array.shape) != 3 or min(array.shape) < 1:
            raise InputError(f"{name} has shape {tuple(array.shape)}; a source is (z, y, x)")
        steps = tuple(max(1, size // 64) for size in array.shape)
        values = np.asarray(array[:: steps[0], :: steps[1], :: steps[2]], dtype=np.float32)
        values = values[np.isfinite(values)]
        if not values.size:
            raise InputError(f"{name} has no finite grey values")
        low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
        return cls(name, array, (low, high if high > low else low + 1.0), separate_slices)

    @property
    def size(self) -> int:
        return int(np.prod([int(s) for s in self.array.shape]))


@dataclass(frozen=True)
class View:
    """Where a crop lies in a block: the plane across `axis` at `index`, around `centre`, `zoom` voxels a pixel, turned by `angle`."""

    axis: int
    index: int
    centre: tuple[float, float]
    zoom: float
    angle: float
    flip: bool


@dataclass
class Pool:
    """Blocks of the sources, as many as fit in memory, drawn anew every `refresh` steps."""

    sources: Sequence[Source]
    seed: int = 0
    count: int = 64
    edge: int = 112
    refresh: int = 25
    thinnest: int = 48
    _drawn: int = field(default=-1, init=False)
    _blocks: list[tuple[npt.NDArray[Any], Source]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError("there is no scan to draw crops from; name at least one")

    def blocks(self, step: int) -> list[tuple[npt.NDArray[Any], Source]]:
        """The blocks in use at this step, in native values."""
        epoch = step // self.refresh
        if epoch != self._drawn:
            rng = np.random.default_rng((self.seed, 1, epoch))
            weights = np.array([s.size for s in self.sources], dtype=np.float64) ** 0.25
            chosen = rng.choice(len(self.sources), self.count, p=weights / weights.sum())
            self._blocks = [(self._block(self.sources[int(i)], rng), self.sources[int(i)]) for i in chosen]
            self._drawn = epoch
        return self._blocks

    def _block(self, source: Source, rng: np.random.Generator) -> npt.NDArray[Any]:
        starts = [int(rng.integers(0, max(1, size - self.edge + 1))) for size in source.array.shape]
        return np.asarray(source.array[tuple(slice(a, a + self.edge) for a in starts)])

    def anchor(
        self, block: npt.NDArray[Any], source: Source, rng: np.random.Generator, margin: float
    ) -> tuple[int, int, tuple[float, float]]:
        """A plane and a place on it: (axis, index, (row, column)), `margin` voxels from the border where the block allows."""
        axes = [a for a in range(3) if min(s for i, s in enumerate(block.shape) if i != a) >= self.thinnest]
        axis = int(rng.choice(axes)) if axes and not source.separate_slices else 0
        sizes = [s for i, s in enumerate(block.shape) if i != axis]
        centre = [float(rng.uniform(min(margin, s / 2), max(s - margin, s / 2))) for s in sizes]
        return axis, int(rng.integers(block.shape[axis])), (centre[0], centre[1])


def windowed(image: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Grey values as networks see them: the window at 0…1, a little beyond it kept, NaN at its low end."""
    low, high = window
    scaled: npt.NDArray[np.float32] = (np.nan_to_num(image.astype(np.float32), nan=low) - low) / (high - low)
    return np.clip(scaled, LOW, HIGH, out=scaled)


def cut(block: npt.NDArray[Any], window: tuple[float, float], view: View, side: int) -> Tensor:
    """The crop (side, side) of a view, windowed; beyond the block it is reflected."""
    plane = torch.from_numpy(windowed(np.take(block, view.index, view.axis), window))
    rows, columns = plane.shape
    steps = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2) * view.zoom
    v, u = torch.meshgrid(steps, -steps if view.flip else steps, indexing="ij")
    sine, cosine = float(np.sin(view.angle)), float(np.cos(view.angle))
    y = view.centre[0] + cosine * v + sine * u
    x = view.centre[1] - sine * v + cosine * u
    grid = torch.stack([2 * x / columns - 1, 2 * y / rows - 1], -1)
    made = functional.grid_sample(plane[None, None], grid[None], mode="bicubic", padding_mode="reflection", align_corners=False)
    return made[0, 0].clamp_(LOW, HIGH)


@dataclass(frozen=True)
class Crops:
    """How views are drawn: sides in pixels, and the zoom (voxels a pixel) between `zooms`, evenly in its logarithm."""

    pool: Pool
    side: int = 112
    local_side: int = 48
    locals: int = 4
    zooms: tuple[float, float] = (0.4, 1.4)

    def single(self, step: int, batch: int) -> tuple[Tensor, Tensor]:
        """One crop each of `batch` places: (batch, 1, side, side), and the numbers of the scans that they are from."""
        drawn = self._drawn(step, batch, (self.side,))
        return torch.stack([views[0] for views, _ in drawn])[:, None], torch.tensor([origin for _, origin in drawn])

    def multiple(self, step: int, batch: int) -> list[Tensor]:
        """Two global and several local views of each place: tensors (batch, 1, side, side), the globals first."""
        sides = (self.side, self.side, *([self.local_side] * self.locals))
        places = self._drawn(step, batch, sides)
        return [torch.stack([views[i] for views, _ in places])[:, None] for i in range(len(sides))]

    def _drawn(self, step: int, batch: int, sides: tuple[int, ...]) -> list[tuple[list[Tensor], int]]:
        blocks = self.pool.blocks(step)
        rng = np.random.default_rng((self.pool.seed, 2, step))
        return [self._place(blocks, rng, sides) for _ in range(batch)]

    def _place(
        self, blocks: list[tuple[npt.NDArray[Any], Source]], rng: np.random.Generator, sides: tuple[int, ...]
    ) -> tuple[list[Tensor], int]:
        views: list[Tensor] = []
        source = blocks[0][1]
        for _ in range(8):
            block, source = blocks[int(rng.integers(len(blocks)))]
            zoom = float(np.exp(rng.uniform(*np.log(self.zooms))))
            axis, index, centre = self.pool.anchor(block, source, rng, margin=self.side * zoom / 2)
            views = []
            for side in sides:
                near = zoom * float(np.exp(rng.uniform(-0.25, 0.25))) if len(sides) > 1 else zoom
                reach = 0.0 if len(sides) == 1 else 0.2 * self.side * zoom if side == self.side else 0.4 * self.side * zoom
                place = (centre[0] + float(rng.uniform(-reach, reach)), centre[1] + float(rng.uniform(-reach, reach)))
                angle, flip = float(rng.uniform(0, 2 * np.pi)), bool(rng.random() < 0.5)
                views.append(cut(block, source.window, View(axis, index, place, near, angle, flip), side))
            if float(views[0].std()) >= FLAT:
                break
        return views, next(i for i, s in enumerate(self.pool.sources) if s is source)
