"""A rock that never was: angular grains, clay between them, pores. Every voxel follows from its place and the seed.

What a scanner would make of it is in `simulate`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.volume import noise
from lithoscope.volume.box import Box

PORE, CLAY, GRAIN = 1, 2, 3
"""The classes of the truth, by rising grey level."""

_FACES = 7


@dataclass(frozen=True, slots=True)
class Rock:
    """What the rock is made of: `grain` is the distance between grains in voxels; more `clay` fills more pores."""

    seed: int = 0
    grain: float = 28.0
    clay: float = 0.45


@dataclass(frozen=True, slots=True)
class _Grain:
    centre: tuple[float, float, float]
    radius: float
    faces: list[tuple[float, float, float, float]]
    tone: float


def phases(rock: Rock, box: Box) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The class of each voxel of `box`, and how its material differs from the mean of its class, in parts of the contrast.

    Grains are laid out on every second voxel and interpolated; the box may reach anywhere.
    """
    coarse = [np.arange(a // 2, -(-(b - 1) // 2) + 1) * 2 for a, b in zip(box.start, box.stop, strict=True)]
    z, y, x = coarse
    margin = np.float32(0.35 * rock.grain)
    depth, tone = _grains(rock, coarse, float(margin))
    seed = rock.seed * 16
    depth += np.float32(0.055 * rock.grain) * noise.smooth(seed + 1, 0.28 * rock.grain, z, y, x)
    patches = noise.smooth(seed + 2, 1.1 * rock.grain, z, y, x) + np.float32(0.35) * noise.smooth(seed + 3, 0.2 * rock.grain, z, y, x)
    clayey = patches + np.float32(2.0) * depth / margin
    depth, clayey = (_doubled(field, coarse, box) for field in (depth, clayey))
    solid = depth > 0
    labels = np.where(solid, np.uint8(GRAIN), np.where(clayey > np.float32(0.1 - rock.clay), np.uint8(CLAY), np.uint8(PORE)))
    full = [np.arange(a, b) for a, b in zip(box.start, box.stop, strict=True)]
    texture = np.float32(0.22) * noise.smooth(seed + 4, 2.6, *full)
    nearest = np.ix_(*(positions // 2 - axis[0] // 2 for positions, axis in zip(full, coarse, strict=True)))
    material = np.where(solid, tone[nearest], np.where(labels == CLAY, texture, np.float32(0)))
    return labels, material


def _grains(rock: Rock, axes: list[npt.NDArray[np.int64]], margin: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """How deep each place lies within a grain, in voxels (down to -margin outside), and that grain's tone."""
    shape = tuple(len(a) for a in axes)
    depth = np.full(shape, -margin, np.float32)
    tone = np.zeros(shape, np.float32)
    for grain in _near(rock, [(int(a[0]), int(a[-1])) for a in axes], margin):
        reach = grain.radius + margin
        ranges = [
            slice(int(np.searchsorted(a, c - reach)), int(np.searchsorted(a, c + reach, side="right")))
            for a, c in zip(axes, grain.centre, strict=True)
        ]
        if any(r.start >= r.stop for r in ranges):
            continue
        dz, dy, dx = ((a[r] - c).astype(np.float32) for a, r, c in zip(axes, ranges, grain.centre, strict=True))
        dz, dy = dz[:, None, None], dy[:, None]
        inner = np.float32(grain.radius) - np.sqrt(dz * dz + (dy * dy + dx * dx))
        for nz, ny, nx, distance in grain.faces:
            plane = np.float32(nz) * dz + (np.float32(ny) * dy + np.float32(nx) * dx)
            np.minimum(inner, np.float32(distance) - plane, out=inner)
        place = (ranges[0], ranges[1], ranges[2])
        deeper = inner > depth[place]
        np.copyto(depth[place], inner, where=deeper)
        np.copyto(tone[place], np.float32(grain.tone), where=deeper)
    return depth, tone


def _near(rock: Rock, ranges: list[tuple[int, int]], margin: float) -> list[_Grain]:
    """The grains, one a cell of the jittered grid, that may reach the places within `ranges`."""
    size, seed = rock.grain, rock.seed * 16 + 8
    reach = 0.86 * size + margin
    cells = [np.arange(int((a - reach) // size), int((b + reach) // size) + 1) for a, b in ranges]
    grid = np.meshgrid(*cells, indexing="ij")
    z, y, x = (g.ravel() for g in grid)
    draws = [noise.uniform(seed, z, y, x, np.full_like(z, k)) for k in range(5 + 4 * _FACES)]
    centres = [(c + 0.05 + 0.9 * d) * size for c, d in zip((z, y, x), draws, strict=False)]
    radius = (0.56 + 0.26 * draws[3]) * size
    tones = np.where(draws[4] > 0.78, 0.28, 0.08 * draws[4])
    faces = []
    for k in range(_FACES):
        nz, ny, nx, distance = draws[5 + 4 * k : 9 + 4 * k]
        nz, ny, nx = nz - 0.5, ny - 0.5, nx - 0.5
        length = np.sqrt(nz * nz + ny * ny + nx * nx) + 1e-9
        faces.append((nz / length, ny / length, nx / length, (0.62 + 0.3 * distance) * radius))
    return [
        _Grain(
            (float(centres[0][i]), float(centres[1][i]), float(centres[2][i])),
            float(radius[i]),
            [(float(a[i]), float(b[i]), float(c[i]), float(d[i])) for a, b, c, d in faces],
            float(tones[i]),
        )
        for i in range(len(z))
    ]


def _doubled(field: npt.NDArray[np.float32], axes: list[npt.NDArray[np.int64]], box: Box) -> npt.NDArray[np.float32]:
    """A field given on even places, interpolated linearly to every voxel of the box."""
    for axis, (positions, start, stop) in enumerate(zip(axes, box.start, box.stop, strict=True)):
        wide = np.repeat(field, 2, axis=axis)
        between = np.moveaxis(wide, axis, 0)
        given = np.moveaxis(field, axis, 0)
        between[1:-1:2] = (given[:-1] + given[1:]) * np.float32(0.5)
        first = int(positions[0])
        field = np.take(wide, np.arange(start - first, stop - first), axis=axis)
    return field
