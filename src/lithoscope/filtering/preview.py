"""What a filter makes of one plane, for the plane in view."""

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.filtering.base import Filter
from lithoscope.filtering.run import MEMORY, BlockFilter, allot, placed
from lithoscope.filtering.survey import Survey
from lithoscope.job import Report, silent
from lithoscope.volume.box import Box
from lithoscope.volume.scan import Scan


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
    """The plane `index` across `axis` (0 z, 1 y, 2 x), or a part of it, as `filter_image` would make it; two axes, native dtype.

    Filters that look at each slice of a scan (rings, normalise) need but one of them for a plane across z, all for the others.
    """
    if not 0 <= axis <= 2 or not 0 <= index < scan.shape[axis]:
        raise InputError(f"plane {index} across axis {axis} does not lie within the scan's {scan.shape} voxels")
    survey = Survey(scan, image)
    ranges = [slice(0, n) for n in scan.shape]
    if part is not None:
        for other, wanted in zip([a for a in range(3) if a != axis], part, strict=True):
            ranges[other] = slice(*wanted.indices(scan.shape[other])[:2])
    ranges[axis] = slice(index, index + 1)
    z, y, x = ranges
    box = Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
    if not box.size:
        raise InputError("the part of the plane is empty; choose one within the scan")
    chosen = placed(chosen, device)
    fitted = chosen.fit(survey, range(z.start, z.stop), report=report)
    share = allot(scan, fitted, np.dtype(survey.array.dtype).itemsize, MEMORY, getattr(chosen, "device", "cpu"))
    work = BlockFilter(survey, fitted, share)
    return work(box, threads=share.workers).squeeze(axis)
