"""How far a fraction may be off because only so much of the material was scanned: a bootstrap over blocks of the volume.

Blocks are at least three correlation lengths wide, so that most of what one says is not said by its neighbour. What they
still share is given back: the spread is widened by the ratio of the variance that the measured correlation implies for
the whole volume to the one that independent blocks would have; and, for few blocks, as Student's t widens the normal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.measure.correlation import Correlation, variance_of_mean
from lithoscope.volume.box import Triple

TILES = 16
"""The volume is counted in at most so many tiles an axis, of at least `SMALLEST` voxels; blocks are whole tiles."""
SMALLEST = 4
BLOCKS = 64
"""About as many blocks are drawn from, if the correlation length allows."""
LENGTHS = 3
"""The least width of a block, in correlation lengths."""
FEWEST = 8
"""With fewer blocks than this no interval is given."""
RESAMPLES = 2000
CONFIDENCE = 0.95


def tile_edges(shape: Triple, *, apart: bool = False) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the nearly equal tiles of a volume begin and end along z, y and x; one slice thick where slices are images `apart`."""
    z, y, x = (np.linspace(0, n, max(1, min(TILES, n // SMALLEST)) + 1).round().astype(np.int64) for n in shape)
    return (np.arange(shape[0] + 1) if apart else z), y, x


@dataclass(frozen=True)
class Blocks:
    """Tiles gathered to blocks: `counts` (blocks, classes), how many lie along each axis, and `widen` (classes)."""

    counts: npt.NDArray[np.int64]
    grid: Triple
    widen: npt.NDArray[np.float64]


def gathered(tiles: npt.NDArray[np.int64], shape: Triple, correlation: Sequence[Correlation | None]) -> Blocks:
    """Blocks of tiles (z, y, x, classes) that are wide enough; `correlation` is of each class, None where it has none."""
    known = [c for c in correlation if c is not None]
    lengths = [max([LENGTHS * c.lengths[axis] for c in known], default=0.0) for axis in range(3)]
    edge = max(float(SMALLEST), (shape[0] * shape[1] * shape[2] / BLOCKS) ** (1 / 3))
    grid = []
    counts = tiles
    for axis, size in enumerate(shape):
        along = max(1, min(round(size / edge), int(size // lengths[axis]) if lengths[axis] else size, tiles.shape[axis]))
        starts = np.linspace(0, tiles.shape[axis], along + 1).round().astype(np.int64)[:-1]
        counts = np.add.reduceat(counts, starts, axis=axis)
        grid.append(along)
    widen = np.ones(tiles.shape[-1])
    for column, c in enumerate(correlation):
        if c is not None:
            for axis, (size, along) in enumerate(zip(shape, grid, strict=True)):
                ratio = variance_of_mean(c.along[axis], size) * along / variance_of_mean(c.along[axis], max(1, size // along))
                widen[column] *= max(1.0, float(ratio)) ** 0.5
    return Blocks(counts.reshape(-1, tiles.shape[-1]), (grid[0], grid[1], grid[2]), widen)


def sampling_intervals(
    counts: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    *,
    widen: npt.NDArray[np.float64] | None = None,
    seed: int = 0,
) -> list[tuple[float, float]] | None:
    """The 95 % interval of each weighted fraction, by drawing blocks with replacement; None with too few blocks.

    `counts` (blocks, classes) holds the voxels of each class in each block; `weights` (quantities, classes) says how much of a class
    counts towards each quantity: the rows of the identity for the classes' fractions, their porosities for the porosity. `widen`
    (classes) is by how much the spread of each class is larger than blocks taken for independent show; a quantity of several
    classes takes the largest of theirs.
    """
    filled = counts[counts.sum(axis=1) > 0]
    if len(filled) < FEWEST:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(filled), np.full(len(filled), 1 / len(filled)), size=RESAMPLES)
    sums = (drawn @ filled).astype(np.float64)
    fractions = sums @ weights.T / sums.sum(axis=1, keepdims=True)
    value = filled.sum(axis=0) @ weights.T / filled.sum()
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(fractions, [tail, 100 - tail], axis=0)
    wider = _student(len(filled) - 1) * np.array([_of(row, widen) for row in weights])
    least, most = weights.min(axis=1), weights.max(axis=1)
    low, high = np.maximum(value - (value - low) * wider, least), np.minimum(value + (high - value) * wider, most)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _of(weights: npt.NDArray[np.float64], widen: npt.NDArray[np.float64] | None) -> float:
    """The widening of a quantity."""
    return 1.0 if widen is None else float(widen[weights > 0].max(initial=1.0))


def _student(freedom: int) -> float:
    """By how much wider an interval is that knows its spread from so few blocks, than the bootstrap's percentiles say."""
    from scipy.stats import norm, t

    upper = (1 + CONFIDENCE) / 2
    return float(t.ppf(upper, freedom) / norm.ppf(upper) * ((freedom + 1) / freedom) ** 0.5)
