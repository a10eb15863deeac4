"""The filter bank over a block, a few planes at a time, so that the many channels of a whole block are never in memory at once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lithoscope.features.filters import FilterBank
from lithoscope.segmenters.base import Block

if TYPE_CHECKING:
    from torch import Tensor

SLAB = 8
"""Planes answered at a time when these run within planes."""


def pieces(bank: FilterBank, block: Block) -> Iterator[tuple[slice, "Tensor"]]:
    """The features of a block's core, a few planes at a time: (planes of the core, (channels, planes, y, x))."""
    import torch

    if block.source is not None:
        features = block.features(bank)[(slice(None), *block.core)]
        yield slice(0, features.shape[1]), torch.from_numpy(np.ascontiguousarray(features, np.float32))
        return
    z, y, x = block.core
    step = z.stop - z.start if 0 in bank.axes else SLAB
    for top in range(z.start, z.stop, step):
        bottom = min(top + step, z.stop)
        image, core, origin = block.image, block.core, block.origin
        if 0 not in bank.axes:
            image, core, origin = image[top:bottom], (slice(0, bottom - top), y, x), (origin[0] + top, origin[1], origin[2])
        for planes, values in bank.prepare(image, block.window, core, origin=origin).pieces():
            yield slice(top - z.start + planes.start, top - z.start + planes.stop), values
