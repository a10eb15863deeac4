"""Which class each cluster is, for methods that were not told: one to one, chosen on the strokes that teach and on no others."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt


def clusters_to_classes(counts: npt.NDArray[np.int64], ids: Sequence[int]) -> dict[int, int]:
    """The class of each cluster, one to one, with the highest sum of intersections over unions (the Hungarian method).

    `counts` (256, clusters + 1) holds, for each painted class, how often each cluster was predicted; column 0 is none. Clusters
    beyond the number of classes, and classes beyond that of clusters, stay without a partner.
    """
    from scipy.optimize import linear_sum_assignment

    table = counts[list(ids)][:, 1:].astype(np.float64)
    unions = counts[list(ids)].sum(axis=1)[:, None] + table.sum(axis=0) - table
    rows, columns = linear_sum_assignment(table / np.maximum(unions, 1), maximize=True)
    pairs = sorted(zip(columns.tolist(), rows.tolist(), strict=True))
    return {int(column) + 1: ids[int(row)] for column, row in pairs}


def thresholds_between(values: npt.NDArray[np.float64], labels: npt.NDArray[np.uint8]) -> tuple[float, ...]:
    """Rising bounds between the classes in the order of their medians, each where it misplaces the smallest parts of its two.

    This is what a person does who drags a line until the strokes on either side are told apart. Values that are no numbers say nothing.
    """
    values, labels = values[~np.isnan(values)], labels[~np.isnan(values)]
    groups = sorted((values[labels == id] for id in np.unique(labels) if id), key=lambda group: float(np.median(group)))
    bounds: list[float] = []
    for dark, bright in pairwise(groups):
        candidates = np.unique(np.concatenate([dark, bright]))
        below = np.searchsorted(np.sort(bright), candidates, side="right") / len(bright)
        above = 1 - np.searchsorted(np.sort(dark), candidates, side="right") / len(dark)
        errors = below + above
        best = np.flatnonzero(errors <= errors.min() + 1e-12)
        bound = float(candidates[best[len(best) // 2]])
        bounds.append(bound if not bounds else max(bound, float(np.nextafter(bounds[-1], np.inf))))
    return tuple(bounds)
