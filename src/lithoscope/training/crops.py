"""Crops of labelled blocks around what is painted, as tensors; which ones depends on the seed and the step alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lithoscope.training.augment import HIGH, LOW, Augmentation, flipped, warped

Axes = tuple[int, int, int]


def windowed(image: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Grey values as networks see them: the window at 0…1, a little beyond it kept, what is not a number at its low end."""
    low, high = window
    scaled = image.astype(np.float32)
    np.nan_to_num(scaled, copy=False, nan=low, posinf=high + (high - low), neginf=low - (high - low))
    scaled -= np.float32(low)
    scaled /= np.float32(high - low if high > low else 1.0)
    return np.clip(scaled, LOW, HIGH, out=scaled)


@dataclass(frozen=True, eq=False)
class Piece:
    """A labelled block: image (z, y, x) of native dtype, labels and held likewise, and the image's window.

    `hints` are classes that nobody painted but that are likely, 0 where there are none; `inside` marks the field of view.
    """

    image: npt.NDArray[Any]
    labels: npt.NDArray[np.uint8]
    held: npt.NDArray[np.bool_]
    window: tuple[float, float]
    hints: npt.NDArray[np.uint8] | None = None
    inside: npt.NDArray[np.bool_] | None = None

    @cached_property
    def painted(self) -> npt.NDArray[np.uint8]:
        """What was painted and is not held."""
        return self.labels * ~self.held

    @cached_property
    def teaching(self) -> npt.NDArray[np.uint8]:
        """The same with the hints where nothing was painted."""
        return self.painted if self.hints is None else np.where(self.labels > 0, self.painted, self.hints)

    @cached_property
    def places(self) -> list[npt.NDArray[np.intp]]:
        """For each class from 1 on, the places (n, 3) that teach it."""
        top = int(self.teaching.max(initial=0))
        return [np.argwhere(self.teaching == k) for k in range(1, top + 1)]


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops (n, channels, …) with labels (n, …) uint8, of which 0 says nothing."""

    images: Tensor
    labels: Tensor


@dataclass(eq=False)
class Crops:
    """Batches of crops of edge `side` around strokes: cubes when in `space`, else planes across one of the axes `across`, of which
    `channels` neighbours are channels.

    Every class is met as often as the others, every stroked block as often as it has voxels of it.
    """

    pieces: Sequence[Piece]
    classes: int
    side: int
    channels: int = 1
    across: tuple[int, ...] = (0,)
    space: bool = False
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    seed: int = 0

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many voxels teach each class, (pieces, classes)."""
        rows = [np.bincount(p.teaching.reshape(-1), minlength=self.classes + 1)[1 : self.classes + 1] for p in self.pieces]
        return np.array(rows, np.int64).reshape(len(self.pieces), self.classes)

    def batch(self, step: int, size: int) -> Batch:
        """The crops of a step."""
        rng = np.random.default_rng((self.seed, step))
        present = np.flatnonzero(self.counts.sum(0))
        images, labels = [], []
        for number in range(size):
            chosen = int(present[(number + int(rng.integers(len(present)))) % len(present)])
            counts = self.counts[:, chosen]
            piece = self.pieces[int(rng.choice(len(counts), p=counts / counts.sum()))]
            spots = piece.places[chosen]
            image, said = self.cut(piece, spots[int(rng.integers(len(spots)))], rng)
            images.append(image)
            labels.append(said)
        return Batch(torch.stack(images), torch.stack(labels))

    def cut(self, piece: Piece, spot: npt.NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A crop in which `spot` lies, anywhere but at its rim: image (channels, …) and labels (…)."""
        axis = int(rng.choice(self.across)) if not self.space else None
        wide = [self.side if a != axis else self.channels for a in range(3)]
        start = []
        for a, (place, width, size) in enumerate(zip(spot, wide, piece.image.shape, strict=True)):
            if a == axis:
                start.append(int(place) - width // 2)
                continue
            off = int(rng.integers(width // 8, width - width // 8)) if width >= 8 else int(rng.integers(width))
            start.append(min(max(int(place) - off, 0), size - width) if size >= width else (size - width) // 2)
        image = torch.from_numpy(windowed(taken(piece.image, start, wide), piece.window))
        labels = torch.from_numpy(taken(piece.teaching, start, wide, labels=True))
        if axis is None:
            image = image[None]
        else:
            image, labels = image.movedim(axis, 0), labels.movedim(axis, 0)[self.channels // 2]
        return self._changed(image, labels, rng)

    def _changed(self, image: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        if self.augmentation is None:
            return image.contiguous(), labels.contiguous()
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        if float(torch.rand((), generator=generator)) < self.augmentation.warp_chance:
            turned, said = warped(image, labels, self.augmentation, generator)
            image, labels = (turned, said) if bool(said.any()) else (image, labels)
        image, labels = flipped(image, labels, tuple(range(labels.ndim)), generator)
        return image.contiguous(), labels.contiguous()


def taken(array: npt.NDArray[Any], start: Sequence[int], wide: Sequence[int], *, labels: bool = False) -> npt.NDArray[Any]:
    """Voxels from `start` on, `wide` along each axis: reflected beyond the array, and labels 0 there."""
    low = [max(0, -s) for s in start]
    high = [max(0, s + w - n) for s, w, n in zip(start, wide, array.shape, strict=True)]
    found = array[tuple(slice(max(0, s), max(0, s + w)) for s, w in zip(start, wide, strict=True))]
    if not any(low) and not any(high):
        return np.ascontiguousarray(found)
    padding = list(zip(low, high, strict=True))
    return np.pad(found, padding) if labels else np.pad(found, padding, "symmetric")
