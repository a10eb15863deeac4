"""A first look at a place: one window of the network around it, where `Embedder.query` sees all that the library's patches are seen in."""

import numpy as np
import numpy.typing as npt

from lithoscope.retrieval.embed import Embedder, Floats
from lithoscope.retrieval.recipe import WINDOWS
from lithoscope.retrieval.sources import Source
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box


def glance(embedder: Embedder, source: Source, box: Box, axis: int, mask: npt.NDArray[np.bool_] | None = None) -> dict[str, Floats] | None:
    """One raw vector (width,) by the middle plane of a box across an axis, nearly that of `Embedder.query` in a fraction of the time.

    None where it would be no quicker: the box is larger than a window, or the library does not hold the mean of such planes.
    """
    recipe, plane = embedder.recipe, "zyx"[axis]
    if "mean" not in recipe.poolings or plane not in recipe.planes or not recipe.patch or (source.flat and axis):
        return None
    along = [a for a in range(3) if a != axis]
    voxel = source.voxel_um
    edge = recipe.edge(recipe.scales[0], voxel[along[1]] if voxel and recipe.patch_um is not None else None)
    tokens, there = embedder.tokens(edge), box.start[axis] + box.shape[axis] // 2
    pitch, part = tokens.grid.pitch, None
    if mask is not None:
        deep = np.flatnonzero(mask.any(axis=(along[0], along[1])))
        if not len(deep):
            return None
        there = box.start[axis] + int(deep[len(deep) // 2])
        part = np.take(mask, there - box.start[axis], axis)
    corner, starts, stops = [], [0, 0, 0], [0, 0, 0]
    starts[axis], stops[axis] = there, there + 1
    for a in along:
        if box.shape[a] > (WINDOWS.side - 2) * pitch:
            return None
        first = round((box.start[a] + box.stop[a]) / 2 / pitch - WINDOWS.side / 2)
        first = max(0, min(first, tokens.grid.count(source.shape[a]) - WINDOWS.side))
        starts[a], stops[a] = round(first * pitch), min(round((first + WINDOWS.side) * pitch), source.shape[a])
        corner.append(starts[a])
    crop = Box((starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2]))
    grey = np.take(read(source.array, crop), 0, axis)
    counts = [tokens.grid.count(n) for n in grey.shape]
    (r0, r1, rows), (c0, c1, columns) = (
        tokens.grid.weights(box.start[a] - c, box.stop[a] - c, n) for a, c, n in zip(along, corner, counts, strict=True)
    )
    found = tokens.of_plane(grey, source.window, wanted=((r0, r1), (c0, c1)))
    inner = np.ones((len(rows), len(columns)), np.float32) if part is None else part.astype(np.float32)
    weights = rows.T @ inner @ columns
    vector: Floats = np.einsum("rc,rcd->d", weights, found) / weights.sum()
    return {f"{plane}_mean": vector}
