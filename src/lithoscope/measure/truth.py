"""The truth that labels are scored against, and what a person must know of it to read the scores."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lithoscope.classes import ClassTable
from lithoscope.job import Report
from lithoscope.labels.given import STROKES, AsClasses, contents, open_given
from lithoscope.measure.agreement import Agreement, flat_edge

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


@contextmanager
def opened_truth(scan: "Scan", where: str | Path | None, value_map: Mapping[int, int] | None, report: Report) -> Iterator[AsClasses | None]:
    """The truth as classes (z, y, x); a name in the scan holds classes already, unless a map says otherwise."""
    from lithoscope.labels.imports import classes_of

    if where is None:
        yield None
        return
    with open_given(scan, where) as given:
        if value_map is None and str(where) in (STROKES, *scan.results()):
            yield AsClasses(given, {value: value for value in range(256)})
            return
        found = contents(scan, given, depth=flat_edge(scan.shape)[0], report=report)
        yield AsClasses(given, classes_of(given.name, found, value_map, kind="truth"))


def class_notes(agreed: Agreement, classes: ClassTable, name: str, result: str) -> list[str]:
    """Which classes the truth called `name` and the result do not share, where that lowers the scores."""
    known = agreed.confusion.known
    there, said = ([int(id) for id in known.sum(axis=axis).nonzero()[0] if id] for axis in (1, 0))
    notes = []
    if never := [id for id in there if id not in classes]:
        notes.append(f"class {', '.join(map(str, never))} of {name} is not among the classes of {result}, so no voxel of it can be right")
    if lacking := [f"{id} {classes[id].name}" for id in said if id not in there and id in classes]:
        notes.append(f"class {', '.join(lacking)} of {result} is nowhere in {name}; every voxel said to be of it counts as wrong")
    return notes
