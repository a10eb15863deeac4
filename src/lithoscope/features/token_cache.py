"""Tokens of a whole scan, computed once and kept at token resolution beside it, where any block is read from them.

A cache is named by the scan's content, the image and the extractor's key; it can be deleted at any time. One array an axis,
(planes, rows, columns, channels) in half precision; a killed run goes on after the last plane that it wrote.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, ResourceError
from lithoscope.features.base import Extractor
from lithoscope.features.token_lookup import around, at_voxels
from lithoscope.features.tokens import Tokens
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.box import Box
from lithoscope.volume.images import filtered_image, window_of
from lithoscope.volume.scan import Scan

PREFIX = "tokens-"
"""How the folders of these caches begin."""
PLANES = 8
"""How many planes lie in one chunk, are computed together and written together."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What making the cache will take."""

    seconds: float
    disk_bytes: int


@dataclass(frozen=True)
class TokenCache:
    """The tokens of one image of a scan by one extractor. Calling it gives the features of a box, as the engine asks for them."""

    scan: Scan
    tokens: Tokens
    image: str | None = None

    @cached_property
    def window(self) -> tuple[float, float]:
        """The grey values that the network sees between black and white."""
        return window_of(self.scan, self.image)

    @cached_property
    def folder(self) -> Path:
        """Where it lies: named by the image, by what the network sees of it, and by the extractor."""
        made = "" if self.image is None else filtered_image(self.scan, self.image).record.uuid
        seen = hashlib.sha256(f"{self.scan.content_hash}-{made}-{self.window}".encode()).hexdigest()[:16]
        return self.scan.sidecar / "cache" / f"{PREFIX}{self.image or 'scan'}-{seen}-{self.tokens.key()}"

    def shape(self, axis: int) -> tuple[int, int, int, int]:
        """The shape of the array of planes across an axis."""
        rows, columns = (self.tokens.grid.count(s) for i, s in enumerate(self.scan.shape) if i != axis)
        return (self.scan.shape[axis], rows, columns, self.tokens.width)

    @property
    def bytes(self) -> int:
        """How much disk it takes, at most."""
        return sum(2 * int(np.prod(self.shape(axis))) for axis in self.tokens.axes)

    @property
    def complete(self) -> bool:
        return all(self._done(axis) >= self.scan.shape[axis] for axis in self.tokens.axes)

    def _about(self, axis: int) -> Path:
        return self.folder / f"{'zyx'[axis]}.json"

    def _done(self, axis: int) -> int:
        path = self._about(axis)
        return int(json.loads(path.read_text(encoding="utf-8"))["planes"]) if path.exists() else 0

    def planes(self, axis: int) -> int:
        """How many planes across an axis are there, from the first on."""
        return self._done(axis)

    def plane(self, axis: int, index: int) -> npt.NDArray[np.float16]:
        """The tokens (rows, columns, width) of a plane that is there."""
        return np.asarray(self._array(axis)[index])

    def estimate(self) -> Estimate:
        """Seconds, from one plane in the middle of each axis, and bytes."""
        seconds = 0.0
        for axis in self.tokens.axes:
            start = time.perf_counter()
            self._planes(axis, self.scan.shape[axis] // 2, self.scan.shape[axis] // 2 + 1)
            seconds += (time.perf_counter() - start) * self.scan.shape[axis]
        return Estimate(seconds, self.bytes)

    def make(self, report: Report = silent) -> "TokenCache":
        """Compute what is missing of it."""
        if self.scan.separate_slices and self.tokens.plane != "z":
            raise InputError(f"the slices of {self.scan.name} are separate images; use plane=z")
        if self.complete:
            return self
        import psutil

        self.folder.mkdir(parents=True, exist_ok=True)
        free = psutil.disk_usage(str(self.folder)).free
        if free < self.bytes:
            raise ResourceError(f"the tokens need up to {self.bytes >> 20} MB of disk, but only {free >> 20} MB are free; free some space")
        total = sum(self.scan.shape[axis] for axis in self.tokens.axes)
        before = 0
        for axis in self.tokens.axes:
            array = self._array(axis, create=True)
            size = self.scan.shape[axis]
            for first in range(self._done(axis) // PLANES * PLANES, size, PLANES):
                last = min(first + PLANES, size)
                array[first:last] = self._planes(axis, first, last)
                self._mark(axis, last)
                report(Progress(before + last, total, f"tokens of {self.scan.name}, planes across {'zyx'[axis]}"))
            before += size
        return self

    def _mark(self, axis: int, planes: int) -> None:
        partial = self._about(axis).with_suffix(".partial")
        partial.write_text(json.dumps({"planes": planes, "key": self.tokens.key()}), encoding="utf-8")
        partial.replace(self._about(axis))

    def _planes(self, axis: int, first: int, last: int) -> npt.NDArray[np.float16]:
        array = self.scan.array(self.image)
        slab = np.asarray(array[tuple(slice(first, last) if a == axis else slice(None) for a in range(3))])
        _, rows, columns, _ = self.shape(axis)
        wanted = ((0, rows), (0, columns))
        made = [self.tokens.of_plane(np.take(slab, i, axis), self.window, wanted=wanted) for i in range(last - first)]
        return np.stack(made).astype(np.float16)

    def _array(self, axis: int, create: bool = False) -> Any:
        import zarr

        path, shape = self.folder / "zyx"[axis], self.shape(axis)
        if not create or (path / "zarr.json").exists():
            return zarr.open_array(path, mode="r+" if create else "r")
        chunks = (PLANES, min(shape[1], 64), min(shape[2], 64), shape[3])
        return zarr.create_array(path, shape=shape, chunks=chunks, dtype="float16", overwrite=True)

    def __call__(self, box: Box, extractor: Extractor) -> npt.NDArray[np.float32]:
        """Features (channels, z, y, x) of a box; where it reaches beyond the scan, those of the nearest voxel in it."""
        if not isinstance(extractor, Tokens):
            raise InputError(f"this cache holds tokens, not {type(extractor).__name__}")
        parts = [at_voxels(self.near(self.tokens, axis, box), self.tokens.grid, axis, box) for axis in self.tokens.axes]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def near(self, tokens: Tokens, axis: int, box: Box) -> npt.NDArray[np.float32]:
        """The tokens (planes, rows, columns, width) between which the voxels of a box lie; beyond the scan's faces, the nearest."""
        planes, rows, columns, _ = self.shape(axis)
        (r0, r1), (c0, c1) = around(self.tokens.grid, axis, box)
        wanted = [
            np.clip(np.arange(*span), 0, n - 1)
            for span, n in (((box.start[axis], box.stop[axis]), planes), ((r0, r1), rows), ((c0, c1), columns))
        ]
        low, high = [int(w[0]) for w in wanted], [int(w[-1]) + 1 for w in wanted]
        found = np.asarray(self._opened(axis)[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], np.float32)
        if found.shape[:3] == tuple(len(w) for w in wanted):
            return found
        p, r, c = (w - a for w, a in zip(wanted, low, strict=True))
        return found[p][:, r][:, :, c]

    def _opened(self, axis: int) -> Any:
        """The array across an axis, opened once."""
        known: dict[int, Any] = self.__dict__.setdefault("arrays", {})
        if axis not in known:
            known[axis] = self._array(axis)
        return known[axis]
