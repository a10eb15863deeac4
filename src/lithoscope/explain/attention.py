"""Where a backbone looks: attention of any block and head from the class token or from any token, in one window of its input.

What the network saw is kept as queries and keys of every block, so that another token, block or head costs one row of a product.
Rollout is that of Abnar and Zuidema, Quantifying attention flow in transformers, ACL 2020.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.explain.place import AXES, Cell, Place, plane_box
from lithoscope.features.token_grid import windowed
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.images import window_of

if TYPE_CHECKING:
    from torch import Tensor

    from lithoscope.features.backbones import Backbone
    from lithoscope.volume.scan import Scan

Floats = npt.NDArray[np.float32]
Token = Cell | Literal["class"]
"""The class token, or the row and column of a patch within the window."""

LARGEST = 518
"""The side in pixels of the input that DINOv2 was published with; windows are no larger unless asked."""
WHOLE_ROLLOUT = 2048
"""Up to so many tokens the rollout of all of them is worked out at once and kept."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One window as the network saw it: queries and keys (heads, tokens, channels) of every block, the class token first.

    `place` says where its patches (rows, columns) lie in the scan, `start` which of the plane's tokens the first one is.
    """

    backbone: str
    queries: tuple["Tensor", ...]
    keys: tuple["Tensor", ...]
    shape: tuple[int, int]
    start: Cell
    place: Place
    frame: Box
    prefix: int
    _rollout: dict[str, "Tensor"] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        return len(self.queries)

    @property
    def heads(self) -> int:
        return int(self.queries[0].shape[0])

    def row(self, block: int = -1, query: Token = "class", head: int | None = None) -> Floats:
        """How much a token looks at each (tokens,), the class token and the registers among them; `head` None is their mean.

        Blocks and heads are counted from 1; block -1 is the last.
        """
        import torch

        q, k = self._block(block)
        with torch.inference_mode():
            one = q[:, self._number(query)] if head is None else q[self._head(head), self._number(query)][None]
            other = k if head is None else k[self._head(head)][None]
            rows = torch.softmax((other @ one[..., None])[..., 0] * one.shape[-1] ** -0.5, -1)
            made: Floats = rows.mean(0).cpu().numpy()
        return made

    def matrix(self, block: int = -1, head: int | None = None) -> "Tensor":
        """All rows (tokens, tokens) of a block: softmax(Q Kᵀ / √channels), or the mean over its heads."""
        import torch

        q, k = self._block(block)
        heads = range(self.heads) if head is None else (self._head(head),)
        with torch.inference_mode():
            made = sum(torch.softmax(q[h] @ k[h].T * q.shape[-1] ** -0.5, -1) for h in heads)
            return made / len(heads)  # type: ignore[return-value]

    def rollout(self, query: Token = "class", check: Callable[[], None] = lambda: None) -> Floats:
        """What reaches a token (tokens,) from the input through all blocks: the product of ½ (attention + identity), heads averaged."""
        import torch

        number = self._number(query)
        with torch.inference_mode():
            if self.queries[0].shape[1] <= WHOLE_ROLLOUT:
                if "all" not in self._rollout:
                    flow = torch.eye(self.queries[0].shape[1], device=self.queries[0].device)
                    for block in range(1, self.depth + 1):
                        check()
                        flow = 0.5 * (self.matrix(block) @ flow + flow)
                    self._rollout["all"] = flow
                made: Floats = self._rollout["all"][number].cpu().numpy()
                return made
            one = torch.zeros(self.queries[0].shape[1], device=self.queries[0].device)
            one[number] = 1
            for block in range(self.depth, 0, -1):
                check()
                one = 0.5 * (self._pulled(one, block) + one)
            row: Floats = one.cpu().numpy()
            return row

    def _pulled(self, row: "Tensor", block: int) -> "Tensor":
        """A row times a block's attention, without ever holding all of it."""
        import torch

        q, k = self._block(block)
        made = torch.zeros_like(row)
        there = torch.nonzero(row)[:, 0]
        for h in range(self.heads):
            for some in torch.split(there, 512):
                made += row[some] @ torch.softmax(q[h, some] @ k[h].T * q.shape[-1] ** -0.5, -1)
        return made / self.heads

    def patches(self, row: Floats) -> Floats:
        """The patches' part of a row as a map (rows, columns) that sums to one."""
        part = row[self.prefix :].reshape(self.shape)
        return (part / max(float(part.sum()), 1e-12)).astype(np.float32)

    def holds(self, voxel: Triple) -> bool:
        """Whether the window shows a voxel of its plane."""
        return all(a <= v < b for a, v, b in zip(self.frame.start, voxel, self.frame.stop, strict=True))

    def token_at(self, voxel: Triple) -> Cell:
        """The patch that holds a voxel."""
        row, column = self.place.cell(voxel)
        if not (0 <= row < self.shape[0] and 0 <= column < self.shape[1]):
            z, y, x = voxel
            raise InputError(f"token {z},{y},{x} lies outside the window that was looked at, {self.frame}")
        return (row, column)

    def _number(self, query: Token) -> int:
        if query == "class":
            return 0
        row, column = query
        if not (0 <= row < self.shape[0] and 0 <= column < self.shape[1]):
            raise InputError(f"token {row},{column} does not lie within the window's {self.shape[0]} × {self.shape[1]} tokens")
        return self.prefix + row * self.shape[1] + column

    def _head(self, head: int) -> int:
        if not 1 <= head <= self.heads:
            raise InputError(f"head {head} is not there; {self.backbone} has heads 1 to {self.heads}")
        return head - 1

    def _block(self, block: int) -> tuple["Tensor", "Tensor"]:
        index = self.depth - 1 if block == -1 else block - 1
        if not 0 <= index < self.depth:
            raise InputError(f"block {block} is not there; {self.backbone} has blocks 1 to {self.depth}")
        return self.queries[index], self.keys[index]


def window_side(backbone: "Backbone", pixels: int | None = None) -> int:
    """How many patches along a side of the window: of `pixels`, or else of what the network is used to."""
    if pixels is not None and pixels < 2 * backbone.patch:
        raise InputError(f"a window of {pixels} pixels is too small; give at least two patches of {backbone.patch}")
    config = backbone.config
    # Learnt places are of one size of input; a network without them is used to twice the crops that it was taught on.
    used = config.image_size if config.position == "learned" else 2 * config.image_size
    return max(2, min(pixels, 4 * LARGEST) // config.patch if pixels is not None else min(used, LARGEST) // config.patch)


def look(
    scan: "Scan",
    backbone: "Backbone",
    axis: int,
    at: Triple,
    *,
    image: str | None = None,
    pixels: int | None = None,
    scale: float = 1.0,
    check: Callable[[], None] = lambda: None,
) -> Seen:
    """What the network sees in the window around a voxel, moved into the plane; its patches lie on the plane's grid of tokens."""
    from lithoscope.explain.place import checked
    from lithoscope.features.token_grid import Grid

    checked(axis, at[axis], scan)
    grid, side = Grid(backbone.patch, scale), window_side(backbone, pixels)
    along = [a for a in range(3) if a != axis]
    start, shape = [], []
    for a in along:
        there = int(scan.shape[a] * scale) // backbone.patch
        if there < 2:
            raise InputError(
                f"planes across {AXES[axis]} of {scan.name} hold only {scan.shape[a]} voxels along {AXES[a]}, less than two patches "
                f"of {backbone.name} ({backbone.patch}); look at another axis, or enlarge planes with a higher scale"
            )
        fit = min(side, there)
        middle = (at[a] + 0.5) * scale / backbone.patch
        start.append(int(min(max(round(middle - fit / 2), 0), there - fit)))
        shape.append(fit)
    low, high = [0, 0, 0], [0, 0, 0]
    low[axis], high[axis] = at[axis], at[axis] + 1
    for a, first, count in zip(along, start, shape, strict=True):
        low[a], high[a] = round(first * grid.pitch), min(round((first + count) * grid.pitch), scan.shape[a])
    frame = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    scan.check_present()
    if scale == 1:
        grey = np.squeeze(read(scan.array(image), frame), axis)
        pixels_seen = windowed(grey, window_of(scan, image))
    else:
        grey = np.squeeze(read(scan.array(image), plane_box(axis, at[axis], scan.shape)), axis)
        pixels_seen = _enlarged(windowed(grey, window_of(scan, image)), grid, (start[0], start[1]), (shape[0], shape[1]))
    place = Place.of_tokens(axis, at[axis], grid, (start[0], start[1]))
    return seen(backbone, pixels_seen, place, (start[0], start[1]), frame, check)


def seen(backbone: "Backbone", grey: Floats, place: Place, start: Cell, frame: Box, check: Callable[[], None] = lambda: None) -> Seen:
    """The queries and keys of an image (y, x) of whole patches, whose window lies at 0…1."""
    import torch

    network: Any = backbone.network
    device = next(network.parameters()).device
    pixels = torch.from_numpy(np.ascontiguousarray(grey, np.float32))[None, None].to(device)
    queries, keys = [], []
    with torch.inference_mode():
        x = network.embeddings(network.normalised(pixels))
        for layer in network.encoder.layer:
            check()
            q, k, _ = layer.attention.split(layer.norm1(x))
            queries.append(q[0].float().contiguous())
            keys.append(k[0].float().contiguous())
            x = layer(x)
    shape = (grey.shape[0] // backbone.patch, grey.shape[1] // backbone.patch)
    return Seen(backbone.name, tuple(queries), tuple(keys), shape, start, place, frame, network.prefix)


def _enlarged(plane: Floats, grid: Any, start: Cell, shape: tuple[int, int]) -> Floats:
    """The pixels of a window of tokens on a plane that is resized first."""
    import torch
    from torch.nn import functional

    factors = (grid.scale, grid.scale)
    made = functional.interpolate(
        torch.from_numpy(plane)[None, None], scale_factor=factors, mode="bicubic", recompute_scale_factor=False, antialias=grid.scale < 1
    )[0, 0].numpy()
    (a, b), (h, w), p = start, shape, grid.patch
    found: Floats = np.ascontiguousarray(made[a * p : (a + h) * p, b * p : (b + w) * p])
    return found
