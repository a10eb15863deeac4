"""Features of any box of a scan, on the scan's own grid: worked out now, or taken from windows that were kept.

Windows are one voxel thick and up to 256 wide, on grids that start at voxel 0, one grid across each axis: what a person looks
at and paints on is a plane. Boxes that are thick along every axis are worked out as a whole and not kept.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.features.base import Extractor
from lithoscope.features.cache import FeatureCache
from lithoscope.features.filters import FilterBank
from lithoscope.features.token_lookup import Image, around, axes_across
from lithoscope.features.tokens import Tokens
from lithoscope.volume.blocks import blocks, read
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope.features.token_cache import TokenCache
    from lithoscope.volume.scan import Scan

EDGE = 256
"""How wide a window is."""
SLAB = 4
"""Windows across one axis that are worked out at once by filters in space."""
THIN = 4
"""A box of up to this many planes along some axis is put together from windows."""


class ScanFeatures:
    """The features of a scan or of one of its filtered images. `cache` is where windows are kept, or None."""

    def __init__(
        self, scan: "Scan", image: str | None = None, *, window: tuple[float, float] | None = None, cache: FeatureCache | None = None
    ) -> None:
        self.scan, self.image, self.cache = scan, image, cache
        self.array = scan.array(image)
        self.window = window or scan.window
        self._caches: dict[str, TokenCache] = {}
        self._name = f"{image or 'scan'}-{scan.content_hash[:16]}-{self.window[0]:g}-{self.window[1]:g}"

    def __call__(self, box: Box, extractor: Extractor, check: Callable[[], None] = lambda: None) -> npt.NDArray[np.float32]:
        """Features (channels, z, y, x) of a box within the scan; `check` is called between windows, and may raise to end it."""
        axis = min(range(3), key=lambda a: (box.shape[a], a))
        if box.shape[axis] > THIN:
            return self.compute(box, extractor).astype(np.float32)
        found = np.empty((extractor.channels, *box.shape), np.float32)
        for part in windows(box, axis, self.scan.shape):
            check()
            common = part.intersect(box)
            found[(slice(None), *common.within(box).slices)] = self.of_window(part, axis, extractor)[
                (slice(None), *common.within(part).slices)
            ]
        return found

    def at(self, places: npt.NDArray[np.int64], axis: int, extractor: Extractor) -> npt.NDArray[np.float32]:
        """Features (n, channels) of voxels (n, 3) within the scan, from the windows across `axis`: no more than those voxels is copied."""
        found = np.empty((len(places), extractor.channels), np.float32)
        for part, chosen in windows_of(places, axis, self.scan.shape):
            flat = np.ravel_multi_index(tuple((places[chosen] - np.array(part.start)).T), part.shape)
            window = self.of_window(part, axis, extractor)
            found[chosen] = window.reshape(len(window), -1).take(flat, axis=1).T
        return found

    def of_window(self, part: Box, axis: int, extractor: Extractor, check: Callable[[], None] = lambda: None) -> npt.NDArray[np.float16]:
        """The features (channels, z, y, x) of one whole window across `axis`; tokens stay as they are. `check` is called between filters
        of a bank, and may wait or raise."""
        if isinstance(extractor, Tokens):
            return self.tokens_of_window(part, axis, extractor) if axis in extractor.axes else np.zeros((0, 1, 1, 1), np.float16)
        if self.cache is None:
            return self.compute(part, extractor, check)
        folder, name = f"{self._name}/{extractor.key()}", window_name(part, axis)
        found = self.cache.get(folder, name)
        if found is None or found.shape != (extractor.channels, *part.shape):
            slab = self._slab(part, axis, extractor)
            made = self.compute(slab, extractor, check)
            for plane in windows(slab, axis, self.scan.shape):
                one = np.ascontiguousarray(made[(slice(None), *plane.within(slab).slices)])
                self.cache.put(folder, window_name(plane, axis), one, at_hand=plane == part)
                found = one if plane == part else found
            assert found is not None
        return found

    def _slab(self, part: Box, axis: int, extractor: Extractor) -> Box:
        """What is worked out for a window: filters along `axis` too give a few planes in the time of one."""
        if not isinstance(extractor, FilterBank) or axis not in extractor.axes:
            return part
        start, stop = list(part.start), list(part.stop)
        start[axis] = part.start[axis] // SLAB * SLAB
        stop[axis] = min(start[axis] + SLAB, self.scan.shape[axis])
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def near(self, tokens: Tokens, axis: int, box: Box) -> npt.NDArray[np.float32]:
        """Tokens between which the voxels of a box lie, as `token_lookup.TokenSource`: those of the whole scan if they are kept, else
        put together from windows, which are kept at token resolution."""
        whole = self._whole(tokens)
        if whole is not None:
            return whole.near(tokens, axis, box)
        (r0, r1), (c0, c1) = around(tokens.grid, axis, box)
        made = np.empty((box.shape[axis], r1 - r0, c1 - c0, tokens.width), np.float32)
        inner = box.intersect(self.scan.box)
        a, b = axes_across(axis)
        for part in windows(inner, axis, self.scan.shape):
            found, plane = self.tokens_of_window(part, axis, tokens), part.start[axis] - box.start[axis]
            (p0, p1), (q0, q1) = around(tokens.grid, axis, part)
            # At the seam of two windows both know a token; at a box's rim beyond the scan the last ones are repeated.
            first, last = (p0 if part.start[a] > inner.start[a] else r0), (p1 if part.stop[a] < inner.stop[a] else r1)
            left, right = (q0 if part.start[b] > inner.start[b] else c0), (q1 if part.stop[b] < inner.stop[b] else c1)
            rows = np.clip(np.arange(max(first, r0), min(last, r1)), p0, p1 - 1) - p0
            columns = np.clip(np.arange(max(left, c0), min(right, c1)), q0, q1 - 1) - q0
            place = (plane, slice(max(first, r0) - r0, min(last, r1) - r0), slice(max(left, c0) - c0, min(right, c1) - c0))
            made[place] = np.moveaxis(found[:, 0], 0, 2)[rows][:, columns]
        return made

    def tokens_of_window(self, part: Box, axis: int, tokens: Tokens) -> npt.NDArray[np.float16]:
        """The tokens (width, 1, rows, columns) of one whole window across `axis`, in the order of the planes' own axes."""
        folder, name = f"{self._name}/{tokens.key()}", f"tokens-{window_name(part, axis)}"
        (r0, r1), (c0, c1) = around(tokens.grid, axis, part)
        shape = (tokens.width, 1, r1 - r0, c1 - c0)
        found = None if self.cache is None else self.cache.get(folder, name)
        if found is None or found.shape != shape:
            grown = part.grow(tokens.halo())
            near = Image(read(self.array, grown), self.window, grown.start).near(tokens, axis, part)
            found = np.moveaxis(near, 3, 0).astype(np.float16)
            if self.cache is not None:
                self.cache.put(folder, name, found)
        return found

    def _whole(self, tokens: Tokens) -> "TokenCache | None":
        """The tokens of the whole scan, if they are kept."""
        key = tokens.key()
        if key not in self._caches:
            from lithoscope.features.token_cache import TokenCache

            self._caches[key] = TokenCache(self.scan, tokens, self.image)
        return self._caches[key] if self._caches[key].complete else None

    def has(self, part: Box, axis: int, extractor: Extractor) -> bool:
        """Whether a window is kept."""
        if isinstance(extractor, Tokens):
            return self._whole(extractor) is not None or (
                self.cache is not None and self.cache.has(f"{self._name}/{extractor.key()}", f"tokens-{window_name(part, axis)}")
            )
        return self.cache is not None and self.cache.has(f"{self._name}/{extractor.key()}", window_name(part, axis))

    def compute(self, box: Box, extractor: Extractor, check: Callable[[], None] = lambda: None) -> npt.NDArray[np.float16]:
        """The features (channels, z, y, x) of a box, worked out now."""
        grown = box.grow(extractor.halo())
        image: npt.NDArray[Any] = read(self.array, grown)
        core = box.within(grown).slices
        if not isinstance(extractor, FilterBank):
            voxel = None if self.scan.voxel is None else self.scan.voxel.um
            return extractor.extract_at(image, self.window, voxel, grown.start)[(slice(None), *core)].astype(np.float16)
        found = np.empty((extractor.channels, *box.shape), np.float16)
        for planes, values in extractor.prepare(image, self.window, core, origin=grown.start, check=check).pieces():
            found[:, planes] = values.cpu().numpy()
        return found


def windows(box: Box, axis: int, shape: Triple) -> Iterator[Box]:
    """The windows across `axis` that cover a box, whole ones, cut at the scan's faces."""
    edge = [EDGE, EDGE, EDGE]
    edge[axis] = 1
    low = [a // e * e for a, e in zip(box.start, edge, strict=True)]
    high = [min(-(-b // e) * e, n) for b, e, n in zip(box.stop, edge, shape, strict=True)]
    yield from blocks(Box((low[0], low[1], low[2]), (high[0], high[1], high[2])), (edge[0], edge[1], edge[2]))


def windows_of(places: npt.NDArray[np.int64], axis: int, shape: Triple) -> Iterator[tuple[Box, npt.NDArray[np.intp]]]:
    """The windows across `axis` that hold voxels (n, 3), and which of them each holds."""
    edge = [EDGE, EDGE, EDGE]
    edge[axis] = 1
    across = tuple(-(-n // e) for n, e in zip(shape, edge, strict=True))
    cell = np.ravel_multi_index(tuple((places // np.array(edge)).T), across)
    order = np.argsort(cell, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        if chosen.size:
            low = [int(c) * e for c, e in zip(np.unravel_index(cell[chosen[0]], across), edge, strict=True)]
            high = [min(a + e, n) for a, e, n in zip(low, edge, shape, strict=True)]
            yield Box((low[0], low[1], low[2]), (high[0], high[1], high[2])), chosen


def window_name(part: Box, axis: int) -> str:
    """The name under which a window across `axis` is kept."""
    return f"{'zyx'[axis]}-{part.start[0]}-{part.start[1]}-{part.start[2]}"
