"""What of a place matches a query voxel by voxel: labels proposed on the plane through a hit, for a person to accept or not."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.prepared import Preparation
from lithoscope.retrieval.search import Vectors
from lithoscope.retrieval.sources import Source
from lithoscope.retrieval.vectors import Floats
from lithoscope.volume.box import Box, Triple

OWN_SHARE = 0.1
"""The threshold that is offered first leaves out this part of the query's own voxels."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """How much each voxel of a box, one plane thick, is like the query: cosines (z, y, x) of its tokens."""

    box: Box
    axis: int
    likeness: Floats

    def mask(self, threshold: float) -> npt.NDArray[np.bool_]:
        """The voxels that match."""
        return self.likeness >= threshold

    @property
    def origin(self) -> Triple:
        return self.box.start


def proposed(
    embedder: Embedder, preparation: Preparation, source: Source, box: Box, query: Vectors, *, axis: int = 0, scale: float = 1.0
) -> Proposal | None:
    """The likeness of the voxels on the middle plane of a box across `axis` to a prepared query; None where the query has no such plane."""
    column = f"{'zyx'[axis]}_mean"
    vector = query.get(column)
    if vector is None or not vector.any():
        return None
    index = (box.start[axis] + box.stop[axis]) // 2
    tokens, rows, columns, plane = embedder.voxel_tokens(source, box, axis, index, scale)
    values = preparation.one(column, tokens) @ vector
    return Proposal(plane, axis, np.expand_dims(rows @ values @ columns.T, axis))


def first_threshold(own: Proposal | None, mask: npt.NDArray[np.bool_] | None = None) -> float:
    """Where to begin: what most of the query's own voxels reach."""
    if own is None or not own.likeness.size:
        return 0.5
    values = own.likeness if mask is None or not mask.any() else own.likeness[mask]
    return float(np.clip(np.quantile(values, OWN_SHARE), 0.05, 0.95))
