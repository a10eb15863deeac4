"""What a filter makes of one plane, for the plane in view."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.filtering.base import Filter
from lithoscope.filtering.run import MEMORY, BlockFilter, allot, placed
from lithoscope.filtering.survey import Survey
from lithoscope.job import Report, silent
from lithoscope.volume.box import Box
from lithoscope.volume.scan import Scan

LARGEST_LOOKED_THROUGH = 1 << 25
"""Scans of more voxels than this are not read whole for the preview of one plane."""


@dataclass
class Previewer:
    """Planes of one scan, or of one of its images, as `filter_image` would make them; what a filter learnt is kept for the next plane.

    A filter that judges slice by slice needs but one of them for a plane across z, all for the others: where that would be too many,
    it is refused, and said why.
    """

    scan: Scan
    image: str | None = None
    device: str = "cpu"
    _survey: Survey = field(init=False)
    _known: tuple[str, range, Filter] | None = None

    def __post_init__(self) -> None:
        self._survey = Survey(self.scan, self.image)

    def plane(
        self, chosen: Filter, axis: int, index: int, *, part: tuple[slice, slice] | None = None, report: Report = silent
    ) -> npt.NDArray[np.generic]:
        """The plane `index` across `axis` (0 z, 1 y, 2 x), or a part of it; two axes, native dtype."""
        scan = self.scan
        if not 0 <= axis <= 2 or not 0 <= index < scan.shape[axis]:
            raise InputError(f"plane {index} across axis {axis} does not lie within the scan's {scan.shape} voxels")
        ranges = [slice(0, n) for n in scan.shape]
        if part is not None:
            for other, wanted in zip([a for a in range(3) if a != axis], part, strict=True):
                ranges[other] = slice(*wanted.indices(scan.shape[other])[:2])
        ranges[axis] = slice(index, index + 1)
        z, y, x = ranges
        box = Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
        if not box.size:
            raise InputError("the part of the plane is empty; choose one within the scan")
        fitted = self._fitted(placed(chosen, self.device), range(z.start, z.stop), report)
        device = getattr(fitted, "device", "cpu")
        share = allot(scan, fitted, np.dtype(self._survey.array.dtype).itemsize, MEMORY, device)
        return BlockFilter(self._survey, fitted, share)(box, threads=share.workers).squeeze(axis)

    def _fitted(self, chosen: Filter, z: range, report: Report) -> Filter:
        """The filter, fitted for these slices, or for more."""
        if not chosen.by_slice:
            z = range(self.scan.shape[0])
        if self._known is not None:
            settings, known, fitted = self._known
            if settings == repr(chosen) and known.start <= z.start and z.stop <= known.stop:
                return fitted
        if len(z) > 1 and chosen.by_slice and self.scan.box.size > LARGEST_LOOKED_THROUGH:
            raise InputError(
                f"{chosen.title.lower()} judges every slice, and {len(z)} of them are too many to look through for one plane; "
                "turn to a plane along z to see it, or filter the volume"
            )
        fitted = chosen.fit(self._survey, z, report=report)
        self._known = (repr(chosen), z, fitted)
        return fitted


def preview(
    scan: Scan,
    chosen: Filter,
    axis: int,
    index: int,
    *,
    image: str | None = None,
    part: tuple[slice, slice] | None = None,
    device: str = "cpu",
    report: Report = silent,
) -> npt.NDArray[np.generic]:
    """The plane `index` across `axis` (0 z, 1 y, 2 x), or a part of it, as `filter_image` would make it; two axes, native dtype."""
    return Previewer(scan, image, device).plane(chosen, axis, index, part=part, report=report)
