"""An array on disk as napari looks at it: cut lazily, read where a plane is asked for, through chunks kept in memory.

napari cuts a multiscale layer to the tile in view and then to the plane; an array that reads at the first of these cuts reads the whole
column behind the tile (https://github.com/napari/napari/issues/9515). Dask waits, too, but decodes 64 planes for each one that is shown.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box, Triple
from lithoscope.volume.chunk_cache import ChunkCache, Chunks
from lithoscope.volume.images import filtered_image

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

_making = threading.Lock()
_cache: ChunkCache | None = None


def shown(levels: Sequence[Any], version: str) -> list["Shown"]:
    """Zarr arrays (z, y, x), level 0 first, for a layer. `version` tells apart arrays of one name: what was read is kept under it."""
    global _cache
    with _making:
        if _cache is None:
            _cache = ChunkCache()
    return [Shown(Chunks(level, f"{version}-{k}", _cache)) for k, level in enumerate(levels)]


def shown_image(scan: "Scan", name: str | None = None) -> list["Shown"]:
    """The levels of a scan, or of its filtered image `name`: layers and previews share what was read of them."""
    filtered = None if name is None else filtered_image(scan, name)
    levels, version = (scan.levels, scan.content_hash) if filtered is None else (filtered.levels, filtered.record.uuid)
    return shown(levels, f"{scan.uuid}-{version}")


class Shown:
    """A part of a volume (z, y, x): cutting all axes by ranges gives a smaller one, anything else is read as a numpy array."""

    ndim = 3

    def __init__(self, chunks: Chunks, box: Box | None = None, last: list[int] | None = None) -> None:
        self._chunks = chunks
        self._box = Box.whole(chunks.shape) if box is None else box
        self._last = [-1, -1, -1] if last is None else last
        """The plane last read along each axis, shared by all parts."""

    @property
    def shape(self) -> Triple:
        return self._box.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._chunks.dtype

    @property
    def size(self) -> int:
        return self._box.size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        values = self._chunks.read(self._box)
        # napari asks for one plane by a range of one, too: with a projection, its default, even where there is nothing to project.
        self._follow(self._box, [axis for axis, n in enumerate(self.shape) if n == 1])
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        """A lazy part for ranges of step 1; the values for everything else.

        Raises:
            IndexError: a place outside, or an index that is neither a whole number nor a range.
        """
        ranges, after = self._cut(key)
        box = Box(*zip(*((r.start + o, r.stop + o) for r, o in zip(ranges, self._box.start, strict=True)), strict=True))
        if all(isinstance(one, slice) and one == slice(None) for one in after):
            return Shown(self._chunks, box, self._last)
        values = self._chunks.read(box)
        self._follow(box, [axis for axis, one in enumerate(after) if not isinstance(one, slice)])
        return values[tuple(after)]

    def _cut(self, key: Any) -> tuple[list[range], list[Any]]:
        """The range of each axis that must be read, and how to index what was read."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in [k for k in keys if k is Ellipsis]:
            at = next(i for i, k in enumerate(keys) if k is Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        if len(keys) != self.ndim:
            raise IndexError(f"a volume has {self.ndim} axes, not {len(keys)}")
        ranges: list[range] = []
        after: list[Any] = []
        for one, size in zip(keys, self.shape, strict=True):
            if isinstance(one, slice):
                wanted = range(size)[one]
                low, high = (min(wanted), max(wanted) + 1) if wanted else (0, 0)
                ranges.append(range(low, high))
                after.append(slice(None) if wanted.step == 1 else slice(None, None, wanted.step))
            else:
                try:
                    place = range(size)[one]
                except TypeError:
                    raise IndexError("a volume on disk is indexed by whole numbers and ranges; use numpy.asarray(...) to read it") from None
                ranges.append(range(place, place + 1))
                after.append(0)
        return ranges, after

    def _follow(self, box: Box, planes: Sequence[int]) -> None:
        """Where one plane was read, one voxel thick along one axis, have what lies beside it read ahead."""
        if len(planes) == 1:
            axis = planes[0]
            place, last = box.start[axis], self._last[axis]
            self._last[axis] = place
            near = last >= 0 and 0 < abs(place - last) <= self._chunks.edge[axis]
            self._chunks.look_ahead(box, axis, (1 if place > last else -1) if near else 0)
