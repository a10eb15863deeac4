"""Tokens at the voxels of a block, or a linear map of them, which is cheaper: between tokens it lies as they do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.segmenters.base import Block
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from torch import Tensor

    from lithoscope.features.token_lookup import TokenSource
    from lithoscope.features.tokens import Tokens


def source_of(block: Block) -> "TokenSource":
    """Where the tokens of a block come from: what is kept of the whole scan, else its own image."""
    from lithoscope.features.token_lookup import Image

    return block.tokens or Image(block.image, block.window, block.origin)


def core_box(block: Block) -> Box:
    """The part to answer for, in voxels of the scan."""
    (z, y, x), (a, b, c) = block.core, block.origin
    return Box((a + z.start, b + y.start, c + x.start), (a + z.stop, b + y.stop, c + x.stop))


def token_pieces(tokens: "Tokens", block: Block) -> Iterator[tuple[slice, "Tensor"]]:
    """The channels at a block's core: (planes of the core, (channels, planes, y, x)), several planes at once where it must be."""
    import torch

    from lithoscope.features.token_lookup import at_voxels

    whole, source = core_box(block), source_of(block)
    z0, z1 = whole.start[0], whole.stop[0]
    step = 1 if tokens.axes == (0,) else z1 - z0
    for z in range(z0, z1, step):
        box = Box((z, *whole.start[1:]), (z + step, *whole.stop[1:]))
        parts = [at_voxels(source.near(tokens, axis, box), tokens.grid, axis, box) for axis in tokens.axes]
        yield slice(z - z0, z - z0 + step), torch.from_numpy(np.ascontiguousarray(np.concatenate(parts)))


def token_decisions(
    tokens: "Tokens", block: Block, weight: npt.NDArray[np.floating[Any]], bias: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float32]:
    """`weight` (classes, channels) @ tokens + `bias` (classes,) over a block's core, (classes, z, y, x)."""
    from lithoscope.features.token_lookup import at_voxels

    whole, source = core_box(block), source_of(block)
    made = np.empty((len(weight), *whole.shape), np.float32)
    made[...] = bias[:, None, None, None]
    for number, axis in enumerate(tokens.axes):
        own = weight[:, number * tokens.width : (number + 1) * tokens.width].T
        for plane in range(whole.shape[axis]):
            first, last = list(whole.start), list(whole.stop)
            first[axis], last[axis] = whole.start[axis] + plane, whole.start[axis] + plane + 1
            box = Box((first[0], first[1], first[2]), (last[0], last[1], last[2]))
            values = (source.near(tokens, axis, box) @ own).astype(np.float32)
            made[(slice(None), *box.within(whole).slices)] += at_voxels(values, tokens.grid, axis, box)
    return made
