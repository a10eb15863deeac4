"""The filter bank: what a voxel looks like at several scales, in two or three dimensions, on CPU or GPU.

`FilterBank.skimage` gives the channels of scikit-image's `multiscale_basic_features`. A bank with `coarse` finds its large scales
exactly at every few voxels only, and interpolates between them.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.features.banded import Boundary, Matrix, Source, along, eigenvalues, interpolation, mirrored, radius, smoothing
from lithoscope.features.base import Extractor
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["gaussian", "gradient", "hessian", "structure", "deviation", "minimum", "maximum", "median"]
Core = tuple[slice, slice, slice]
Scale = Literal["window", "dtype", "none"]

VERSION = 1
"""Raised whenever the same settings give other numbers than before; it is part of every key."""
MARGIN = 2
"""Voxels beyond a place that its second differences reach."""
PIECE = 1 << 17
"""Voxels whose channels are worked out at a time, so that what lies between stays in the processor's cache."""


@dataclass(frozen=True)
class FilterBank(Extractor):
    """Channels by rising sigma, and within one sigma in the order of `kinds`; `raw` comes first.

    `sigmas` are in voxels, or in micrometres when `voxel_um`, the voxel's edges along (z, y, x), is given. `axes` are those that
    filters run along: all three, or the two of a plane. `extra` lists further (kind, sigma) pairs, of which `median`, `minimum`
    and `maximum` take a cube of edge 2 sigma + 1. With `half` every value is one that float16 holds, so that features from a
    cache equal those worked out now; first differences are then times sigma and second ones times its square.
    """

    sigmas: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    kinds: tuple[Kind, ...] = ("gaussian", "hessian")
    axes: tuple[int, ...] = (0, 1, 2)
    raw: bool = False
    extra: tuple[tuple[Kind, float], ...] = ()
    boundary: Boundary = "reflect"
    coarse: bool = False
    half: bool = False
    scale: Scale = "window"
    voxel_um: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if not self.sigmas or min(self.sigmas) <= 0:
            raise InputError(f"the scales {self.sigmas} of a filter bank are not all above zero; give them in voxels, such as 1,2,4,8,16")

    @classmethod
    def skimage(cls, ndim: int = 3) -> Self:
        """The channels, values and faces of `multiscale_basic_features(…, sigma_min=1, sigma_max=16, edges=False)`."""
        return cls(axes=(0, 1, 2)[3 - ndim :], boundary="nearest", scale="dtype")

    def plan(self) -> list[tuple[float, tuple[Kind, ...]]]:
        """The kinds of every scale, by rising scale."""
        wanted: dict[float, list[Kind]] = {s: list(self.kinds) for s in self.sigmas}
        for kind, sigma in self.extra:
            wanted.setdefault(sigma, []).append(kind)
        return [(s, tuple(wanted[s])) for s in sorted(wanted)]

    @property
    def channels(self) -> int:  # type: ignore[override]
        return len(self.names())

    def names(self) -> list[str]:
        """What each channel is: "hessian 4 (2)" is the second eigenvalue of the Hessian at sigma 4."""
        found = ["raw"] if self.raw else []
        for sigma, kinds in self.plan():
            for kind in kinds:
                many = len(self.axes) if kind in ("hessian", "structure") else 1
                found += [f"{kind} {sigma:g}" + (f" ({i + 1})" if many > 1 else "") for i in range(many)]
        return found

    def key(self) -> str:
        return _key(self, VERSION)

    def sigma(self, scale: float, axis: int) -> float:
        """The sigma in voxels of a scale along an axis."""
        return scale if self.voxel_um is None else scale / self.voxel_um[axis]

    def step(self, scale: float) -> int:
        """How many voxels lie between the places where a scale is worked out; all are multiples of one another."""
        if not self.coarse:
            return 1
        least = min(self.sigma(scale, a) for a in self.axes) / 2
        return 1 << int(np.floor(np.log2(max(least, 1.0))))

    def halo(self) -> tuple[int, int, int]:
        reach = [0, 0, 0]
        for axis in self.axes:
            for scale, kinds in self.plan():
                sigma = self.sigma(scale, axis)
                inner = radius(sigma / 2) if "structure" in kinds else 0
                reach[axis] = max(reach[axis], radius(sigma) + inner + MARGIN + (2 * self.step(scale) if self.step(scale) > 1 else 0))
        return (reach[0], reach[1], reach[2])

    def extract(
        self, image: npt.NDArray[Any], window: tuple[float, float], voxel_um: tuple[float, float, float] | None
    ) -> npt.NDArray[np.float32]:
        whole = (slice(0, image.shape[0]), slice(0, image.shape[1]), slice(0, image.shape[2]))
        prepared = self.prepare(image, window, whole)
        out = np.empty((self.channels, *prepared.shape), np.float32)
        for planes, values in prepared.pieces():
            out[:, planes] = values.cpu().numpy()
        return out

    def prepare(
        self,
        image: npt.NDArray[Any],
        window: tuple[float, float],
        core: Core,
        *,
        origin: Triple = (0, 0, 0),
        device: str = "cpu",
        check: Callable[[], None] = lambda: None,
    ) -> "Prepared":
        """The bank over `core` of an image (z, y, x) with halo, ready to give its channels piece by piece.

        `origin` is the place of the image's first voxel on the scan's grid, on which the coarse places lie. `check` is called before
        each filter, and may wait or raise.
        """
        low, high = window
        if self.scale == "none":
            low, high = 0.0, 1.0
        elif self.scale == "dtype":
            low, high = (0.0, float(np.iinfo(image.dtype).max)) if image.dtype.kind in "iu" else (0.0, 1.0)
        return Prepared(self, Source(image, low, high, device), core, origin, check)


@lru_cache(maxsize=64)
def _key(bank: FilterBank, version: int) -> str:
    text = json.dumps({"bank": version, **asdict(bank)}, sort_keys=True)
    return "filters-" + hashlib.sha256(text.encode()).hexdigest()[:24]


class Prepared:
    """A block's smoothed images: a few of its size, from which the many channels are made a few planes at a time."""

    def __init__(self, bank: FilterBank, image: Source, core: Core, origin: Triple, check: Callable[[], None] = lambda: None) -> None:
        self.bank, self.core, self.origin, self._check = bank, core, origin, check
        self.bounds = [(s.start, s.stop) for s in core]
        self.shape = tuple(b - a for a, b in self.bounds)
        self.size = tuple(image.shape)
        self._raw = image.floats(core) if bank.raw else None
        self._fine: dict[float, Tensor] = {}
        self._coarse: dict[float, tuple[Tensor, list[tuple[int, int]]]] = {}
        self._whole: dict[tuple[float, Kind], Tensor] = {}
        for scale, kinds in bank.plan():
            if {"gaussian", "gradient", "hessian"} & set(kinds):
                if bank.step(scale) == 1:
                    self._fine[scale] = self._smooth(image, scale, MARGIN)
                else:
                    self._coarse[scale] = self._sparse(image, scale, kinds)
        dense = [(scale, kind) for scale, kinds in bank.plan() for kind in kinds if kind not in ("gaussian", "gradient", "hessian")]
        if dense:
            values = image.floats()
            self._whole = {(scale, kind): self._dense(values, scale, kind) for scale, kind in dense}

    def pieces(self) -> Iterator[tuple[slice, "Tensor"]]:
        """Every channel of a few planes of the core at a time: (planes of the core, (channels, planes, y, x))."""
        thick = max(1, PIECE // max(1, self.shape[1] * self.shape[2]))
        for z in range(0, self.shape[0], thick):
            yield slice(z, min(z + thick, self.shape[0])), self.planes(z, min(z + thick, self.shape[0]))

    def planes(self, top: int, bottom: int) -> "Tensor":
        """The channels (channels, bottom - top, y, x) of these planes of the core."""
        import torch

        found: list[Tensor] = []
        if self._raw is not None:
            found.append(self._raw[top:bottom])
        for scale, kinds in self.bank.plan():
            if scale in self._coarse:
                found += self._interpolated(scale, top, bottom)
            elif scale in self._fine:
                found += self._differences(self._fine[scale], scale, kinds, top, bottom)
            found += [t for kind in kinds if (w := self._whole.get((scale, kind))) is not None for t in w[:, top:bottom]]
        values = torch.stack(found)
        return values.clamp_(-65504, 65504).half().float() if self.bank.half else values

    def _filtered(self, image: "Source | Tensor", rows: dict[int, Matrix]) -> "Tensor":
        """Matrices applied along their axes, the one that drops most first; the other axes are cut to the core."""
        for axis in sorted(rows, key=lambda a: len(rows[a]) / self.size[a]):
            self._check()
            image = image.along(axis, rows[axis]) if isinstance(image, Source) else along(image, axis, rows[axis])
        assert not isinstance(image, Source)
        return image[tuple(slice(None) if axis in rows else self.core[axis] for axis in range(3))]

    def _smooth(self, image: "Source | Tensor", scale: float, margin: int = 0) -> "Tensor":
        rows = {}
        for axis in self.bank.axes:
            (a, b), n = self.bounds[axis], self.size[axis]
            rows[axis] = smoothing(n, self.bank.sigma(scale, axis), a - margin, b + margin, 1, 0, self.bank.boundary)
        return self._filtered(image, rows)

    def _norm(self, scale: float, order: int) -> float:
        return float(scale**order) if self.bank.half else 1.0

    def _differences(self, smooth: "Tensor", scale: float, kinds: tuple[Kind, ...], top: int, bottom: int) -> list["Tensor"]:
        axes, size = self.bank.axes, list(self.shape)

        def moved(**by: int) -> "Tensor":
            index = []
            for axis in range(3):
                margin = MARGIN if axis in axes else 0
                low, high = (top, bottom) if axis == 0 else (0, size[axis])
                shift = by.get(f"a{axis}", 0)
                index.append(slice(low + margin + shift, high + margin + shift))
            return smooth[tuple(index)]

        found = []
        for kind in kinds:
            if kind == "gaussian":
                found.append(moved())
            elif kind == "gradient":
                total = None
                for axis in axes:
                    slope = (moved(**{f"a{axis}": 1}) - moved(**{f"a{axis}": -1})).mul_(0.5).square_()
                    total = slope if total is None else total.add_(slope)
                assert total is not None
                found.append(total.sqrt_().mul_(self._norm(scale, 1)))
            elif kind == "hessian":
                here = moved()
                elements = []
                for p, q in combinations_with_replacement(axes, 2):
                    if p == q:
                        elements.append((moved(**{f"a{p}": 2}) + moved(**{f"a{p}": -2})).sub_(here, alpha=2).mul_(0.25))
                    else:
                        same = moved(**{f"a{p}": 1, f"a{q}": 1}) + moved(**{f"a{p}": -1, f"a{q}": -1})
                        elements.append(same.sub_(moved(**{f"a{p}": 1, f"a{q}": -1})).sub_(moved(**{f"a{p}": -1, f"a{q}": 1})).mul_(0.25))
                found += [e.mul_(self._norm(scale, 2)) for e in eigenvalues(elements)]
        return found

    def _sparse(self, image: Source, scale: float, kinds: tuple[Kind, ...]) -> tuple["Tensor", list[tuple[int, int]]]:
        """The channels of one scale at every few voxels, (channels, z, y, x), with the first place and the count along each axis."""
        import torch

        step, grid = self.bank.step(scale), []
        for axis, (a, b) in enumerate(self.bounds):
            if axis in self.bank.axes:
                first = ((a + self.origin[axis]) // step - 1) * step - self.origin[axis]
                grid.append((first, -(-(b - first) // step) + 2))
            else:
                grid.append((a, b - a))

        def filtered(orders: dict[int, int]) -> "Tensor":
            rows = {axis: self._rows(scale, axis, *grid[axis], step, orders.get(axis, 0)) for axis in self.bank.axes}
            return self._filtered(image, rows)

        found = []
        for kind in kinds:
            if kind == "gaussian":
                found.append(filtered({}))
            elif kind == "gradient":
                slopes = torch.stack([filtered({axis: 1}) for axis in self.bank.axes])
                found.append(slopes.square().sum(0).sqrt().mul_(self._norm(scale, 1)))
            elif kind == "hessian":
                pairs = combinations_with_replacement(self.bank.axes, 2)
                elements = [filtered({p: 2} if p == q else {p: 1, q: 1}) for p, q in pairs]
                found += [e.mul_(self._norm(scale, 2)) for e in eigenvalues(elements)]
        return torch.stack(found), grid

    def _rows(self, scale: float, axis: int, first: int, count: int, step: int, order: int) -> Matrix:
        n, sigma = self.size[axis], self.bank.sigma(scale, axis)
        if self.bank.boundary == "reflect":
            return smoothing(n, sigma, first, first + count * step, step, order, "reflect")
        places = np.clip(first + step * np.arange(count), 0, n - 1)
        return np.ascontiguousarray(smoothing(n, sigma, 0, n, 1, order, self.bank.boundary)[places])

    def _interpolated(self, scale: float, top: int, bottom: int) -> list["Tensor"]:
        x, grid = self._coarse[scale]
        step = self.bank.step(scale)
        for axis, (a, b) in enumerate(self.bounds):
            low, high = (a + top, a + bottom) if axis == 0 else (a, b)
            first, count = grid[axis]
            if axis in self.bank.axes:
                x = along(x, axis + 1, interpolation(first, count, step, low, high))
            elif axis == 0:
                x = x[:, top:bottom]
        return list(x)

    def _dense(self, image: "Tensor", scale: float, kind: Kind) -> "Tensor":
        """The channels (n, z, y, x) of a kind that is worked out for the whole core at once."""
        import torch

        if kind == "deviation":
            mean = self._smooth(image, scale)
            return self._smooth(image * image, scale).addcmul_(mean, mean, value=-1).clamp_(min=0).sqrt_()[None]
        if kind == "structure":
            return torch.stack(self._structure(image, scale))
        return _ranked(image, self.core, self.bank.axes, round(scale), kind)[None]

    def _structure(self, image: "Tensor", scale: float) -> list["Tensor"]:
        """Eigenvalues of the gradients' outer products, gradients of half the scale, averaged over the scale."""
        axes, margin = self.bank.axes, {}
        for axis in self.bank.axes:
            margin[axis] = radius(self.bank.sigma(scale, axis))
        slopes = {}
        for axis in axes:
            rows = {}
            for other in axes:
                (a, b), sigma = self.bounds[other], self.bank.sigma(scale, other) / 2
                rows[other] = smoothing(
                    self.size[other], sigma, a - margin[other], b + margin[other], 1, int(other == axis), self.bank.boundary
                )
            slopes[axis] = self._filtered(image, rows)
        averages = {}
        for axis in axes:
            n = self.shape[axis] + 2 * margin[axis]
            averages[axis] = smoothing(n, self.bank.sigma(scale, axis), margin[axis], n - margin[axis])
        elements = []
        for p, q in combinations_with_replacement(axes, 2):
            x = slopes[p] * slopes[q]
            for axis in axes:
                x = along(x, axis, averages[axis])
            elements.append(x)
        return eigenvalues(elements)


def _ranked(image: "Tensor", core: Core, axes: tuple[int, ...], reach: int, kind: Kind) -> "Tensor":
    """Least, greatest or middle value of a cube around each voxel of the core, the image mirrored at its faces."""
    import torch

    for axis in range(3):
        by = reach if axis in axes else 0
        places = mirrored(np.arange(core[axis].start - by, core[axis].stop + by), image.shape[axis])
        image = image.index_select(axis, torch.from_numpy(places).to(image.device))
    if kind in ("minimum", "maximum"):
        for axis in axes:
            windows = image.unfold(axis, 2 * reach + 1, 1)
            image = windows.amin(-1) if kind == "minimum" else windows.amax(-1)
        return image
    planes = []
    for z in range(core[0].stop - core[0].start):
        slab = image[z : z + 2 * reach + 1] if 0 in axes else image[z : z + 1]
        for axis in axes:
            slab = slab.unfold(axis, 2 * reach + 1, 1)
        planes.append(slab.flatten(3).median(-1).values)
    return torch.cat(planes)
