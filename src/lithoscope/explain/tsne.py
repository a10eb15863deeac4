"""t-SNE in time that grows with the number of points: who attracts whom is a sparse matrix, who repels whom a convolution on a grid.

The method is that of van der Maaten and Hinton (JMLR 2008) with the repulsion of Linderman, Rachh, Hoskins, Steinerberger and Kluger
(Nature Methods 2019): points are spread over the nodes of a grid by cubic interpolation, the kernels are applied there by FFT, and
the sums are read back at the points by the same weights. Start and steps are scikit-learn's.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

STEPS = 750
EARLY = 250
"""Steps in the beginning, during which attraction is exaggerated so that groups find together."""
EXAGGERATION = 12.0
SPACING = 1 / 3
"""Between nodes, at most; the kernels are smooth over lengths of 1, and forces are right to one or two hundredths."""
LEAST_NODES, MOST_NODES = 48, 1800
"""Along a side; over a larger extent than the most can hold, nodes lie further apart."""
FEW = 400
"""Up to so many points all pairs are summed."""
PIECE = 1000


def tsne(vectors: Floats, *, perplexity: float = 30.0, seed: int = 0, steps: int = STEPS, report: Report = silent) -> Floats:
    """Places (n, 2) of vectors (n, channels), at least three; equal seeds give equal places on one machine."""
    count = len(vectors)
    pull = _Attraction(affinities(vectors, perplexity, report))
    rng = np.random.default_rng(seed)
    at = _main_directions(vectors) * 1e-4 + rng.normal(0, 1e-8, (count, 2))
    rate = max(count / EXAGGERATION, 200.0)
    moved, gains = np.zeros_like(at), np.ones_like(at)
    for step in range(steps):
        report(Progress(step, steps, "t-SNE"))
        early = step < EARLY
        push, total = repulsion(at)
        slope = (EXAGGERATION if early else 1.0) * pull(at) - push / total
        same = slope * moved > 0
        gains = np.maximum(np.where(same, gains * 0.8, gains + 0.2), 0.01)
        moved = (0.5 if early else 0.8) * moved - rate * gains * slope
        at = at + moved
    _kernels.cache_clear()
    report(Progress(steps, steps, "t-SNE"))
    made: Floats = (at - at.mean(0)).astype(np.float32)
    return made


def affinities(vectors: Floats, perplexity: float, report: Report = silent) -> Any:
    """How near points are to each other: a sparse symmetric matrix (n, n) that sums to one, of 3 · perplexity neighbours a point."""
    from scipy.sparse import csr_array

    count = len(vectors)
    kept = min(count - 1, int(3 * perplexity) + 1)
    near, apart = _neighbours(vectors - vectors.mean(0), kept, report)
    shares = _of_perplexity(apart, min(perplexity, kept / 1.01))
    one = csr_array((shares.ravel(), near.ravel(), np.arange(0, count * kept + 1, kept)), shape=(count, count))
    both = (one + one.T).tocsr()
    both.sort_indices()
    return both / both.sum()


def _neighbours(vectors: Floats, kept: int, report: Report) -> tuple[npt.NDArray[np.int64], Floats]:
    """The nearest points (n, kept) of each, and their squared distances."""
    count, lengths = len(vectors), (vectors**2).sum(1)
    near, apart = np.empty((count, kept), np.int64), np.empty((count, kept), np.float32)
    for start in range(0, count, PIECE):
        report(Progress(0, 0, "t-SNE: finding neighbours"))
        rows = slice(start, min(start + PIECE, count))
        squares = lengths[rows, None] + lengths - 2 * vectors[rows] @ vectors.T
        squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = np.inf
        near[rows] = np.argpartition(squares, kept - 1, axis=1)[:, :kept]
        apart[rows] = np.take_along_axis(squares, near[rows], 1)
    return near, np.maximum(apart, 0)


def _of_perplexity(apart: Floats, perplexity: float) -> Doubles:
    """Shares (n, kept) exp(-β d²) of the neighbours, β such that their entropy is that of `perplexity` equal ones."""
    squares = (apart - apart.min(1, keepdims=True)).astype(np.float64)
    beta = 1 / np.maximum(squares.mean(1, keepdims=True), 1e-12)
    low, high = np.zeros_like(beta), np.full_like(beta, np.inf)
    shares = np.empty_like(squares)
    for _ in range(60):
        shares = np.exp(-beta * squares)
        total = shares.sum(1, keepdims=True)
        entropy = np.log(total) + beta * (squares * shares).sum(1, keepdims=True) / total
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), beta * 2, (low + np.where(np.isinf(high), 0, high)) / 2)
    made: Doubles = shares / shares.sum(1, keepdims=True)
    return made


class _Attraction:
    """What pulls points together: Σ p (yᵢ - yⱼ) / (1 + |yᵢ - yⱼ|²) over neighbours."""

    def __init__(self, near: Any) -> None:
        self._first = near.indptr[:-1].astype(np.intp)
        self._row = np.repeat(np.arange(near.shape[0]), np.diff(near.indptr))
        self._column = near.indices.astype(np.intp)
        self._share = near.data.astype(np.float32)

    def __call__(self, at: Doubles) -> Doubles:
        x, y = at.T.astype(np.float32)
        dx, dy = x[self._row] - x[self._column], y[self._row] - y[self._column]
        weight = self._share / (1 + dx * dx + dy * dy)
        return np.stack([np.add.reduceat(weight * d, self._first) for d in (dx, dy)], 1).astype(np.float64)


def repulsion(at: Doubles) -> tuple[Doubles, float]:
    """Σ (yᵢ - yⱼ) / (1 + |yᵢ - yⱼ|²)² (n, 2), and Σ 1 / (1 + |yᵢ - yⱼ|²) over all pairs."""
    return _over_pairs(at) if len(at) <= FEW else _over_grid(at)


def _over_pairs(at: Doubles) -> tuple[Doubles, float]:
    x, y = (side[:, None] - side for side in at.T)
    near = 1 / (1 + x * x + y * y)
    total, near = float(near.sum() - len(at)), near * near
    return np.stack([np.einsum("ab,ab->a", d, near) for d in (x, y)], 1), total


def _over_grid(at: Doubles) -> tuple[Doubles, float]:
    from scipy import fft

    low, count = at.min(0), len(at)
    nodes, spacing = _nodes(float((at.max(0) - low).max()))
    cell, weights = _cubic((at - low) / spacing + 1)
    number = ((cell[:, :1, None] + np.arange(4)[:, None]) * nodes + cell[:, 1:, None] + np.arange(4)).reshape(count, 16)
    share = (weights[:, 0, :, None] * weights[:, 1, None, :]).reshape(count, 16)
    charge = np.bincount(number.ravel(), share.ravel(), nodes * nodes).reshape(nodes, nodes)
    size = (2 * nodes, 2 * nodes)
    spread = fft.rfft2(charge, size, workers=-1)
    sums = []
    for kernel in _kernels(nodes, spacing):
        values = fft.irfft2(spread * kernel, size, workers=-1)[:nodes, :nodes]
        sums.append((values.ravel()[number] * share).sum(1))
    return np.stack(sums[1:], 1), float(sums[0].sum() - count)


def _nodes(extent: float) -> tuple[int, float]:
    """How many nodes along a side hold points over this extent and two more about them, in a number that suits the FFT; and how far
    they lie apart."""
    from scipy import fft

    wanted = int(np.ceil(extent / SPACING)) + 4
    if LEAST_NODES <= wanted <= MOST_NODES:
        return int(fft.next_fast_len(wanted, real=True)), SPACING
    nodes = min(max(wanted, LEAST_NODES), MOST_NODES)
    return nodes, max(extent, 1e-12) / (nodes - 5)


def _cubic(places: Doubles) -> tuple[npt.NDArray[np.int64], Doubles]:
    """For places (n, 2) in nodes, the first of four nodes about them (n, 2), and the four weights (n, 2, 4) of Lagrange."""
    cell = np.floor(places).astype(np.int64) - 1
    t = places - cell - 1
    before, here, after, beyond = t + 1, t, t - 1, t - 2
    weights = [-here * after * beyond / 6, before * after * beyond / 2, -before * here * beyond / 2, before * here * after / 6]
    return cell, np.stack(weights, -1)


@lru_cache(2)
def _kernels(nodes: int, spacing: float) -> tuple[npt.NDArray[np.complex128], ...]:
    """The transforms of 1 / (1 + d²) and of the two components of d / (1 + d²)² on a grid that does not wrap around."""
    from scipy import fft

    away = np.arange(2 * nodes, dtype=np.float64)
    away = spacing * np.where(away < nodes, away, away - 2 * nodes)
    near = 1 / (1 + away[:, None] ** 2 + away[None] ** 2)
    return tuple(fft.rfft2(k, workers=-1) for k in (near, away[:, None] * near**2, away[None] * near**2))


def _main_directions(vectors: Floats) -> Doubles:
    """Where vectors lie along their two main directions, in standard deviations of the first."""
    from lithoscope.features.basis import Basis

    basis = Basis.fit([vectors], 2)
    at = ((vectors - basis.mean) @ basis.components.T).astype(np.float64)
    at = np.pad(at, ((0, 0), (0, max(0, 2 - at.shape[1]))))
    return at / max(float(at[:, 0].std()), 1e-12)
