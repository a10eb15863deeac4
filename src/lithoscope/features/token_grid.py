"""Tokens of one plane: overlapping windows of a network over a grid that starts at voxel 0, blended without seams.

The plane is resized so that a token covers `patch / scale` voxels; `density` 2 looks again half a patch further on, so that
tokens lie twice as close. What is here knows planes and networks only: scans and caches are in `tokens` and `token_cache`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

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

    def weights(self, start: int, stop: int, count: int) -> tuple[int, int, Floats]:
        """The tokens first … last - 1 that the voxels start … stop - 1 lie between, and their shares (voxels, tokens)."""
        places = np.clip(self.places(start, stop), 0, count - 1)
        low = np.minimum(np.floor(places).astype(int), max(count - 2, 0))
        first, last = int(low.min()), min(int(low.max()) + 2, count)
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


def plane_tokens(
    network: "Vit",
    plane: Floats,
    grid: Grid,
    *,
    layers: tuple[int, ...] = (-1,),
    side: int = 28,
    overlap: float = 0.25,
    batch: int = 16,
    project: "Callable[[Tensor], Tensor] | None" = None,
) -> Floats:
    """Tokens (rows, columns, channels) of a plane (y, x) that `windowed` has seen; those of several layers follow each other.

    `side`: the tokens along a side of what the network sees at once. `project` reduces the channels of tokens (n, tokens, channels).
    """
    import torch

    device = next(network.parameters()).device
    half = grid.patch // grid.density
    parts: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
    whole = _resized(torch.from_numpy(plane), grid)
    rows, columns = grid.count(plane.shape[0]), grid.count(plane.shape[1])
    for dy in range(grid.density):
        for dx in range(grid.density):
            moved = _padded(whole[dy * half :, dx * half :], grid.patch, rows // grid.density, columns // grid.density)
            parts[dy, dx] = _windows(network, moved.to(device), grid.patch, layers, side, overlap, batch, project)
    if grid.density == 1:
        return parts[0, 0]
    made = np.empty((rows, columns, parts[0, 0].shape[-1]), np.float32)
    for (dy, dx), part in parts.items():
        made[dy :: grid.density, dx :: grid.density] = part
    return made


def _resized(plane: "Tensor", grid: Grid) -> "Tensor":
    from torch.nn import functional

    if grid.scale == 1:
        return plane
    thinnest = int(np.ceil(1 / grid.scale))
    plane = _padded(plane, 1, max(plane.shape[0], thinnest), max(plane.shape[1], thinnest))
    factors = (grid.scale, grid.scale)
    made = functional.interpolate(plane[None, None], scale_factor=factors, mode="bicubic", recompute_scale_factor=False)
    return made[0, 0].clamp(LOW, HIGH)


def _padded(plane: "Tensor", patch: int, rows: int, columns: int) -> "Tensor":
    """The plane made rows · patch by columns · patch pixels by reflecting its end, as often as needed."""
    import torch

    def places(size: int, wanted: int) -> "Tensor":
        i = torch.arange(wanted) % max(1, 2 * size)
        return torch.where(i < size, i, 2 * size - 1 - i).clamp(0, size - 1)

    return plane[places(plane.shape[0], rows * patch)][:, places(plane.shape[1], columns * patch)]


def starts(count: int, side: int, overlap: float) -> list[int]:
    """Where windows of `side` tokens begin along an axis of `count`: from 0 on, the last one pushed back inside."""
    if count <= side:
        return [0]
    step = max(1, round(side * (1 - overlap)))
    return [*range(0, count - side, step), count - side]


def _tent(side: int, overlap: float) -> Floats:
    """How much a window counts at each of its tokens: less towards its ends, nowhere nothing."""
    ramp = max(1.0, side * overlap)
    near = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return np.minimum(1.0, near / ramp).astype(np.float32)


def _windows(
    network: "Vit",
    pixels: "Tensor",
    patch: int,
    layers: tuple[int, ...],
    side: int,
    overlap: float,
    batch: int,
    project: "Callable[[Tensor], Tensor] | None",
) -> Floats:
    import torch

    rows, columns = pixels.shape[0] // patch, pixels.shape[1] // patch
    high, wide = min(side, rows), min(side, columns)
    places = [(y, x) for y in starts(rows, side, overlap) for x in starts(columns, side, overlap)]
    tent = torch.from_numpy(np.outer(_tent(high, overlap), _tent(wide, overlap))).to(pixels.device)[..., None]
    total: torch.Tensor | None = None
    shares = torch.zeros(rows, columns, 1, device=pixels.device)
    for some in _batches(places, batch):
        crops = torch.stack([pixels[y * patch : (y + high) * patch, x * patch : (x + wide) * patch] for y, x in some])[:, None]
        with torch.inference_mode(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=pixels.device.type == "cuda"):
            tokens = torch.cat([t[:, network.prefix :] for t in network.layers(network.normalised(crops), layers)], -1).float()
            tokens = tokens if project is None else project(tokens)
        total = torch.zeros(rows, columns, tokens.shape[-1], device=pixels.device) if total is None else total
        for (y, x), one in zip(some, tokens, strict=True):
            total[y : y + high, x : x + wide] += one.view(high, wide, -1) * tent
            shares[y : y + high, x : x + wide] += tent
    assert total is not None
    made: Floats = (total / shares).cpu().numpy()
    return made


def _batches(items: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for i in range(0, len(items), size):
        yield items[i : i + size]


def upsampled(tokens: Floats, grid: Grid, rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """Channels (channels, y, x) at the voxels of two ranges, between the tokens (rows, columns, channels) of a plane of `shape`."""
    r0, r1, vertical = grid.weights(*rows, grid.count(shape[0]))
    c0, c1, across = grid.weights(*columns, grid.count(shape[1]))
    made: Floats = np.einsum("yr,rcd,xc->dyx", vertical, tokens[r0:r1, c0:c1].astype(np.float32), across, optimize=True)
    return made
