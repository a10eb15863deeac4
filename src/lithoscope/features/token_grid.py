"""Tokens of one plane: overlapping windows of a network over a grid that starts at voxel 0, blended without seams.

Windows that reach beyond the scan see it reflected. The plane is resized so that a token covers `patch / scale` voxels;
`density` 2 looks again half a patch further on, so that tokens lie twice as close. What is here knows planes and networks
only: scans and caches are in `tokens` and `token_cache`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.features.device_memory import in_parts

if TYPE_CHECKING:
    from torch import Tensor

    from lithoscope.features.vit import Vit

LOW, HIGH = -0.5, 1.5
"""Where networks cut an image whose window lies at 0…1."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the tokens of a plane lie: token i is centred on voxel `(patch / 2 + i * patch / density) / scale - 1 / 2`."""

    patch: int
    scale: float = 1.0
    density: int = 1

    def count(self, size: int) -> int:
        """How many tokens cover an axis of `size` voxels."""
        return self.density * max(1, -(-round(size * self.scale) // self.patch))

    @property
    def pitch(self) -> float:
        """Voxels from one token to the next."""
        return self.patch / self.density / self.scale

    def places(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        """Where the voxels start … stop - 1 lie among the tokens, as fractional token numbers."""
        voxels = np.arange(start, stop) + 0.5
        return (voxels * self.scale - self.patch / 2) * self.density / self.patch

    def weights(self, start: int, stop: int, count: int | None = None) -> tuple[int, int, Floats]:
        """The tokens first … last - 1 that the voxels start … stop - 1 lie between, and their shares (voxels, tokens).

        `count` is how many tokens there are; without it the last is not known, and a voxel beyond its centre wants one more.
        """
        places = np.clip(self.places(start, stop), 0, np.inf if count is None else count - 1)
        low = np.floor(places).astype(int) if count is None else np.minimum(np.floor(places).astype(int), max(count - 2, 0))
        first, last = int(low.min()), int(low.max()) + 2 if count is None else min(int(low.max()) + 2, count)
        shares = np.zeros((stop - start, last - first), np.float32)
        rows = np.arange(stop - start)
        shares[rows, low - first] = 1 - (places - low)
        if last - first > 1:
            shares[rows, np.minimum(low + 1 - first, last - first - 1)] += places - low
        return first, last, shares


def windowed(image: npt.NDArray[Any], window: tuple[float, float]) -> Floats:
    """Grey values as networks see them: the window at 0…1, a little beyond it kept, NaN at its low end."""
    low, high = window
    scaled: Floats = (np.nan_to_num(image.astype(np.float32), nan=low) - np.float32(low)) / np.float32(max(high - low, 1e-12))
    return np.clip(scaled, LOW, HIGH, out=scaled)


@dataclass(frozen=True, slots=True)
class Windows:
    """How a plane is seen: windows of `side` tokens, `step` tokens apart, the first one at voxel 0 of the scan."""

    side: int = 20
    step: int = 16

    def over(self, first: int, last: int) -> range:
        """Where windows begin, in tokens, that hold any of the tokens first … last - 1."""
        low = max(0, -(-(first - self.side + 1) // self.step))
        return range(low * self.step, max(last, 1), self.step)


def plane_tokens(
    network: "Vit",
    plane: Floats,
    grid: Grid,
    *,
    layers: tuple[int, ...] = (-1,),
    windows: Windows | None = None,
    start: tuple[int, int] = (0, 0),
    wanted: tuple[tuple[int, int], tuple[int, int]] | None = None,
    batch: int = 16,
    project: "Callable[[Tensor], Tensor] | None" = None,
) -> Floats:
    """Tokens (rows, columns, channels) of a plane (y, x) that `windowed` has seen; those of several layers follow each other.

    `start` is the scan's voxel (y, x) at which the plane begins, and `wanted` the tokens on the scan's grid that are given
    ((first row, last), (first column, last)); without it, all that cover the plane. What windows see beyond the plane is
    reflected, so a block with a halo as wide as a window gives the tokens of the whole scan. `project` reduces the channels
    of tokens (n, tokens, channels).
    """
    look = windows or Windows()
    d, device = grid.density, next(network.parameters()).device
    (r0, r1), (c0, c1) = wanted or ((0, grid.count(plane.shape[0])), (0, grid.count(plane.shape[1])))
    pixels, origin = _resized(plane, grid, start)
    made: Floats | None = None
    for dy in range(d):
        for dx in range(d):
            moved = (origin[0] - dy * grid.patch // d, origin[1] - dx * grid.patch // d)
            rows, columns = range(-(-(r0 - dy) // d), -(-(r1 - dy) // d)), range(-(-(c0 - dx) // d), -(-(c1 - dx) // d))
            if not rows or not columns:
                continue
            part = _windows(network, pixels.to(device), moved, grid.patch, rows, columns, layers, look, batch, project)
            if made is None:
                made = np.empty((r1 - r0, c1 - c0, part.shape[-1]), np.float32)
            made[rows[0] * d + dy - r0 :: d, columns[0] * d + dx - c0 :: d] = part
    assert made is not None
    return made


def _resized(plane: Floats, grid: Grid, start: tuple[int, int]) -> tuple["Tensor", tuple[int, int]]:
    """The plane at the grid's scale, and where its first pixel lies among the scan's."""
    import torch
    from torch.nn import functional

    pixels = torch.from_numpy(np.ascontiguousarray(plane))
    if grid.scale == 1:
        return pixels, start
    whole = max(1, round(1 / grid.scale))
    skip = [-s % whole for s in start]
    pixels = _reflected(pixels, tuple(skip), tuple(max(n - k, whole) for n, k in zip(plane.shape, skip, strict=True)))  # type: ignore[arg-type]
    factors = (grid.scale, grid.scale)
    made = functional.interpolate(pixels[None, None], scale_factor=factors, mode="bicubic", recompute_scale_factor=False)
    first = [round((s + k) * grid.scale) for s, k in zip(start, skip, strict=True)]
    return made[0, 0].clamp(LOW, HIGH), (first[0], first[1])


def _reflected(pixels: "Tensor", first: tuple[int, int], size: tuple[int, int]) -> "Tensor":
    """The pixels from `first` on, `size` of them, reflected at the ends of what there is, as often as needed."""
    import torch

    def places(start: int, count: int, there: int) -> "Tensor":
        i = torch.arange(start, start + count, device=pixels.device) % (2 * there)
        return torch.where(i < there, i, 2 * there - 1 - i)

    return pixels[places(first[0], size[0], pixels.shape[0])][:, places(first[1], size[1], pixels.shape[1])]


def _tent(side: int, step: int) -> Floats:
    """How much a window counts at each of its tokens: less towards its ends, nowhere nothing."""
    ramp = max(1.0, float(side - step))
    near = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return np.minimum(1.0, near / ramp).astype(np.float32)


def _windows(
    network: "Vit",
    pixels: "Tensor",
    origin: tuple[int, int],
    patch: int,
    rows: range,
    columns: range,
    layers: tuple[int, ...],
    look: Windows,
    batch: int,
    project: "Callable[[Tensor], Tensor] | None",
) -> Floats:
    import torch

    side, long = look.side, look.side * patch
    places = [(y, x) for y in look.over(rows[0], rows[-1] + 1) for x in look.over(columns[0], columns[-1] + 1)]
    tent = torch.from_numpy(np.outer(_tent(side, look.step), _tent(side, look.step))).to(pixels.device)[..., None]
    total: torch.Tensor | None = None
    shares = torch.zeros(len(rows), len(columns), 1, device=pixels.device)

    def ask(crops: "Tensor") -> "Tensor":
        with torch.inference_mode(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=pixels.device.type == "cuda"):
            seen = network.layers(network.normalised(crops), layers)
            tokens = torch.cat([t[:, network.prefix :] for t in seen], -1).float()
            return tokens if project is None else project(tokens)

    for i in range(0, len(places), batch):
        some = places[i : i + batch]
        crops = [_reflected(pixels, (y * patch - origin[0], x * patch - origin[1]), (long, long)) for y, x in some]
        tokens = in_parts(ask, torch.stack(crops)[:, None])
        total = torch.zeros(len(rows), len(columns), tokens.shape[-1], device=pixels.device) if total is None else total
        for (y, x), one in zip(some, tokens, strict=True):
            low = (max(y, rows[0]), max(x, columns[0]))
            high = (min(y + side, rows[-1] + 1), min(x + side, columns[-1] + 1))
            here = (slice(low[0] - y, high[0] - y), slice(low[1] - x, high[1] - x))
            there = (slice(low[0] - rows[0], high[0] - rows[0]), slice(low[1] - columns[0], high[1] - columns[0]))
            total[there] += one.view(side, side, -1)[here] * tent[here]
            shares[there] += tent[here]
    assert total is not None
    made: Floats = (total / shares).cpu().numpy()
    return made


def upsampled(tokens: Floats, grid: Grid, rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """Channels (channels, y, x) at the voxels of two ranges, between the tokens (rows, columns, channels) of a plane of `shape`.

    A voxel beyond the centre of the last token takes that token.
    """
    r0, r1, vertical = grid.weights(*rows, grid.count(shape[0]))
    c0, c1, across = grid.weights(*columns, grid.count(shape[1]))
    made: Floats = np.einsum("yr,rcd,xc->dyx", vertical, tokens[r0:r1, c0:c1].astype(np.float32), across, optimize=True)
    return made
