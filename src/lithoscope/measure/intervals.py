"""How far a fraction may be off because only so much of the material was scanned."""

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple

TILES = 64
"""About as many tiles as the volume is cut into, and never into tiles of less than `SMALLEST` voxels an edge."""
SMALLEST = 8
FEWEST = 8
"""With fewer tiles than this no interval is given."""
RESAMPLES = 2000
CONFIDENCE = 0.95


def tile_edges(shape: Triple) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the nearly cubic tiles of a volume begin and end along z, y and x."""
    edge = max(float(SMALLEST), (shape[0] * shape[1] * shape[2] / TILES) ** (1 / 3))
    z, y, x = (np.linspace(0, n, max(1, round(n / edge)) + 1).round().astype(np.int64) for n in shape)
    return z, y, x


def sampling_intervals(
    counts: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], *, seed: int = 0
) -> list[tuple[float, float]] | None:
    """The 95 % interval of each weighted fraction, by drawing tiles with replacement; None with too few tiles.

    `counts` (tiles, classes) holds the voxels of each class in each tile; `weights` (quantities, classes) says how much of a class
    counts towards each quantity: the rows of the identity for the classes' fractions, their porosities for the porosity. The tiles
    are taken for independent, so they must be larger than the structures of the material.
    """
    filled = counts[counts.sum(axis=1) > 0]
    if len(filled) < FEWEST:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(filled), np.full(len(filled), 1 / len(filled)), size=RESAMPLES)
    sums = (drawn @ filled).astype(np.float64)
    fractions = sums @ weights.T / sums.sum(axis=1, keepdims=True)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(fractions, [tail, 100 - tail], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
