"""Random numbers that depend on a place and a seed alone, so that a volume made block by block is the volume made whole.

Only correctly rounded operations are used (no exp, sin or BLAS), so that bytes do not depend on block edges or processors.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def hashed(seed: int, *coordinates: Ints) -> Hashes:
    """A 64-bit hash of seed and coordinates, broadcast against each other in the order given."""
    h = _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64) + _GOLDEN)
    for c in coordinates:
        h = _mixed((h ^ c.astype(np.uint64)) + _GOLDEN)
    return h


def _mixed(h: Hashes) -> Hashes:
    """The finaliser of SplitMix64; overwrites its argument."""
    h ^= h >> np.uint64(30)
    h *= _MULTIPLIERS[0]
    h ^= h >> np.uint64(27)
    h *= _MULTIPLIERS[1]
    h ^= h >> np.uint64(31)
    return h


def uniform(seed: int, *coordinates: Ints) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), one for each place."""
    return (hashed(seed, *coordinates) >> np.uint64(40)).astype(np.float64) * 2.0**-24


@cache
def _normal_quantiles() -> Floats:
    """The standard normal distribution as 65,536 equally likely values, up to 4.3 either side."""
    from scipy.special import ndtri

    return np.round(ndtri((np.arange(65536) + 0.5) / 65536) * 4096).astype(np.float32) / np.float32(4096)


def normal(seed: int, *coordinates: Ints) -> Floats:
    """Standard normal numbers, one for each place."""
    return np.take(_normal_quantiles(), (hashed(seed, *coordinates) >> np.uint64(48)).astype(np.int64))


def white(seed: int, box: Box) -> Floats:
    """Standard normal numbers (z, y, x), independent from voxel to voxel: four from each hash."""
    (z0, y0, x0), (z1, y1, x1) = box.start, box.stop
    first = x0 // 4
    z, y, x = np.arange(z0, z1), np.arange(y0, y1), np.arange(first, -(-x1 // 4))
    h = hashed(seed, z[:, None, None], y[:, None], x)
    quarters = h.astype("<u8", copy=False).view("<u2")
    return np.take(_normal_quantiles(), quarters)[..., x0 - 4 * first : x1 - 4 * first]


def smooth(seed: int, spacing: float, z: Ints, y: Ints, x: Ints) -> Floats:
    """A smooth random field of mean 0 and variance about 1 at the places z × y × x; it varies over `spacing` voxels.

    Normal numbers on a lattice, blended by quadratic B-splines.
    """
    axes = [_spline(positions, spacing) for positions in (z, y, x)]
    knots = [np.arange(first, first + count) for first, count, _, _ in axes]
    field: Floats = normal(seed, knots[0][:, None, None], knots[1][:, None], knots[2])
    for axis in (2, 1, 0):
        _, _, index, weights = axes[axis]
        shape = [1, 1, 1]
        shape[axis] = len(index)
        blended: Floats | None = None
        for k in range(3):
            term = np.take(field, index + k, axis=axis) * weights[k].reshape(shape)
            blended = term if blended is None else blended + term
        assert blended is not None
        field = blended
    return field * np.float32(0.55**-1.5)


def _spline(positions: Ints, spacing: float) -> tuple[int, int, Ints, tuple[Floats, Floats, Floats]]:
    """First knot, number of knots, index of the first of three knots at each position, and the three weights."""
    t = positions / spacing
    centre = np.floor(t + 0.5)
    d = t - centre
    index = centre.astype(np.int64) - 1
    first = int(index[0])
    weights = (0.5 * (0.5 - d) ** 2, 0.75 - d**2, 0.5 * (0.5 + d) ** 2)
    a, b, c = (w.astype(np.float32) for w in weights)
    return first, int(index[-1]) - first + 3, index - first, (a, b, c)
