"""Masks held as bits, 64 voxels of a row in a word, so that voxels beside one another are compared many at a time."""

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple

Words = npt.NDArray[np.uint64]
_WORD = 64


class BitRows:
    """A mask (z, y, x) of which the outermost voxels are a rim of one; its core can be had moved by a voxel along any axis."""

    def __init__(self, mask: npt.NDArray[np.bool_]) -> None:
        depth, height, width = (n - 2 for n in mask.shape)
        self._core = (depth, height)
        packed = np.zeros((3, depth + 2, height + 2, -(-width // _WORD) * (_WORD // 8)), np.uint8)
        for by in (-1, 0, 1):
            bits = np.packbits(mask[:, :, 1 + by : 1 + by + width], axis=2)
            packed[by + 1, :, :, : bits.shape[2]] = bits
        self._words = packed.view(np.uint64)

    def moved(self, step: Triple) -> Words:
        """The bits (z, y, words) of the voxels one `step` from those of the core, each of -1, 0 or 1 along z, y and x."""
        (z, y, x), (depth, height) = step, self._core
        return self._words[1 + x, 1 + z : 1 + z + depth, 1 + y : 1 + y + height]


def count(words: Words) -> int:
    """How many bits are set."""
    return int(np.bitwise_count(words).sum(dtype=np.int64))
