"""Simulated tasks like a person's: two slices of one scan, a few labels on the first, and what the second is to be called.

A geometry of `pretrain_structures` is seen by a random scanner: phases near in grey value or far, told by texture alone now and
then, under blur, noise, rings, cupping and veils; from one slice to the next its grey values drift, as those of real scanners do.
`python benchmarks/pretrain_episodes.py OUT.png` draws twelve tasks.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from lithoscope.training.selfsupervised.augment import Augmentation, toned
from lithoscope.training.selfsupervised.crops import HIGH, LOW, View, cut
from pretrain_structures import KINDS, smooth

CROPS = 4
"""Crops of a task: two of the slice with labels, two of the other."""

PIXELS = 240
"""How many pixels of either slice are looked at, all phases together, drawn one by one."""

ZOOMS = (0.35, 1.2)
"""Voxels a pixel."""

Rng = np.random.Generator
Plane = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Places:
    """Pixels of two crops, (n, 3): crop, row, column; and the phase at each, (n)."""

    where: npt.NDArray[np.int64]
    phase: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Episode:
    """`crops` (CROPS, 1, side, side), windowed; `truth` (CROPS, side, side), phases from 0, -1 where none that both slices hold."""

    crops: Tensor
    truth: npt.NDArray[np.int8]
    phases: int

    def places(self, rng: Rng) -> tuple[Places, Places]:
        """Places on the slice with labels and on the other, as many of each phase."""
        return self._drawn(slice(0, 2), rng), self._drawn(slice(2, 4), rng)

    def _drawn(self, part: slice, rng: Rng) -> Places:
        found = [np.argwhere(self.truth[part] == phase) for phase in range(self.phases)]
        each = PIXELS // self.phases
        where = np.concatenate([places[rng.integers(len(places), size=each)] for places in found])
        return Places(where, np.repeat(np.arange(self.phases), each))


def geometries(count: int, seed: int, edge: int = 112) -> list[npt.NDArray[np.uint8]]:
    """Simulated geometries (edge, edge, edge) of all kinds in turn."""
    kinds = list(KINDS.values())
    return [kinds[i % len(kinds)]((edge, edge, edge), np.random.default_rng((seed, i))) for i in range(count)]


def grey_values(phases: int, rng: Rng) -> tuple[npt.NDArray[np.float64], float]:
    """The grey value of each phase, and the least gap between two."""
    gaps = np.exp(rng.uniform(np.log(6), np.log(90), max(1, phases - 1)))
    means = np.concatenate([[0], np.cumsum(gaps)])[:phases]
    means = 40 + means * min(1.0, 200 / max(means[-1], 1e-9))
    least = float(np.diff(means).min()) if phases > 1 else 20.0
    return rng.permutation(means) if rng.random() < 0.3 else means, least


def scanned_pair(planes: list[Plane], rng: Rng) -> tuple[list[Picture], tuple[float, float]]:
    """Two planes of one geometry as one scanner sees them, and the window of both."""
    from scipy.ndimage import gaussian_filter

    phases = int(max(p.max() for p in planes)) + 1
    means, least = grey_values(phases, rng)
    texture = [(rng.uniform(0.1, 0.8) * least, rng.uniform(0.8, 3)) if rng.random() < 0.3 else None for _ in range(phases)]
    if phases > 1 and rng.random() < 0.15:
        first, other = rng.choice(phases, 2, replace=False)
        means[first], texture[first], texture[other] = means[other], (rng.uniform(8, 25), rng.uniform(1, 3)), None
    blur, correlated = rng.uniform(0.3, 1.8), rng.uniform(0.3, 1.1) if rng.random() < 0.5 else 0.0
    noise = float(np.exp(rng.uniform(np.log(0.5), np.log(45))))
    if rng.random() < 0.4:
        noise = least * float(np.exp(rng.uniform(np.log(0.03), np.log(1.2))))
    ring = rng.uniform(0.1, 0.6) * noise if rng.random() < 0.3 else 0.0
    cup = rng.uniform(-25, 25) if rng.random() < 0.25 else 0.0
    edges = rng.uniform(0.2, 1.5) if rng.random() < 0.2 else 0.0
    counted = rng.random() < 0.3
    gain, shift = (rng.normal(0, 0.18), rng.normal(0, 12)) if rng.random() < 0.6 else (0.0, 0.0)
    veil, wide = rng.uniform(0.05, 0.35) if rng.random() < 0.35 else 0.0, rng.uniform(12, 35)
    made = []
    for number, plane in enumerate(planes):
        image = means[plane].astype(np.float32)
        for phase, told in enumerate(texture):
            if told:
                image += (plane == phase) * (told[0] * _field(plane.shape, rng, told[1]))
        image = gaussian_filter(image, blur)
        image += edges * (image - gaussian_filter(image, blur + 0.8))
        grain = rng.standard_normal(plane.shape).astype(np.float32)
        if correlated:
            grain = gaussian_filter(grain, correlated)
            grain /= grain.std()
        image += grain * noise * (np.sqrt(np.clip(image, 5, None) / 120) if counted else 1)
        rows, columns = plane.shape
        y, x = np.mgrid[:rows, :columns]
        radius = np.hypot(y - rng.uniform(0.2, 0.8) * rows, x - rng.uniform(0.2, 0.8) * columns)
        if ring:
            image += rng.normal(0, ring, int(radius.max()) + 2).astype(np.float32)[radius.astype(int)]
        image += cup * (radius / radius.max()).astype(np.float32) ** 2
        if number:
            image = image * np.exp(gain) + shift
        if veil:
            image = image * (1 + veil * np.clip(_field(plane.shape, rng, wide), -2, 2) / 2)
        made.append(image.astype(np.float32))
    low, high = (float(v) for v in np.percentile(np.stack(made), (0.5, 99.5)))
    if rng.random() < 0.5:
        wider, below = (high - low) * rng.uniform(0, 1.5), rng.random()
        low, high = low - wider * below, high + wider * (1 - below)
    return made, (low, max(high, low + 1))


def episode(geometry: npt.NDArray[np.uint8], rng: Rng, side: int) -> Episode | None:
    """A task on two slices of a geometry; None where the slices drawn do not share two phases."""
    axis = int(rng.integers(3))
    planes = [np.take(geometry, int(i), axis) for i in rng.choice(geometry.shape[axis], 2, replace=False)]
    if len(_shared(planes[:1], planes[1:], 0.03)) < 2:
        return None
    images, window = scanned_pair(planes, rng)
    zoom = float(np.exp(rng.uniform(*np.log(ZOOMS))))
    edge = planes[0].shape[0]
    margin = 0.7 * min(side * zoom / 2, edge / 2)
    crops, truths = [], []
    for number in (0, 0, 1, 1):
        centre = (float(rng.uniform(margin, edge - margin)), float(rng.uniform(margin, edge - margin)))
        view = View(0, 0, centre, zoom, float(rng.uniform(0, 2 * np.pi)), bool(rng.random() < 0.5))
        crops.append(cut(images[number][None], window, view, side))
        truths.append(seen_by(view, planes[number], side))
    shared = _shared(truths[:2], truths[2:], 0.02)
    if len(shared) < 2:
        return None
    truth = np.full((CROPS, side, side), -1, np.int8)
    for number, phase in enumerate(shared):
        truth[np.stack(truths) == phase] = number
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    tone = toned(torch.stack(crops).view(1, 1, -1, side), generator, Augmentation()).clamp(LOW, HIGH)
    return Episode(tone.view(CROPS, 1, side, side), truth, len(shared))


def episodes(volumes: list[npt.NDArray[np.uint8]], count: int, side: int, seed: int) -> list[Episode]:
    """So many tasks on geometries drawn at random."""
    rng = np.random.default_rng((seed, 9))
    made: list[Episode] = []
    while len(made) < count:
        drawn = episode(volumes[int(rng.integers(len(volumes)))], rng, side)
        if drawn is not None:
            made.append(drawn)
    return made


def seen_by(view: View, plane: Plane, side: int) -> Plane:
    """The phases (side, side) at the pixels of a view, as `cut` reads the grey values there: beyond the plane it is reflected."""
    steps = (np.arange(side) - (side - 1) / 2) * view.zoom
    v, u = np.meshgrid(steps, -steps if view.flip else steps, indexing="ij")
    sine, cosine = np.sin(view.angle), np.cos(view.angle)
    places = (view.centre[0] + cosine * v + sine * u, view.centre[1] - sine * v + cosine * u)
    rows, columns = (_folded(np.floor(p).astype(int), size) for p, size in zip(places, plane.shape, strict=True))
    return plane[rows, columns]


def _folded(index: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    index = index % (2 * size)
    return np.where(index < size, index, 2 * size - 1 - index)


def _shared(first: list[Plane], other: list[Plane], least: float) -> list[int]:
    """The phases that take up at least this share of both."""
    shares = [np.bincount(np.stack(part).ravel(), minlength=8) / np.stack(part).size for part in (first, other)]
    return [int(phase) for phase in np.flatnonzero(np.minimum(*shares) > least)]


def _field(shape: tuple[int, ...], rng: Rng, sigma: float) -> Picture:
    """A smooth random plane of unit variance."""
    return smooth((1, *shape), rng, (0, sigma, sigma))[0]  # type: ignore[arg-type,no-any-return]


if __name__ == "__main__":
    from PIL import Image

    tasks = episodes(geometries(28, 3), 12, 96, 0)
    drawn = [
        np.hstack([part for i in (0, 2) for part in (np.clip(t.crops[i, 0].numpy(), 0, 1) * 255, (t.truth[i] + 1) * 60)]) for t in tasks
    ]
    Image.fromarray(np.vstack([np.hstack(drawn[i : i + 3]) for i in range(0, 12, 3)]).astype(np.uint8)).save(sys.argv[1])
