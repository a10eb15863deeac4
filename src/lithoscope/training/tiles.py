"""A network's answer over a block of any size, tile by tile: the same as for the block in one piece.

A tile is read with at least the network's reach around it and laid on the network's own grid, which starts at voxel 0 of the scan, so
no place hears of the border of its tile and every pooling step meets the voxels it would meet in the whole. What lies beyond the
block is reflected, as the engine reflects a scan at its faces.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lithoscope.training.devices import laid_out, out_of_memory
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box

Floats = npt.NDArray[np.float32]
Range = tuple[int, int]


@dataclass(frozen=True)
class Tiler:
    """How a network is asked: `reach` and `stride` in voxels along its own axes, and how many bytes the work may take.

    Planes are asked together up to `together` bytes, all of `memory` if that is 0.

    `flips`: the mean over the mirror images is answered. `half`: in mixed precision.
    """

    network: nn.Module
    classes: int
    reach: int
    stride: int
    voxel_bytes: int
    device: torch.device
    memory: int = 192 << 20
    flips: bool = False
    half: bool = False
    together: int = 0

    def tile(self, sizes: Sequence[int]) -> list[int]:
        """The edges of a tile of an image of these sizes that fits the memory with what is around it."""
        most = max(self.memory // self.voxel_bytes, 1)
        tile = [-(-s // self.stride) * self.stride for s in sizes]

        def taken(t: Sequence[int]) -> int:
            return int(np.prod([e + 2 * (self.reach + self.stride) for e in t]))

        while taken(tile) > most and max(tile) > self.stride:
            longest = tile.index(max(tile))
            tile[longest] = max(self.stride, -(-tile[longest] // 2 // self.stride) * self.stride)
        return tile

    def planes(
        self, image: Floats, core: Sequence[slice], origin: Sequence[int], channels: int
    ) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
        """Scores (planes, classes, rows, columns) of each tile of the core of an image (z, y, x), looked at plane by plane.

        With them the place of the tile in the image. `channels` neighbouring planes are what the network sees of one.
        """
        side = channels // 2
        tile = self.tile([c.stop - c.start for c in core[1:]])
        for rows, columns in product(*(_steps(c, t) for c, t in zip(core[1:], tile, strict=True))):
            spans = [self._span(a, b, o, n) for (a, b), o, n in zip((rows, columns), origin[1:], image.shape[1:], strict=True)]
            part = _taken(image, [(core[0].start - side, core[0].stop + side), *spans])
            at_once = max(1, (self.together or self.memory) // (self.voxel_bytes * part.shape[1] * part.shape[2]))
            here = tuple(slice(a - s[0], b - s[0]) for (a, b), s in zip((rows, columns), spans, strict=True))
            for first in range(core[0].start, core[0].stop, at_once):
                last = min(first + at_once, core[0].stop)
                low = first - core[0].start
                stacked = torch.stack([part[low + k : low + k + channels] for k in range(last - first)])
                yield (slice(first, last), slice(*rows), slice(*columns)), self.ask(stacked)[(slice(None), slice(None), *here)]

    def space(self, image: Floats, core: Sequence[slice], origin: Sequence[int]) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
        """Scores (classes, z, y, x) of each tile of the core of an image (z, y, x), looked at in space, and its place."""
        tile = self.tile([c.stop - c.start for c in core])
        for place in product(*(_steps(c, t) for c, t in zip(core, tile, strict=True))):
            spans = [self._span(a, b, o, n) for (a, b), o, n in zip(place, origin, image.shape, strict=True)]
            here = tuple(slice(a - s[0], b - s[0]) for (a, b), s in zip(place, spans, strict=True))
            answer = self.ask(_taken(image, spans)[None, None])[0]
            yield tuple(slice(a, b) for a, b in place), answer[(slice(None), *here)]

    def ask(self, images: Tensor) -> Tensor:
        """Scores (n, classes, …) of images (n, channels, …), summing to one; in halves where memory does not hold them together."""
        try:
            return self._asked(images)
        except RuntimeError as error:
            if len(images) < 2 or not out_of_memory(error):
                raise
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return torch.cat([self.ask(half) for half in images.chunk(2)])

    def _asked(self, images: Tensor) -> Tensor:
        images = laid_out(images.to(self.device))
        axes = range(2, images.ndim)
        ways: list[tuple[int, ...]] = [()]
        if self.flips:
            ways = [
                tuple(a for a, mirrored in zip(axes, chosen, strict=True) if mirrored)
                for chosen in product((False, True), repeat=images.ndim - 2)
            ]
        found: Tensor | None = None
        with torch.inference_mode():
            for way in ways:
                answer = self._scores(images.flip(way) if way else images)
                answer = answer.flip(way) if way else answer
                found = answer if found is None else found.add_(answer)
            assert found is not None
            return (found / len(ways) if len(ways) > 1 else found).cpu()

    def _scores(self, images: Tensor) -> Tensor:
        if not self.half:
            return torch.softmax(self.network(images).float(), 1)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = self.network(images)
        return torch.softmax(logits.float(), 1)

    def _span(self, low: int, high: int, origin: int, size: int) -> Range:
        """What is read for low … high along an axis: on the network's grid, as far as its reach, and no farther than needed."""
        step = self.stride
        start = (origin + max(low - self.reach, 0)) // step * step - origin
        stop = -(-(origin + min(high + self.reach, size)) // step) * step - origin
        return start, stop


def averaged(ways: Sequence[Callable[[], Iterator[tuple[tuple[slice, ...], Tensor]]]], shape: Sequence[int]) -> Floats:
    """The mean of several looks at the same places; each gives scores (classes, …) and where they belong."""
    found: Floats = np.zeros(tuple(shape), np.float32)
    for way in ways:
        for place, scores in way():
            found[(slice(None), *place)] += scores.numpy()
    if len(ways) > 1:
        found /= np.float32(len(ways))
    return found


def _steps(along: slice, edge: int) -> list[Range]:
    return [(a, min(a + edge, along.stop)) for a in range(along.start, along.stop, edge)]


def _taken(image: Floats, spans: Sequence[Range]) -> Tensor:
    """These voxels of an image, reflected beyond it."""
    (a, b), (c, d), (e, f) = spans
    return torch.from_numpy(np.ascontiguousarray(read(image, Box((a, c, e), (b, d, f)))))
