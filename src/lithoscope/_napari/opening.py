"""Opening a scan with all that people said of it: what is slow in it, done in a thread."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lithoscope._napari.journalled import Journal
from lithoscope.classes import ClassTable
from lithoscope.record import RunRecord

if TYPE_CHECKING:
    from pint import UnitRegistry

    from lithoscope.labels.corrections import Corrected
    from lithoscope.labels.results import Result
    from lithoscope.volume.scan import Scan


@dataclass(eq=False)
class Opened:
    """A scan ready to be shown; when its grey values were never counted, nothing but the scan."""

    scan: "Scan"
    strokes: Journal | None = None
    classes: ClassTable = field(default_factory=ClassTable)
    readonly: str = ""
    unfinished: dict[str, RunRecord] = field(default_factory=dict)
    """Runs that were ended before they were done, by the name of their result."""
    uncounted: bool = False


def opened(path: Path, *, patient: bool = False) -> Opened:
    """Open the scan at `path`. Strokes that another window holds are opened read-only, and it is said who holds them.

    Unless `patient`, grey values that were never counted are not counted here but left to a job.
    """
    from lithoscope.labels.classes_file import load_classes
    from lithoscope.labels.results import unfinished
    from lithoscope.labels.strokes import strokes
    from lithoscope.labels.trainings import begun
    from lithoscope.volume.scan import HISTOGRAM, Scan
    from lithoscope.volume.sidecar import load_histogram

    scan = Scan.open(path)
    if not patient and load_histogram(scan.sidecar / HISTOGRAM) is None:
        return Opened(scan, uncounted=True)
    _ = scan.window, scan.field_of_view, scan.content_hash
    store = strokes(scan)
    return Opened(scan, store, load_classes(scan), store.holder or "", begun(scan) | unfinished(scan))


def painted_voxels(store: Journal) -> dict[int, int]:
    """How many voxels of each class are painted."""
    found: Counter[int] = Counter()
    for box in store.touched():
        ids, counts = np.unique(store.read(box), return_counts=True)
        found.update({int(i): int(n) for i, n in zip(ids, counts, strict=True) if i})
    return dict(found)


def warm() -> "UnitRegistry[Any]":
    """Load now, in a thread, what napari and dask would load in the window's thread when the first layer is shown: seconds in all.

    The units are read here and taken up by `take_up_units`: napari's own registry is not to be touched by two threads.
    """
    import dask.array  # noqa: F401
    import pandas as pd  # noqa: F401 - of every layer's features
    import pint
    import scipy.ndimage  # noqa: F401 - of every image layer

    from lithoscope._napari.layers import colormap

    # The first label colours compile code with numba.
    colormap(ClassTable.numbered(2)).map(np.ones((1, 1), np.uint8))
    units: UnitRegistry[Any] = pint.UnitRegistry()
    units.Unit("pixel")
    return units


def take_up_units(units: "UnitRegistry[Any]") -> None:
    """Give napari the units that were read in a thread, unless some layer needed them earlier. Called in the window's thread."""
    import pint
    from pint.registry import LazyRegistry

    if isinstance(pint.get_application_registry().get(), LazyRegistry):
        pint.set_application_registry(units)


def corrections_of(scan: "Scan", result: "Result") -> "Corrected | None":
    """The result with the corrections that were made to it, to be looked at; None when there are none."""
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import corrections_folder

    if not (corrections_folder(scan, result.name) / "zarr.json").exists():
        return None
    found = corrected(scan, result, readonly=True)
    return found if found.touched() else None


def outdated(scan: "Scan", record: RunRecord) -> bool:
    """Whether a result was made while the scan had another field of view."""
    if "field_of_view" not in record.source:
        return False
    return bool(record.source["field_of_view"] != (None if scan.field_of_view is None else scan.field_of_view.to_json()))
