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
from lithoscope.labels.fence import Fence, painted_through
from lithoscope.volume.box import Box, Triple

_PIECE = 128
"""Points are gathered in cells of this edge, so that a few far apart do not read all that lies between."""


class EditableArray(ABC):
    """A uint8 array (z, y, x) that is read and painted in boxes and indexed as numpy arrays are. Reading gives copies."""

    dtype = np.dtype(np.uint8)
    ndim = 3
    shape: Triple
    fence: Fence | None = None
    """Where painting by index takes; `write` heeds none."""

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
        parts = _basic(key, self.shape)
        if parts is not None:
            box, inner = _box_of(parts, self.shape)
            return self.read(box)[inner]
        points = _points(key, self.shape)
        out = np.zeros(points[0].shape, np.uint8)
        for chosen, box, inside in _cells(points):
            out.reshape(-1)[chosen] = self.read(box)[inside]
        return out

    def __setitem__(self, key: Any, value: npt.ArrayLike) -> None:
        labels = as_labels(value)
        parts = _basic(key, self.shape)
        if parts is not None:
            box, inner = _box_of(parts, self.shape)
            if not box.size:
                return
            whole = all(i == slice(None) for i in inner)
            if whole and labels.ndim:
                painted_through(self.fence, self, box, None, np.broadcast_to(labels, box.shape))
                return
            region, mask = np.zeros(box.shape, np.uint8) if labels.ndim else labels, None
            if not whole:
                mask = np.zeros(box.shape, bool)
                mask[inner] = True
            if labels.ndim:
                region[inner] = labels
            painted_through(self.fence, self, box, mask, region)
            return
        points = _points(key, self.shape)
        values = np.broadcast_to(labels, points[0].shape).reshape(-1)
        with self.stroke():
            for chosen, box, inside in _cells(points):
                region, mask = np.zeros(box.shape, np.uint8), np.zeros(box.shape, bool)
                region[inside] = values[chosen]
                mask[inside] = True
                painted_through(self.fence, self, box, mask, region)


def as_labels(value: npt.ArrayLike) -> Labels:
    """Values as uint8, if every one is a whole number within 0…255."""
    array = np.asarray(value)
    if array.dtype == np.uint8:
        return array
    if array.size and (array.dtype.kind not in "iub" or array.min() < 0 or array.max() > 255):
        raise InputError(f"labels are whole numbers within 0…255, not {array.dtype} values such as {array.flat[0]}")
    return array.astype(np.uint8)


def _basic(key: Any, shape: Triple) -> list[int | slice] | None:
    """One int or slice an axis, or None if the key is of points or masks, which numpy resolves."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(p is None for p in parts):
        raise IndexError("labels have three axes; none can be added by indexing")
    if any(not (p is Ellipsis or isinstance(p, (int, np.integer, slice))) or isinstance(p, bool) for p in parts):
        return None
    filled = [i for i, p in enumerate(parts) if p is Ellipsis]
    missing = len(shape) - len(parts) + len(filled)
    if missing < 0 or len(filled) > 1:
        raise IndexError(f"labels have three axes; {key} is too many indices")
    at = filled[0] if filled else len(parts)
    return [*parts[:at], *[slice(None)] * missing, *parts[at + len(filled) :]]


def _box_of(parts: list[int | slice], shape: Triple) -> tuple[Box, tuple[int | slice, ...]]:
    """The box that ints and slices reach into, and what to index it by."""
    starts, stops = [], []
    inner: list[int | slice] = []
    for part, n in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            reach = range(*part.indices(n))
            low, high = (min(reach[0], reach[-1]), max(reach[0], reach[-1]) + 1) if reach else (0, 0)
            inner.append(slice(None) if reach.step == 1 else slice(reach[0] - low if reach else 0, None, reach.step))
        else:
            if not -n <= part < n:
                raise IndexError(f"index {part} is out of bounds for an axis of {n} voxels")
            low = int(part) % n
            high = low + 1
            inner.append(0)
        starts.append(low)
        stops.append(high)
    return Box((starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2])), tuple(inner)


def _points(key: Any, shape: Triple) -> tuple[npt.NDArray[np.int64], ...]:
    """The z, y and x of every voxel that the key names, in the shape that numpy gives the answer."""
    grids = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return tuple(np.broadcast_to(grid, shape)[key] for grid in grids)


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
