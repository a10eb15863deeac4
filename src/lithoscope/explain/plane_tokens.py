"""Tokens of whole planes of a scan, as a backbone gives them: read where they are kept, else worked out and kept.

They are found in the token caches that jobs over the whole scan make, and in files of single planes beside them; both lie in
the folder that may be deleted.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.explain.place import AXES, Place, checked, plane_box
from lithoscope.features.cache import LIMIT, FeatureCache
from lithoscope.features.token_cache import TokenCache
from lithoscope.features.tokens import Tokens
from lithoscope.volume.blocks import read
from lithoscope.volume.images import filtered_image, window_of

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

Half = npt.NDArray[np.float16]
BAND = 64
"""Rows of tokens that are worked out between two chances to cancel."""


class PlaneTokens:
    """The tokens of one scan, or of one of its filtered images, by one backbone."""

    def __init__(self, scan: "Scan", tokens: Tokens, image: str | None = None, *, cache: FeatureCache | None = None) -> None:
        self.scan, self.tokens, self.image = scan, tokens, image
        self.window = window_of(scan, image)
        self.cache = cache or FeatureCache(scan.sidecar / "cache", limit=0 if scan.readonly else LIMIT, memory=128 << 20)
        made = "" if image is None else filtered_image(scan, image).record.uuid
        shown = hashlib.sha256(f"{scan.content_hash}-{made}-{self.window}".encode()).hexdigest()[:16]
        self._folder = f"planes-{image or 'scan'}-{shown}-{tokens.key()}"

    def of(self, axis: int, index: int, check: Callable[[], None] = lambda: None) -> Half:
        """The tokens (rows, columns, width) of a plane; `check` is called between parts of it, and may raise to end it."""
        found = self.kept(axis, index)
        if found is not None:
            return found
        grey = self.grey(axis, index)
        grid = self.tokens.grid
        rows, columns = grid.count(grey.shape[0]), grid.count(grey.shape[1])
        made = np.empty((rows, columns, self.tokens.width), np.float16)
        for first in range(0, rows, BAND):
            check()
            last = min(first + BAND, rows)
            made[first:last] = self.tokens.of_plane(grey, self.window, wanted=((first, last), (0, columns)))
        self.cache.put(self._folder, f"{AXES[axis]}-{index}", made[None])
        return made

    def kept(self, axis: int, index: int) -> Half | None:
        """The tokens of a plane if they are kept, else None."""
        found = self.cache.get(self._folder, f"{AXES[axis]}-{index}")
        if found is not None:
            one: Half = found[0]
            return one
        rows, columns = (self.tokens.grid.count(n) for a, n in enumerate(self.scan.shape) if a != axis)
        for cache in self.whole(axis):
            if cache.planes(axis) > index:
                return cache.plane(axis, index)[:rows, :columns]
        return None

    def whole(self, axis: int) -> Iterator[TokenCache]:
        """The caches of the whole scan that hold, or begin to hold, planes across an axis."""
        for plane in (AXES[axis], "all"):
            tokens = replace(self.tokens, plane=plane)  # type: ignore[arg-type]
            tokens.__dict__["opened"] = self.tokens.opened
            cache = TokenCache(self.scan, tokens, self.image)
            if cache.planes(axis):
                yield cache

    def grey(self, axis: int, index: int) -> npt.NDArray[Any]:
        """The grey values of a plane, refused where not one token fits."""
        checked(axis, index, self.scan)
        self.scan.check_present()
        sides = [n for a, n in enumerate(self.scan.shape) if a != axis]
        if min(sides) * self.tokens.grid.scale < self.tokens.grid.patch:
            raise InputError(
                f"planes across {AXES[axis]} of {self.scan.name} are {sides[0]} × {sides[1]} voxels, less than one token of "
                f"{self.tokens.opened.name} ({self.tokens.grid.patch:g}); look at another axis, or take a backbone with smaller patches"
            )
        return np.squeeze(read(self.scan.array(self.image), plane_box(axis, index, self.scan.shape)), axis)

    def inside(self, axis: int, index: int) -> npt.NDArray[np.bool_] | None:
        """Which tokens (rows, columns) of a plane have their middle in the field of view; None when all have."""
        found = self.scan.inside(plane_box(axis, index, self.scan.shape))
        if found is None:
            return None
        plane, place = np.squeeze(found, axis), self.place(axis, index)
        grid = self.tokens.grid
        at = [
            np.clip(np.floor(f + np.arange(grid.count(n)) * place.pitch + 0.5).astype(int), 0, n - 1)
            for f, n in zip(place.first, plane.shape, strict=True)
        ]
        made: npt.NDArray[np.bool_] = plane[np.ix_(*at)]
        return made

    def place(self, axis: int, index: int) -> Place:
        """Where the tokens of a plane lie."""
        return Place.of_tokens(axis, index, self.tokens.grid)
