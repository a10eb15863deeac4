"""The largest sphere within a phase that holds a voxel (Hildebrand and Rüegsegger 1997), exact on the grid of voxels.

A sphere is what is nearer to its centre, a voxel of the phase, than any wall is; walls are the centres of voxels of other phases.
Spheres that lie in that of a neighbour need not be drawn, which leaves the middle of the phase (Rémy and Thiel 2002).
Lengths are in units of the smallest edge of a voxel.
"""

from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple

Edges = tuple[float, float, float]
"""Of a voxel (z, y, x), the smallest 1."""

_SLACK = 1e-6
"""Squared lengths this near to each other are the same."""
_SMALL = 9.0
"""Spheres of up to this squared radius are drawn many at a time."""
_DRAWN = 300
"""So many voxels are drawn sphere by sphere in the time in which the distance transform does one."""
_AT_ONCE = 1 << 22


def distances(wall: npt.NDArray[np.bool_], edges: Edges) -> npt.NDArray[np.float64]:
    """How far each voxel (z, y, x) is from the nearest wall; infinite where there is none."""
    from scipy.ndimage import distance_transform_edt

    if not wall.any():
        return np.full(wall.shape, np.inf)
    return np.asarray(distance_transform_edt(~wall, sampling=edges), np.float64)


def from_core(shape: Triple, start: Triple, stop: Triple, edges: Edges) -> npt.NDArray[np.float64]:
    """How far each voxel of a window (z, y, x) is from the nearest one of the box within it."""
    lines = [
        np.maximum.reduce([a - np.arange(n), np.arange(n) - (b - 1), np.zeros(n)]) * edge
        for n, a, b, edge in zip(shape, start, stop, edges, strict=True)
    ]
    found: npt.NDArray[np.float64] = np.sqrt(lines[0][:, None, None] ** 2 + lines[1][:, None] ** 2 + lines[2] ** 2)
    return found


def largest_spheres(radii: npt.NDArray[np.float64], start: Triple, stop: Triple, edges: Edges) -> npt.NDArray[np.float32]:
    """The radius of the largest sphere over each voxel of the box start … stop within a window; 0 where there is none.

    `radii` (z, y, x) are the spheres', 0 where none begins; none may be larger than it is far from the window's box to the window's
    end, but where the scan itself ends.
    """
    centres = np.argwhere(radii > from_core((radii.shape[0], radii.shape[1], radii.shape[2]), start, stop, edges))
    size = tuple(b - a for a, b in zip(start, stop, strict=True))
    if not len(centres):
        return np.zeros(size, np.float32)
    squares = np.round(radii[tuple(centres.T)] ** 2, 6)
    kept = ~_within_a_neighbour(radii, centres, squares, edges)
    margin = np.array([2 * n for n in _steps(min(float(squares.max()), _SMALL), edges)])
    order = np.argsort(squares[kept], kind="stable")
    centres, squares = centres[kept][order] - np.array(start) + margin, squares[kept][order]
    drawn = np.zeros(tuple(size + 2 * margin), np.float32)
    values, firsts = np.unique(squares, return_index=True)
    for square, own in zip(values.tolist(), np.split(centres, firsts[1:]), strict=True):
        _draw(drawn, own, square, edges)
    return drawn[tuple(slice(m, m + n) for m, n in zip(margin, size, strict=True))]


def _draw(drawn: npt.NDArray[np.float32], centres: npt.NDArray[np.int64], square: float, edges: Edges) -> None:
    """Lay spheres of one size over smaller ones; small ones lie wholly in what is drawn."""
    radius, limit, steps = np.float32(np.sqrt(square)), square - _SLACK * max(1.0, square), _steps(square, edges)
    lines = np.ogrid[tuple(slice(-n, n + 1) for n in steps)]
    ball: npt.NDArray[np.bool_] = np.asarray(sum(g**2 * edge**2 for g, edge in zip(lines, edges, strict=True)) < limit)
    if square <= _SMALL:
        _, width, depth = drawn.shape
        points = np.argwhere(ball) - np.array(steps)
        offsets = (points[:, 0] * width + points[:, 1]) * depth + points[:, 2]
        places, flat = np.ravel_multi_index(tuple(centres.T), drawn.shape), drawn.reshape(-1)
        step = max(1, _AT_ONCE // len(offsets))
        for at in range(0, len(places), step):
            flat[(places[at : at + step, None] + offsets).reshape(-1)] = radius
    elif ball.size * len(centres) > _DRAWN * drawn.size:
        _draw_at_once(drawn, centres, limit, radius, edges)
    else:
        lows = centres - np.array(steps)
        highs = centres + np.array(steps) + 1
        cuts, ends = np.maximum(-lows, 0), np.array(ball.shape) - np.maximum(highs - np.array(drawn.shape), 0)
        lows, highs = np.maximum(lows, 0), np.minimum(highs, np.array(drawn.shape))
        for (a, b, c), (d, e, f), (g, h, i), (j, k, m) in zip(lows.tolist(), highs.tolist(), cuts.tolist(), ends.tolist(), strict=True):
            np.copyto(drawn[a:d, b:e, c:f], radius, where=ball[g:j, h:k, i:m])


def _draw_at_once(drawn: npt.NDArray[np.float32], centres: npt.NDArray[np.int64], limit: float, radius: np.float32, edges: Edges) -> None:
    """The same for many spheres of one size, by their distances."""
    from scipy.ndimage import distance_transform_edt

    low, high = np.minimum(centres.min(axis=0), 0), np.maximum(centres.max(axis=0) + 1, drawn.shape)
    free = np.ones(tuple(high - low), np.bool_)
    free[tuple((centres - low).T)] = False
    near = np.asarray(distance_transform_edt(free, sampling=edges))[tuple(slice(-a, n - a) for a, n in zip(low, drawn.shape, strict=True))]
    drawn[near**2 < limit] = radius


def _within_a_neighbour(
    radii: npt.NDArray[np.float64], centres: npt.NDArray[np.int64], squares: npt.NDArray[np.float64], edges: Edges
) -> npt.NDArray[np.bool_]:
    """Which spheres lie within that of one of the 26 neighbours of their centre, voxel for voxel."""
    padded = np.pad(radii, 1)
    found = np.zeros(len(centres), np.bool_)
    _, norms = lattice(_steps(float(squares.max()), edges), edges)
    last = np.searchsorted(norms, squares - _SLACK * np.maximum(1.0, squares), side="left") - 1
    for step in product((-1, 0, 1), repeat=3):
        if any(step):
            farthest = _farthest(_steps(float(squares.max()), edges), edges, (abs(step[0]), abs(step[1]), abs(step[2])))[last]
            there = padded[tuple((centres + 1 + np.array(step)).T)] ** 2
            found |= there > farthest + _SLACK * np.maximum(1.0, farthest)
    return found


def _steps(square: float, edges: Edges) -> Triple:
    """How many voxels a sphere reaches along each axis."""
    z, y, x = (int(np.ceil(np.sqrt(square) / edge)) for edge in edges)
    return (z, y, x)


@lru_cache(maxsize=8)
def lattice(steps: Triple, edges: Edges) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The voxels (n, 3) around one, nearest first, and their squared distances."""
    points = np.stack([g.ravel() for g in np.meshgrid(*(np.arange(-n, n + 1) for n in steps), indexing="ij")], axis=1)
    norms = points**2 @ np.array(edges) ** 2
    order = np.argsort(norms, kind="stable")
    limit = min((n * edge) ** 2 for n, edge in zip(steps, edges, strict=True))
    order = order[: np.searchsorted(norms[order], limit * (1 + _SLACK), side="right")]
    return points[order], norms[order]


@lru_cache(maxsize=16)
def _farthest(steps: Triple, edges: Edges, step: Triple) -> npt.NDArray[np.float64]:
    """For the nearest 1, 2, 3 … voxels around one: the squared distance of the farthest of them from its neighbour."""
    points, _ = lattice(steps, edges)
    away = (points + np.array(step)) ** 2 @ np.array(edges) ** 2
    return np.maximum.accumulate(away)
