"""What a scanner makes of a known geometry: scans whose exact truth is known, for the sample, the tests and the benchmarks.

The image is blurred by a Gaussian point spread and has cupping, rings around the rotation axis, noise, and zeros outside a circular
field of view. It is made box by box in bounded memory, and is the same bytes whatever the boxes.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume import noise
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import Cylinder
from lithoscope.volume.rock import CLAY, GRAIN, PORE, Rock, phases
from lithoscope.volume.voxel import Voxel

SCALES = {"uint8": 1.0, "uint16": 200.0}
"""How many grey levels a scan of each dtype has to one of an 8-bit scan."""

_RING_BAND = 24
_TILE = 128
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Scanner:
    """Grey levels and faults, in the levels of an 8-bit scan; lengths are in voxels.

    `levels` is the grey of pore, clay and grain; `psf` the sigma of the point spread; `noise` and `rings` are standard deviations;
    `cupping` is the part by which the axis is darker than the rim; outside the `circular` field of view all is 0.
    """

    levels: tuple[float, float, float] = (48.0, 106.0, 164.0)
    psf: float = 1.0
    noise: float = 9.0
    rings: float = 4.5
    cupping: float = 0.06
    circular: bool = True


@dataclass(slots=True)
class Sample:
    """A simulated scan of a rock, read like a file: its planes are made when asked for."""

    shape: Triple
    seed: int = 0
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))
    voxel: Voxel | None = field(default_factory=lambda: Voxel((2.5, 2.5, 2.5), "micrometer"))
    scanner: Scanner = field(default_factory=Scanner)
    metadata: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = {"format": "simulated rock", "seed": self.seed}

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """Slices z0 ≤ z < z1 as (z, y, x)."""
        box = Box((z0, 0, 0), (z1, *self.shape[1:]))
        return _tiled(box, self.dtype, lambda tile: self.scanned(tile)[0])

    def scanned(self, box: Box) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
        """Image and truth of a box."""
        return rock(self.shape, self.seed, box, dtype=self.dtype.name, scanner=self.scanner)

    def truth(self, box: Box) -> npt.NDArray[np.uint8]:
        """The truth alone, which is made faster."""
        truth = _tiled(box, np.dtype(np.uint8), lambda tile: phases(Rock(self.seed), tile)[0])
        inside = circle(self.shape).inside(box) if self.scanner.circular else None
        return truth if inside is None else truth * inside

    def close(self) -> None:
        """Nothing is open."""


def rock(
    shape: Triple, seed: int, box: Box | None = None, *, dtype: str = "uint8", scanner: Scanner | None = None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Image and truth (1 pore, 2 clay, 3 grain, 0 outside the field of view) of a box of a scan of this shape, each (z, y, x)."""
    scanner = scanner or Scanner()
    box = box or Box.whole(shape)
    halo = _halo(scanner.psf)
    around = box.grow((halo, halo, halo))
    labels, material = phases(Rock(seed), around)
    levels = np.array([0.0, *scanner.levels], np.float32)
    clean = levels[labels]
    pore, _, solid = scanner.levels
    clean += np.where(labels == PORE, np.float32(0), np.float32(0.5 * (solid - pore)) * material)
    truth = labels[box.within(around).slices].copy()
    inside = circle(shape).inside(box) if scanner.circular else None
    if inside is not None:
        truth *= inside
    return _scanned(clean, shape, box, seed, dtype, scanner, inside), truth


def scan_of(
    geometry: npt.NDArray[Any], levels: dict[int, float], *, dtype: str = "uint8", seed: int = 0, scanner: Scanner | None = None
) -> npt.NDArray[Any]:
    """The scan of a geometry (z, y, x) whose values have the grey `levels` given; its scanner's own levels are not used.

    The geometry stays the exact truth; it is continued by its edge voxels.
    """
    scanner = scanner or Scanner()
    missing = sorted(set(np.unique(geometry).tolist()) - set(levels))
    if missing:
        raise InputError(f"the geometry holds {missing}, which have no grey level; give levels={{value: grey}} for each")
    shape = (geometry.shape[0], geometry.shape[1], geometry.shape[2])
    clean = np.zeros(shape, np.float32)
    for value, grey in levels.items():
        clean[geometry == value] = grey
    box = Box.whole(shape)
    clean = np.pad(clean, _halo(scanner.psf), mode="edge")
    return _scanned(clean, shape, box, seed, dtype, scanner, circle(shape).inside(box) if scanner.circular else None)


def circle(shape: Triple) -> Cylinder:
    """The field of view of a circular scan: the largest circle that the planes hold."""
    _, height, width = shape
    return Cylinder((height - 1) / 2, (width - 1) / 2, min(height, width) / 2)


def _halo(psf: float) -> int:
    return int(np.ceil(4 * psf))


def _offsets(shape: Triple, box: Box) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Distances from the rotation axis, (y, 1) and (1, x), in voxels."""
    y = np.arange(box.start[1], box.stop[1]) - (shape[1] - 1) / 2
    x = np.arange(box.start[2], box.stop[2]) - (shape[2] - 1) / 2
    return y.astype(np.float32)[:, None], x.astype(np.float32)[None]


def _scanned(
    clean: npt.NDArray[np.float32],
    shape: Triple,
    box: Box,
    seed: int,
    dtype: str,
    scanner: Scanner,
    inside: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[Any]:
    """The scan of `clean`, which has the halo of the point spread around `box`."""
    if dtype not in SCALES:
        raise InputError(f"dtype {dtype!r} cannot be simulated; use {' or '.join(SCALES)}")
    image = _blurred(clean, scanner.psf)
    y, x = _offsets(shape, box)
    square = (y * y + x * x)[None]
    rim = np.float32(max(min(shape[1:]) / 2, 1.0) ** 2)
    image *= np.float32(1) - np.float32(scanner.cupping) * (np.float32(1) - np.minimum(square / rim, np.float32(1)))
    if scanner.rings:
        image += np.float32(scanner.rings) * _rings(seed * 16 + 5, box, np.sqrt(square[0]))
    if scanner.noise:
        image += np.float32(scanner.noise) * noise.white(seed * 16 + 7, box)
    image *= np.float32(SCALES[dtype])
    top = np.iinfo(dtype).max
    scan: npt.NDArray[Any] = np.clip(np.rint(image), 1, top).astype(dtype)
    if inside is not None:
        scan *= inside
    return scan


def _blurred(clean: npt.NDArray[np.float32], psf: float) -> npt.NDArray[np.float32]:
    """Gaussian blur, less the halo."""
    halo = _halo(psf)
    if not halo:
        return clean.copy()
    from scipy.ndimage import correlate1d

    places = np.arange(-halo, halo + 1)
    kernel = np.exp(-0.5 * (places / psf) ** 2)
    kernel /= kernel.sum()
    for axis in range(3):
        cut = [slice(None)] * 3
        cut[axis] = slice(halo, clean.shape[axis] - halo)
        clean = correlate1d(clean, kernel, axis=axis, mode="nearest")[tuple(cut)]
    return np.ascontiguousarray(clean)


def _rings(seed: int, box: Box, radius: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rings of unit deviation, mostly faint and some strong, that change slowly along z; (z, y, x)."""
    z = np.arange(box.start[0], box.stop[0])
    index = np.floor(radius).astype(np.int64)
    part = radius - index.astype(np.float32)
    distances = np.arange(int(index.max()) + 2)
    bands = np.arange(z[0] // _RING_BAND, z[-1] // _RING_BAND + 2)
    strength = noise.normal(seed, bands[:, None], distances)
    strength = strength * np.abs(strength) * np.float32(0.577)
    profiles = strength[z // _RING_BAND - bands[0]]
    along = ((z % _RING_BAND) / np.float32(_RING_BAND)).astype(np.float32)[:, None]
    profiles = profiles + along * (strength[z // _RING_BAND - bands[0] + 1] - profiles)
    lower = np.take(profiles, index, axis=1)
    rings: npt.NDArray[np.float32] = lower + part * (np.take(profiles, index + 1, axis=1) - lower)
    return rings


def _tiled(box: Box, dtype: np.dtype[Any], make: Callable[[Box], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """An array over `box`, made in tiles so that no more than a few of them are worked on at a time."""
    whole = np.empty(box.shape, dtype)

    def fill(tile: Box) -> None:
        whole[tile.within(box).slices] = make(tile)

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), thread_name_prefix="simulating") as pool:
        list(pool.map(fill, blocks(box, (_TILE, _TILE, _TILE))))
    return whole


__all__ = ["CLAY", "GRAIN", "PORE", "Sample", "Scanner", "circle", "rock", "scan_of"]
