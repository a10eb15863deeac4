"""Opening a scan with all that people said of it: what is slow in it, done in a thread."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lithoscope._napari.journalled import Journal
from lithoscope.classes import ClassTable

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


@dataclass(eq=False)
class Opened:
    """A scan ready to be shown; when its grey values were never counted, nothing but the scan."""

    scan: "Scan"
    strokes: Journal | None = None
    classes: ClassTable = field(default_factory=ClassTable)
    readonly: str = ""
    uncounted: bool = False


def opened(path: Path) -> Opened:
    """Open the scan at `path`. Strokes that another window holds are opened read-only, and it is said who holds them."""
    from lithoscope.labels.classes_file import load_classes
    from lithoscope.labels.strokes import strokes
    from lithoscope.volume.scan import HISTOGRAM, Scan
    from lithoscope.volume.sidecar import load_histogram

    scan = Scan.open(path)
    if load_histogram(scan.sidecar / HISTOGRAM) is None:
        return Opened(scan, uncounted=True)
    _ = scan.window, scan.field_of_view, scan.content_hash
    store = strokes(scan)
    return Opened(scan, store, load_classes(scan), store.holder or "")


def painted_voxels(store: Journal) -> dict[int, int]:
    """How many voxels of each class are painted."""
    found: Counter[int] = Counter()
    for box in store.touched():
        ids, counts = np.unique(store.read(box), return_counts=True)
        found.update({int(i): int(n) for i, n in zip(ids, counts, strict=True) if i})
    return dict(found)
