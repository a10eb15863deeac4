"""What lets a painted array stand where a numpy array could: napari's Labels layer reads and paints through it.

Only `read`, `write` and `stroke` are asked of the array itself; slices, points and masks become boxes here.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.labels.changes import Labels, Mask
from lithoscope.volume.box import Box, Triple

_PIECE = 128
"""Points are gathered in cells of this edge, so that a few far apart do not read all that lies between."""


class EditableArray(ABC):
    """A uint8 array (z, y, x) that is read and painted in boxes and indexed as numpy arrays are. Reading gives copies."""

    dtype = np.dtype(np.uint8)
    ndim = 3
    shape: Triple

    @abstractmethod
    def read(self, box: Box) -> Labels:
        """The labels of a box within the array, in an array of the caller's own."""

    @abstractmethod
    def write(self, box: Box, mask: Mask | None, value: npt.ArrayLike) -> Box | None:
        """Give the voxels of a box (those in `mask`) a value or values of the box's shape; the box that changed, if any did."""

    @abstractmethod
    def stroke(self) -> AbstractContextManager[None]:
        """All that is written within is undone as one."""

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def nbytes(self) -> int:
        return self.size

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("painted labels are on the disk; reading them makes a copy")
        whole = self.read(Box.whole(self.shape))
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        parts = _expanded(key, self.shape)
        if _basic(parts):
            box, inner = _box_of(parts, self.shape)
            return self.read(box)[inner]
        points = _points(parts, self.shape)
        out = np.zeros(points[0].shape, np.uint8)
        for chosen, box, inside in _cells(points):
            out.reshape(-1)[chosen] = self.read(box)[inside]
        return out

    def __setitem__(self, key: Any, value: npt.ArrayLike) -> None:
        labels = as_labels(value)
        parts = _expanded(key, self.shape)
        if _basic(parts):
            box, inner = _box_of(parts, self.shape)
            if not box.size:
                return
            if labels.ndim == 0:
                region, mask = labels, None
                if any(isinstance(i, slice) and i.step not in (None, 1) for i in inner):
                    mask = np.zeros(box.shape, bool)
                    mask[inner] = True
            else:
                region, mask = np.zeros(box.shape, np.uint8), np.zeros(box.shape, bool)
                region[inner] = labels
                mask[inner] = True
            self.write(box, mask, region)
            return
        points = _points(parts, self.shape)
        values = np.broadcast_to(labels, points[0].shape).reshape(-1)
        with self.stroke():
            for chosen, box, inside in _cells(points):
                region, mask = np.zeros(box.shape, np.uint8), np.zeros(box.shape, bool)
                region[inside] = values[chosen]
                mask[inside] = True
                self.write(box, mask, region)


def as_labels(value: npt.ArrayLike) -> Labels:
    """Values as uint8, if every one is a whole number within 0…255."""
    array = np.asarray(value)
    if array.dtype == np.uint8:
        return array
    if array.size and (array.dtype.kind not in "iub" or array.min() < 0 or array.max() > 255):
        raise InputError(f"labels are whole numbers within 0…255, not {array.dtype} values such as {array.flat[0]}")
    return array.astype(np.uint8)


def _expanded(key: Any, shape: Triple) -> list[Any]:
    """One index an axis: an int, a slice, or an array of ints; masks become the indices where they are true."""
    parts: list[Any] = []
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, (list, np.ndarray)) and np.asarray(part).dtype == bool and np.ndim(part):
            mask = np.asarray(part)
            if mask.shape != shape[len(parts) : len(parts) + mask.ndim]:
                raise IndexError(f"a mask of shape {mask.shape} does not fit labels of shape {shape}")
            parts.extend(np.nonzero(mask))
        else:
            parts.append(part)
    if sum(p is Ellipsis for p in parts) > 1 or any(p is None for p in parts):
        raise IndexError("labels are indexed by one index an axis and at most one ellipsis")
    filled = next((i for i, p in enumerate(parts) if p is Ellipsis), None)
    missing = 3 - len(parts) + (filled is not None)
    if missing < 0:
        raise IndexError(f"too many indices: labels have 3 axes, {len(parts)} were given")
    at = len(parts) if filled is None else filled
    return [*parts[:at], *[slice(None)] * missing, *parts[at + (filled is not None) :]]


def _basic(parts: list[Any]) -> bool:
    return all(isinstance(p, slice) or np.ndim(p) == 0 for p in parts)


def _box_of(parts: list[Any], shape: Triple) -> tuple[Box, tuple[int | slice, ...]]:
    """The box that ints and slices reach into, and what to index it by."""
    starts, stops = [], []
    inner: list[int | slice] = []
    for part, n in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            reach = range(*part.indices(n))
            low, high = (min(reach[0], reach[-1]), max(reach[0], reach[-1]) + 1) if reach else (0, 0)
            first = reach[0] - low if reach else 0
            inner.append(slice(None) if reach.step == 1 else slice(first, None, reach.step))
        else:
            low = int(_wrapped(np.asarray(part), n))
            high = low + 1
            inner.append(0)
        starts.append(low)
        stops.append(high)
    return Box((starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2])), tuple(inner)


def _wrapped(index: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    if index.dtype.kind not in "iu" and index.size:
        raise IndexError(f"labels are indexed by whole numbers, not {index.dtype}")
    index = index.astype(np.int64)
    if index.size and (index.min() < -n or index.max() >= n):
        raise IndexError(f"index {index.min() if index.min() < -n else index.max()} is out of bounds for an axis of {n} voxels")
    return np.where(index < 0, index + n, index)


def _points(parts: list[Any], shape: Triple) -> tuple[npt.NDArray[np.int64], ...]:
    """The voxels that arrays of ints (and slices beside them) name, broadcast as numpy does."""
    if any(isinstance(p, slice) for p in parts):
        whole = [i for i, p in enumerate(parts) if isinstance(p, slice)]
        grids = np.meshgrid(*(np.arange(*parts[i].indices(shape[i])) for i in whole), indexing="ij")
        arrays = np.broadcast_arrays(*(_wrapped(np.asarray(p), n) for p, n in zip(parts, shape, strict=True) if not isinstance(p, slice)))
        named, spans = arrays[0].ndim, len(whole)
        split = [i for i, p in enumerate(parts) if not isinstance(p, slice)]
        if split[-1] - split[0] >= len(split):
            raise IndexError("arrays of indices on the first and last axis with a slice between are not supported")
        before = sum(i < split[0] for i in whole)
        out: list[npt.NDArray[np.int64]] = []
        remaining, grid = iter(arrays), iter(grids)
        for part in parts:
            if isinstance(part, slice):
                g = next(grid)
                out.append(g.reshape(g.shape[:before] + (1,) * named + g.shape[before:]))
            else:
                a = next(remaining)
                out.append(a.reshape((1,) * before + a.shape + (1,) * (spans - before)))
        return tuple(np.broadcast_arrays(*out))
    return tuple(np.broadcast_arrays(*(_wrapped(np.asarray(p), n) for p, n in zip(parts, shape, strict=True))))


def _cells(points: tuple[npt.NDArray[np.int64], ...]) -> list[tuple[npt.NDArray[np.int64], Box, tuple[npt.NDArray[np.int64], ...]]]:
    """The points by cells of the grid: which of them, the box around them, and where they are in it."""
    z, y, x = (p.reshape(-1) for p in points)
    if not z.size:
        return []
    cell = ((z // _PIECE) << 42) | ((y // _PIECE) << 21) | (x // _PIECE)
    order = np.argsort(cell, kind="stable")
    found = []
    for chosen in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        near = [axis[chosen] for axis in (z, y, x)]
        low = [int(a.min()) for a in near]
        box = Box((low[0], low[1], low[2]), (int(near[0].max()) + 1, int(near[1].max()) + 1, int(near[2].max()) + 1))
        found.append((chosen, box, tuple(a - b for a, b in zip(near, low, strict=True))))
    return found
