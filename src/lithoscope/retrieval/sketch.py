"""Vectors as a few signs each: how many of them agree tells roughly how alike two vectors are, many times quicker than their product.

The signs are of projections on orthogonal directions, which say more than as many independent ones (Ji, Li, Yan, Zhang and Tian 2012).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.retrieval.vectors import Floats

_PIECE = 8_192


@dataclass(frozen=True, eq=False)
class Sketch:
    """`directions` (width, bits); `signs` (n, bits / 64), 64 in a word."""

    directions: Floats
    signs: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, vectors: Floats, bits: int, seed: int = 0) -> "Sketch":
        """That of vectors (n, width); `bits` is a multiple of 64."""
        width = vectors.shape[1]
        rng = np.random.default_rng(seed)
        turns = [np.linalg.qr(rng.normal(size=(width, width)))[0] for _ in range(-(-bits // width))]
        directions = np.ascontiguousarray(np.concatenate(turns, axis=1)[:, :bits], np.float32)
        parts = [_signs(vectors[i : i + _PIECE], directions) for i in range(0, len(vectors), _PIECE)]
        return cls(directions, np.concatenate(parts) if parts else np.empty((0, bits // 64), np.uint64))

    def nearest(self, query: Floats, rows: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
        """Those `count` of some rows whose signs differ least from a query's (width,), and all that are as near as the last of them."""
        from lithoscope.retrieval.compiled_rows import unlike

        distance = unlike(self.signs, rows, _signs(query[None], self.directions)[0])
        farthest = int(np.searchsorted(np.cumsum(np.bincount(distance)), count))
        kept: npt.NDArray[np.intp] = rows[distance <= farthest]
        return kept


def _signs(vectors: Floats, directions: Floats) -> npt.NDArray[np.uint64]:
    packed = np.packbits(vectors @ directions > 0, axis=1, bitorder="little")
    return packed.view(np.uint64)
