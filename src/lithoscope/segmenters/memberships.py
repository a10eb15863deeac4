"""Degrees of membership of grey values in classes, and those of a voxel's neighbours."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.segmenters.base import Scores

Floats = npt.NDArray[np.float64]


def memberships(image: npt.NDArray[Any], centres: Floats, m: float, dtype: Any = np.float32) -> npt.NDArray[Any]:
    """Fuzzy memberships (classes, …) of grey values, summing to one; a value that is not a number belongs to all alike."""
    if image.dtype.kind in "iu" and image.dtype.itemsize <= 2 and image.size:
        low, high = int(image.min()), int(image.max())
        if high - low < image.size // 4:
            table = _computed(np.arange(low, high + 1, dtype=np.float64), centres, m).astype(dtype)
            return np.take(table, image.astype(np.intp) - low, axis=1)
    return _computed(image.astype(np.float64), centres, m).astype(dtype)


def _computed(values: Floats, centres: Floats, m: float) -> Floats:
    finite = np.isfinite(values)
    distance = np.abs(np.where(finite, values, 0.0) - centres.reshape(-1, *[1] * values.ndim))
    nearest = distance.min(0)
    at_centre = nearest == 0
    share = np.divide(np.where(at_centre, 1.0, nearest), distance, out=np.ones_like(distance), where=distance > 0)
    share **= 2 / (m - 1)
    share[:, at_centre] = distance[:, at_centre] == 0
    share /= share.sum(0)
    if not finite.all():
        share[:, np.isnan(values)] = 1 / len(centres)
        share[:, np.isneginf(values)] = np.eye(len(centres))[:, :1]
        share[:, np.isposinf(values)] = np.eye(len(centres))[:, -1:]
    return share


def neighbours(own: Scores, inside: npt.NDArray[np.bool_] | None, radius: int, planes: tuple[int, ...] | None) -> Scores:
    """The sums of the memberships (classes, z, y, x) within `radius` of each voxel, itself included, those outside left out.

    In space with `planes` None, else within the planes across these axes, added. Every sum is taken in one order wherever
    its voxel lies in the block, so that blocks and the whole agree to the last bit.
    """
    seen = own if inside is None else own * inside
    if planes is None:
        return _summed(seen, radius, (1, 2, 3))
    total = None
    for across in planes:
        part = _summed(seen, radius, tuple(1 + axis for axis in range(3) if axis != across))
        total = part if total is None else total + part
    assert total is not None
    return total


def _summed(field: Scores, radius: int, axes: tuple[int, ...]) -> Scores:
    for axis in axes:
        whole = np.moveaxis(field, axis, 0)
        size = whole.shape[0]
        total = np.zeros(whole.shape, np.float32)
        for offset in range(-min(radius, size - 1), min(radius, size - 1) + 1):
            a, b = max(0, -offset), size - max(0, offset)
            total[a:b] += whole[a + offset : b + offset]
        field = np.moveaxis(total, 0, axis)
    return field
