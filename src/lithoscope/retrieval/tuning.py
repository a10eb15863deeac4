"""How many buckets are visited, and how many rows looked at, so that hashing finds what it is to find: measured on the library itself."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.lsh import LshIndex
from lithoscope.retrieval.vectors import Floats

ASKED = 100
"""So many of the library's own vectors are asked for, each without itself."""
TOP = 10
PROBES = (1, 2, 4, 8, 12, 20, 32, 48, 80, 160)
"""Buckets a table that are tried."""
ROWS = (25, 50, 100, 200, 400, 800, 1600, 3200)
"""Rows for every place that is wanted that are tried."""
MARGIN = 0.005
"""So much more is asked of the sample, for what is measured on it errs."""
COST_PROBE, COST_FOUND, COST_LOOKED = 40, 1, 6
"""What a visited bucket, a row in it and an exact look take, in parts of each other (a million rows of 384 numbers, one core)."""
_PIECE = 10


def tuned(index: LshIndex, vectors: Floats, target: float, refine: int = 0, report: Report = silent) -> tuple[LshIndex, int]:
    """The index with the probes that reach a recall of the exact top 10 (0 to 1) among vectors (n, width) of length 1 at the least
    cost, or come nearest to it; and how many rows for each place wanted are to be looked at, 0 for all that the buckets hold. With
    `refine` it is always so many."""
    rng = np.random.default_rng(index.settings.seed)
    asked = rng.choice(len(vectors), min(ASKED, len(vectors)), replace=False)
    wanted = min(1.0, target + MARGIN)
    report(Progress(0, len(PROBES), "looking exactly"))
    truth, best, least, nearest = _truth(vectors, asked), (index, refine), np.inf, -1.0
    for number, each in enumerate(PROBES):
        report(Progress(number, len(PROBES), f"asking with {each} probes a table"))
        tried = replace(index, settings=replace(index.settings, probes=each * index.settings.tables))
        recall, found = _recall(tried, vectors, asked, truth, 0)
        if refine:
            recall = _recall(tried, vectors, asked, truth, refine * TOP)[0]
        if not np.isfinite(least) and recall > nearest:
            nearest, best = recall, (tried, refine)
        bare = each * index.settings.tables * COST_PROBE + found * COST_FOUND
        if bare >= least:
            break
        if recall < wanted:
            continue
        # In mean as many rows are looked at as are found, or as the sketch leaves.
        ways = [(min(found, refine * TOP), refine) if refine else (found, 0)]
        if index.sketch is not None and not refine:
            enough = (rows for rows in ROWS if rows * TOP < found and _recall(tried, vectors, asked, truth, rows * TOP)[0] >= wanted)
            ways += [(float(rows * TOP), rows) for rows in [next(enough, 0)] if rows]
        looked, rows = min(ways)
        if (cost := bare + looked * COST_LOOKED) < least:
            least, best = cost, (tried, rows)
    return best


def _truth(vectors: Floats, asked: npt.NDArray[np.intp]) -> list[set[int]]:
    found = []
    for start in range(0, len(asked), _PIECE):
        rows = asked[start : start + _PIECE]
        values = vectors[rows] @ vectors.T
        values[np.arange(len(rows)), rows] = -np.inf
        found += [set(own.tolist()) for own in np.argpartition(-values, min(TOP, len(vectors) - 1) - 1, axis=1)[:, :TOP]]
    return found


def _recall(index: LshIndex, vectors: Floats, asked: npt.NDArray[np.intp], truth: list[set[int]], count: int) -> tuple[float, float]:
    """The mean recall, and how many rows come in mean."""
    shares, found = [], []
    for row, wanted in zip(asked.tolist(), truth, strict=True):
        rows = index.candidates(vectors[row], count)
        shares.append(np.isin(list(wanted), rows).mean() if wanted else 1.0)
        found.append(len(rows))
    return float(np.mean(shares)), float(np.mean(found))
