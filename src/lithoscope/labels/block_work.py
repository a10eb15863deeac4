"""One block of a whole-volume job: read with its halo, answered by a method, cut to its core.

`BlockWork` is picklable and keeps no state, so that a thread, the worker process or a cluster can do any block in any order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import MissingError
from lithoscope.features.base import Extractor
from lithoscope.segmenters.base import Block, Labels, Segmenter
from lithoscope.volume.blocks import blocks, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.scan import Scan

if TYPE_CHECKING:
    from lithoscope.features.token_lookup import TokenSource

FeatureSource = Callable[[Box, Extractor], npt.NDArray[np.float32]]
"""Features (channels, z, y, x) of a box that may reach beyond the scan's faces."""


@dataclass(frozen=True)
class BlockWork:
    """What is to be done to every block: `method` answers pieces of at most `piece` voxels (z, y, x) of `image`.

    `mapping` gives the class to write for each of the method's own; those it lacks become 0. Empty, they stay as they are.
    """

    scan: Scan
    method: Segmenter
    piece: Triple
    window: tuple[float, float]
    image: str | None = None
    source: FeatureSource | None = None
    mapping: Mapping[int, int] = field(default_factory=dict)
    tokens: "TokenSource | None" = None

    def __reduce__(self) -> tuple[Any, ...]:
        own = (self.scan.path, self.method, self.piece, self.window, self.image, self.source, dict(self.mapping))
        return _rebuilt, (*own, getattr(self.tokens, "tokens", None))

    @property
    def halo(self) -> Triple:
        """What is read around a piece: less where tokens are kept."""
        return self.method.halo() if self.tokens is None else self.method.halo_given_tokens()

    def grown(self, box: Box) -> Box:
        """What is read for a box: with the halo, and beyond the scan's faces unless the method sees to that itself."""
        grown = box.grow(self.halo)
        return grown.intersect(self.scan.box) if self.method.reflects else grown

    def __call__(self, box: Box, check: Callable[[], None] = lambda: None) -> Labels:
        """The labels (z, y, x) of `box`: 1 … classes, and 0 outside the field of view and where the grey value is not a number."""
        check_there(self.scan)
        grown = self.grown(box)
        image = read(self.scan.array(self.image), grown)
        labels = np.empty(box.shape, np.uint8)
        for part in blocks(box, self.piece):
            check()
            own = self.grown(part)
            labels[part.within(box).slices] = self._answer(part, own, image[own.within(grown).slices])
        return np.take(self._table, labels) if self.mapping else labels

    @property
    def _table(self) -> Labels:
        table = np.zeros(256, np.uint8)
        for own, id in self.mapping.items():
            table[own] = id
        return table

    def scores(self, box: Box, columns: Sequence[int]) -> npt.NDArray[np.uint8]:
        """How likely the classes of these columns are, together, over `box`, (z, y, x) in bytes: 255 for certain, 0 outside the view."""
        found = np.zeros(box.shape, np.uint8)
        for part in blocks(box, self.piece):
            grown = self.grown(part)
            inside, place = self.scan.inside(grown), part.within(grown).slices
            image = read(self.scan.array(self.image), grown)
            block = Block(
                image=image, core=place, window=self.window, origin=grown.start, inside=inside, voxel=self.scan.voxel, tokens=self.tokens
            )  # fmt: skip
            scores = np.nan_to_num(self.method.scores(block)[columns].sum(axis=0)[place])
            found[part.within(box).slices] = np.round(scores * 255) * (True if inside is None else inside[place])
        return found

    def _answer(self, core: Box, grown: Box, image: npt.NDArray[Any]) -> Labels:
        inside = self.scan.inside(grown)
        place = core.within(grown).slices
        core_inside = None if inside is None else inside[place]
        if core_inside is not None and not core_inside.any():
            return np.zeros(core.shape, np.uint8)
        source = None
        if self.source is not None:
            given = self.source

            def source(extractor: Extractor) -> npt.NDArray[np.float32]:
                return given(grown, extractor)

        block = Block(
            image=image, core=place, window=self.window, origin=grown.start, inside=inside, voxel=self.scan.voxel, source=source,
            tokens=self.tokens,
        )  # fmt: skip
        labels = self.method.predict(block)[place]
        if core_inside is not None:
            labels = np.multiply(labels, core_inside, dtype=np.uint8)
        if image.dtype.kind == "f":
            lost = np.isnan(image[place])
            if lost.any():
                labels[lost] = 0
        return labels


def check_there(scan: Scan) -> None:
    """Refuse to go on with a scan that was deleted or moved: its missing chunks would read as zeros."""
    if not any((scan.path / mark).exists() for mark in ("zarr.json", ".zgroup", ".zattrs")):
        raise MissingError(f"the scan {scan.path} is gone; put it back and resume")


def _rebuilt(
    path: Path,
    method: Segmenter,
    piece: Triple,
    window: tuple[float, float],
    image: str | None,
    source: FeatureSource | None,
    mapping: Mapping[int, int],
    tokens: Any,
) -> BlockWork:
    scan = Scan.open(path, readonly=True)
    if tokens is not None:
        from lithoscope.features.token_cache import TokenCache

        tokens = TokenCache(scan, tokens, image)
    return BlockWork(scan, method, piece, window, image, source, mapping, tokens)
