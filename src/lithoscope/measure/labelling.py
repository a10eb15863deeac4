"""How far a fraction may be off because voxels are labelled wrongly: from places where the truth is known.

The part of each predicted class that is really of another one is known from the checked voxels, and is applied to all voxels of
that class (the area-adjusted estimator of Olofsson and others, 2014). The interval comes from drawing the places with replacement,
so a stroke of a thousand voxels counts as one place, not as a thousand.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable

FEWEST = 10
"""With fewer places than this no interval is given."""
RESAMPLES = 2000
CONFIDENCE = 0.95


def area_adjusted(places: npt.NDArray[np.int64], mapped: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The fraction of each true class. `places` (…, predicted, true) counts checked voxels, `mapped` (predicted) is the fraction of
    each predicted class. A predicted class that was checked nowhere is taken for right."""
    totals = places.sum(axis=-1, keepdims=True)
    right = np.broadcast_to(np.eye(places.shape[-1]), places.shape)
    parts = np.where(totals > 0, places / np.maximum(totals, 1e-12), right)
    return np.asarray(np.einsum("p,...pt->...t", mapped, parts), np.float64)


def labelling(classes: ClassTable, places: npt.NDArray[np.int64], mapped: npt.NDArray[np.float64], *, seed: int = 0) -> dict[str, Any]:
    """The adjusted fraction of each class and its 95 % interval, as plain JSON; `places` is (places, predicted, true)."""
    filled = places[places.sum(axis=(1, 2)) > 0]
    total = filled.sum(axis=0)
    value = area_adjusted(total, mapped)
    low: list[float | None] = [None] * len(classes)
    high: list[float | None] = [None] * len(classes)
    if len(filled) >= FEWEST:
        chances = np.full(len(filled), 1 / len(filled))
        drawn = np.random.default_rng(seed).multinomial(len(filled), chances, size=RESAMPLES)
        each = area_adjusted(np.tensordot(drawn, filled, axes=(1, 0)), mapped)
        tail = 50 * (1 - CONFIDENCE)
        low, high = np.percentile(each, [tail, 100 - tail], axis=0).tolist()
    return {
        "confidence": CONFIDENCE,
        "covers": "errors of the segmentation, as the checked places show them; not what another part of the material would give",
        "places": len(filled),
        "voxels": int(total.sum()),
        "phases": {str(c.id): {"fraction": float(v), "low": a, "high": b} for c, v, a, b in zip(classes, value, low, high, strict=True)},
    }
