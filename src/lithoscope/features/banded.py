"""Filters as banded matrices, one an axis, and the eigenvalues of small symmetric matrices; all in torch.

A separable filter of an axis of n voxels is a matrix (positions wanted, n): smoothing, differentiating, taking every f-th
place and interpolating back are rows of numbers, and products of dense tiles of such matrices run at the speed of the
processor's multiplications. What lies beyond the faces is folded into the rows.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Boundary = Literal["reflect", "nearest"]
"""What lies beyond the faces: the mirror image, edge voxel repeated (as the engine reads halos), or the edge voxel alone."""
Matrix = npt.NDArray[np.float32]

TRUNCATE = 4.0
"""A Gaussian is cut this many sigmas from its centre."""
AT_ONCE = 1 << 22
"""Voxels of an image that are in float32 at a time."""
PRODUCT = 1 << 20
"""Values multiplied at a time, in double precision."""
TILE = 64
"""Rows multiplied at a time: enough to keep the processor busy, few enough to skip most of what is zero."""


def radius(sigma: float) -> int:
    """How many voxels a Gaussian of this sigma reaches to each side."""
    return int(TRUNCATE * sigma + 0.5)


def mirrored(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """The place within 0…size-1 that stands for each index beyond it, the edge voxel repeated."""
    folded = np.mod(index, 2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


@lru_cache(maxsize=256)
def smoothing(size: int, sigma: float, start: int, stop: int, step: int = 1, order: int = 0, boundary: Boundary = "reflect") -> Matrix:
    """Rows (wanted, size) that smooth an axis and give its value, first or second difference at start, start + step … < stop.

    Differences are central and, as twice `np.gradient`, reach two voxels: (g[i+1] - g[i-1]) / 2 and (g[i+2] - 2 g[i] + g[i-2]) / 4.
    Places from -2 to size + 1 may be asked for; with `nearest` those beyond the faces make the differences one-sided, like numpy's.
    """
    wanted = np.arange(start, stop, step)
    if order:
        taps = {1: ((1, 0.5), (-1, -0.5)), 2: ((2, 0.25), (0, -0.5), (-2, 0.25))}[order]
        rows = np.zeros((len(wanted), size), np.float32)
        for shift, weight in taps:
            rows += np.float32(weight) * smoothing(size, sigma, start + shift, stop + shift, step, 0, boundary)
        return rows
    if boundary == "reflect" or size < 3:
        return _rows(wanted, size, sigma, "reflect" if boundary == "reflect" else "nearest")
    rows = _rows(np.clip(wanted, 0, size - 1), size, sigma, "nearest")
    edge = _rows(np.array([0, 1, 2, size - 3, size - 2, size - 1]), size, sigma, "nearest")
    beyond = {-1: 2 * edge[0] - edge[1], -2: 4 * edge[0] - 4 * edge[1] + edge[2]}
    beyond |= {size: 2 * edge[5] - edge[4], size + 1: 4 * edge[5] - 4 * edge[4] + edge[3]}
    for row, place in enumerate(wanted):
        if int(place) in beyond:
            rows[row] = beyond[int(place)]
    return rows


def _rows(places: npt.NDArray[np.int64], size: int, sigma: float, boundary: Boundary) -> Matrix:
    reach = radius(sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2) if sigma > 0 else np.ones(1)
    weights /= weights.sum()
    columns = places[:, None] + offsets
    columns = mirrored(columns, size) if boundary == "reflect" else np.clip(columns, 0, size - 1)
    rows = np.zeros((len(places), size))
    np.add.at(rows, (np.arange(len(places))[:, None], columns), weights[None, :])
    return rows.astype(np.float32)


@lru_cache(maxsize=256)
def interpolation(first: int, count: int, step: int, start: int, stop: int) -> Matrix:
    """Rows (stop - start, count) that give each place from values known at first, first + step …: smooth cubics through four of them."""
    places = (np.arange(start, stop) - first) / step
    base = np.floor(places).astype(int)
    t = places - base
    weights = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]) / 2
    rows = np.zeros((len(places), count))
    for k in range(4):
        np.add.at(rows, (np.arange(len(places)), np.clip(base - 1 + k, 0, count - 1)), weights[k])
    return rows.astype(np.float32)


def along(x: "Tensor", axis: int, matrix: Matrix) -> "Tensor":
    """The matrix (m, n) applied along one axis, of n voxels, of x (…, z, y, x); that axis then has m.

    On a CPU the sums are in double precision, so that rounding to single gives the same however a volume is cut into blocks.
    """
    import torch

    kind = torch.float64 if x.device.type == "cpu" else torch.float32
    leading, n, trailing = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    before, after = int(np.prod(leading)), int(np.prod(trailing))
    flat = x.reshape(before, n, after)
    m = matrix.shape[0]
    out = torch.empty((before, m, after), dtype=torch.float32, device=x.device)
    for top in range(0, m, TILE):
        rows = matrix[top : top + TILE]
        used = np.flatnonzero(rows.any(axis=0))
        a, b = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        tile = torch.from_numpy(np.ascontiguousarray(rows[:, a:b])).to(x.device, kind)
        answer = out[:, top : top + len(rows)]
        if before == 1:
            wide = max(1, PRODUCT // (b - a))
            for start in range(0, after, wide):
                answer[0, :, start : start + wide] = tile @ flat[0, a:b, start : start + wide].to(kind)
        else:
            thick = max(1, PRODUCT // ((b - a) * after))
            for start in range(0, before, thick):
                part = flat[start : start + thick, a:b].to(kind)
                answer[start : start + thick] = (part[:, :, 0] @ tile.T)[:, :, None] if after == 1 else tile @ part
    return out.reshape(*leading, m, *trailing)


def eigenvalues(elements: list["Tensor"]) -> list["Tensor"]:
    """The eigenvalues, falling, of symmetric 1 × 1, 2 × 2 or 3 × 3 matrices given by their upper triangles, row by row."""
    import torch

    if len(elements) == 1:
        return elements
    if len(elements) == 3:
        a, b, d = elements
        middle = (a + d) / 2
        half = torch.sqrt(((a - d) / 2).square_().addcmul_(b, b))
        return [middle + half, middle - half]
    a, b, c, d, e, f = elements
    q = (a + d + f).div_(3)
    a, d, f = a - q, d - q, f - q
    p = (a * a).addcmul_(d, d).addcmul_(f, f).addcmul_(b, b, value=2).addcmul_(c, c, value=2).addcmul_(e, e, value=2).div_(6).sqrt_()
    det = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d)
    angle = det.div_((p * p * p).mul_(2).clamp_(min=1e-30)).clamp_(-1, 1).acos_().div_(3)
    p.mul_(2)
    first = torch.cos(angle).mul_(p).add_(q)
    last = angle.add_(2 * np.pi / 3).cos_().mul_(p).add_(q)
    return [first, q.mul_(3).sub_(first).sub_(last), last]


class Source:
    """A native image (z, y, x) that is turned into float32 piece by piece: `low` becomes 0, `high` 1, what is not finite 0."""

    def __init__(self, image: npt.NDArray[Any], low: float, high: float, device: str = "cpu") -> None:
        self.image, self.shape, self.device = image, image.shape, device
        self._low, self._gain = np.float32(low), np.float32(1.0 / (high - low) if high > low else 1.0)

    def floats(self, part: tuple[slice, ...] = ()) -> "Tensor":
        """This part of the image, on the device."""
        import torch

        values = self.image[part].astype(np.float32)
        values -= self._low
        values *= self._gain
        if self.image.dtype.kind == "f":
            np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def along(self, axis: int, matrix: Matrix) -> "Tensor":
        """The matrix (m, n) applied along one axis; never more than a piece of the image is in float."""
        import torch

        used = np.flatnonzero(matrix.any(axis=0))
        a, b = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        over = 1 if axis == 0 else 0
        shape = [m if i == axis else n for i, (n, m) in enumerate(zip(self.shape, [len(matrix)] * 3, strict=True))]
        out = torch.empty(shape, dtype=torch.float32, device=self.device)
        thick = max(1, AT_ONCE * self.shape[over] // max(1, int(np.prod(self.shape)) * (b - a) // self.shape[axis]))
        for start in range(0, self.shape[over], thick):
            part = [slice(None)] * 3
            part[axis] = slice(a, b)
            part[over] = slice(start, start + thick)
            where = [slice(None)] * 3
            where[over] = part[over]
            out[tuple(where)] = along(self.floats(tuple(part)), axis, matrix[:, a:b])
        return out
