"""A simulated set of rocks with known properties, for tests and benchmarks: slices of random geometries of several types.

Porosity is that of the sample's geometry, and permeability follows from it and its surface (Kozeny 1927, Carman 1937). Scanner, contrast,
blur and noise differ from sample to sample, and say nothing of either.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = ("blobs", "layers", "sponge", "grains", "vugs")
"""Types of geometry: what looks alike."""
KOZENY = 5.0


@dataclass(frozen=True, eq=False)
class Slices:
    """One sample: `images` (n, y, x) in eight bits, of a rock of this kind. `permeability` is in squares of a voxel's edge."""

    name: str
    kind: str
    porosity: float
    permeability: float
    images: npt.NDArray[np.uint8]


def rocks(samples: int, slices: int = 4, size: int = 96, seed: int = 0, kinds: Sequence[str] = KINDS) -> list[Slices]:
    """So many samples, the kinds in turn."""
    return [_sample(f"S{i:03d}", kinds[i % len(kinds)], slices, size, seed * 100_003 + i) for i in range(samples)]


def _sample(name: str, kind: str, slices: int, size: int, seed: int) -> Slices:
    rng = np.random.default_rng(seed)
    porosity, length = rng.uniform(0.08, 0.4), float(np.exp(rng.uniform(np.log(1.6), np.log(5.0))))
    pores = np.stack([_pores(kind, size, length, porosity, rng) for _ in range(slices)])
    true = float(pores.mean())
    surface = sum(float((np.diff(pores.astype(np.int8), axis=axis) != 0).mean()) for axis in (1, 2)) * np.pi / 4 * 4 / np.pi
    dark, bright = rng.uniform(50, 90), rng.uniform(150, 200)
    blur, noise = rng.uniform(0.4, 1.1), rng.uniform(4, 20)
    grey = np.stack([_blurred(np.where(p, dark, bright), blur) for p in pores]) + rng.normal(0, noise, pores.shape)
    return Slices(name, kind, true, true**3 / (KOZENY * surface**2), np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def _pores(kind: str, size: int, length: float, porosity: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    if kind == "layers":
        field = _field(size, (0.6 * length, 3.5 * length), rng)
    elif kind == "sponge":
        field = -np.abs(_field(size, (1.5 * length, 1.5 * length), rng))
    elif kind == "grains":
        field = _between(size, 3.2 * length, rng)
    elif kind == "vugs":
        field = _field(size, (0.7 * length, 0.7 * length), rng) + 1.6 * _field(size, (3 * length, 3 * length), rng)
    else:
        field = _field(size, (length, length), rng)
    found: npt.NDArray[np.bool_] = field > np.quantile(field, 1 - porosity)
    return found


def _field(size: int, lengths: tuple[float, float], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A Gaussian random field (y, x) of deviation 1 and these correlation lengths."""
    from scipy.ndimage import gaussian_filter

    made = gaussian_filter(rng.normal(size=(size, size)), lengths, mode="wrap")
    return np.asarray((made - made.mean()) / made.std(), np.float64)


def _between(size: int, grain: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """How far each pixel lies from the middles of grains, for pores lie between them."""
    from scipy.ndimage import distance_transform_edt

    middles = np.ones((size, size), bool)
    count = max(4, round((size / (2 * grain)) ** 2 * 1.3))
    middles[tuple(rng.integers(0, size, (2, count)))] = False
    return np.asarray(distance_transform_edt(middles), np.float64)


def _blurred(values: npt.NDArray[Any], sigma: float) -> npt.NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values.astype(np.float64), sigma), np.float64)


def write_rocks(folder: Path, samples: Sequence[Slices]) -> Path:
    """The slices as PNG, named by sample and slice, in one folder a kind, and a table of the samples beside them; gives the table."""
    from PIL import Image

    for sample in samples:
        (folder / "images" / sample.kind).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(sample.images):
            Image.fromarray(image).save(folder / "images" / sample.kind / f"{sample.name}_{number}.png")
    table = folder / "rocks.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "sample_name", "kind", "porosity", "permeability"])
        for sample in samples:
            for number in range(len(sample.images)):
                rows.writerow([f"{sample.name}_{number}", sample.name, sample.kind, f"{sample.porosity:.6g}", f"{sample.permeability:.6g}"])
    return table
