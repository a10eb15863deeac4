"""What the phases look like beyond their amounts: what is connected, and how much surface there is. Reads the result twice
for each connected phase and once for surfaces, so it is asked for, not done after each correction."""

from typing import TYPE_CHECKING, Any

from lithoscope.job import Progress, Report, silent
from lithoscope.measure.connectivity import connected
from lithoscope.measure.surface import crossings, surfaces

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


def structure(scan: "Scan", result: str, *, report: Report = silent) -> dict[str, Any]:
    """Connected fraction and percolation of every class (and of the pore space: all classes with porosity), and surface areas."""
    from lithoscope.labels.classes_file import known_classes
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    found = open_result(scan, result)
    classes = known_classes(scan, found.classes)
    porous = [c.id for c in classes if c.porosity > 0]
    wanted: dict[str, list[int]] = {str(c.id): [c.id] for c in classes}
    if len(porous) > 1:
        wanted["pore_space"] = porous
    steps = len(wanted) + 1
    answer: dict[str, Any] = {}
    with corrected(scan, found, readonly=True) as labels:
        for number, (name, ids) in enumerate(wanted.items()):
            part = _part(report, number, steps)
            joined = connected(labels, ids, field_of_view=scan.field_of_view, report=part)
            if joined.voxels:
                answer[name] = joined.to_json()
        crossed, pairs = crossings(labels, classes, field_of_view=scan.field_of_view, report=_part(report, steps - 1, steps))
    return {"connected": answer, "neighbours": "voxels that share a face", "surface": surfaces(crossed, pairs, classes, scan.voxel)}


def _part(report: Report, number: int, count: int) -> Report:
    """The report of one of several steps."""
    return lambda p: report(Progress(round(1000 * (number + p.fraction) / count), 1000, p.message))
