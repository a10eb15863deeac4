"""How likely a class is, voxel by voxel, as bytes: what a result's method says beside its labels."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import MissingError
from lithoscope.labels.block_work import BlockWork
from lithoscope.labels.results import Result
from lithoscope.segmenters.base import Segmenter
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


def method_of(scan: "Scan", result: Result) -> Segmenter:
    """The fitted method that made a result."""
    from lithoscope.segmenters.saving import load

    folder = scan.sidecar / "runs" / result.record.uuid / "model"
    if result.record.kind != "segment" or not folder.is_dir():
        raise MissingError(
            f"{result.name} was not made by a method whose fit is kept, so there are no scores; segment again, and export those"
        )
    return load(folder)


def own_classes(result: Result, method: Segmenter, id: int) -> list[int]:
    """The classes of the method's own that became class `id` of the result; none if it knows no such class."""
    from lithoscope.labels.predict import mapping_of

    became = mapping_of(result.record)
    return [own for own in method.classes_.ids if became.get(own, own if not became else 0) == id]


class Memberships:
    """The scores of one class as an array (z, y, x) of bytes, 255 for certain, computed when it is read; 0 outside the field of view.

    Tokens that are kept of the scan are used."""

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, scan: "Scan", result: Result, method: Segmenter, id: int) -> None:
        from lithoscope.labels.budget import MEMORY, allot
        from lithoscope.labels.grey_values import GreyValues
        from lithoscope.labels.kept_tokens import cache_of

        image = result.record.source.get("image")
        cache = cache_of(scan, method, image)
        tokens = cache if cache is not None and cache.complete else None
        share = allot(scan, method, scan.array(image).dtype.itemsize, MEMORY, tokens_kept=tokens is not None)
        self.shape: Triple = scan.shape
        window = scan.window if image is None else GreyValues(scan, image).histogram().window()
        self._work = BlockWork(scan, method, share.piece, window, image, tokens=tokens)
        self._box = result.box
        self._columns = [method.classes_.ids.index(own) for own in own_classes(result, method, id)]

    def __getitem__(self, key: tuple[slice, slice, slice]) -> npt.NDArray[Any]:
        starts, stops = zip(*(part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True)), strict=True)
        box = Box(starts, stops)
        found = self._work.scores(box, self._columns)
        made = box.intersect(self._box)
        if made != box:
            kept = np.zeros_like(found)
            kept[made.within(box).slices] = found[made.within(box).slices]
            return kept
        return found
