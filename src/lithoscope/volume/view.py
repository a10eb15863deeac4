"""A (z, y, x) look at an array of other axes: planes that lack z, images of whose time points and channels one is looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from lithoscope.errors import UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.store import triple


class Volume:
    """Reads like an array (z, y, x), by slices and whole numbers."""

    def __init__(self, array: zarr.Array[Any], axes: tuple[str, ...], path: Path, picks: Mapping[str, int] | None = None) -> None:
        """`picks` says which entry of an axis other than z, y and x to look at."""
        sizes, picks = dict(zip(axes, array.shape, strict=True)), picks or {}
        for axis, size in sizes.items():
            if axis not in ("z", "y", "x") and size != 1 and axis not in picks:
                option = {"c": "--channel", "t": "--time"}.get(axis)
                way = (
                    f"import one of them: lithoscope import {path} SCAN.zarr {option} 0"
                    if option
                    else "save one of them as an image of its own"
                )
                raise UnreadableError(f"{path} has {size} entries along its axis {axis!r}; {way}")
        if [a for a in axes if a in "zyx"] not in (["z", "y", "x"], ["y", "x"]):
            raise UnreadableError(f"{path} has the axes {','.join(axes)}; only z,y,x in this order are a volume")
        self._array, self._axes, self._picks = array, axes, picks
        self.shape: Triple = triple([sizes.get(a, 1) for a in "zyx"])
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.ndim = 3
        edges = dict(zip(axes, array.chunks, strict=True))
        self.chunks: Triple = triple([edges.get(a, 1) for a in "zyx"])

    def __getitem__(self, key: Any, /) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = (*keys[:at], *[slice(None)] * (4 - len(keys)), *keys[at + 1 :])
        wanted = dict(zip("zyx", (*keys, *[slice(None)] * (3 - len(keys))), strict=True))
        found = np.asarray(self._array[tuple(_as_slice(wanted.get(a, self._picks.get(a, 0))) for a in self._axes)])
        keep = [i for i, a in enumerate(self._axes) if a in "zyx"]
        plain = found.reshape([found.shape[i] for i in keep])
        if "z" not in self._axes:
            plain = plain[None][_as_slice(wanted["z"])]
        return plain[tuple(slice(None) if isinstance(wanted[a], slice) else 0 for a in "zyx")]


def _as_slice(index: Any) -> Any:
    """A whole number as the slice of one entry; slices as they are."""
    if isinstance(index, slice):
        return index
    return slice(int(index), int(index) + 1) if int(index) != -1 else slice(-1, None)
