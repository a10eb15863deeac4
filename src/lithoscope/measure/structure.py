"""What the phases look like beyond their amounts: what is connected, and how much surface there is. Reads the result up to
five times, so it is asked for, not done after each correction."""

from typing import TYPE_CHECKING, Any

from lithoscope.job import Progress, Report, silent
from lithoscope.measure.connectivity import connected
from lithoscope.measure.surface import crossings, surfaces

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


def structure(scan: "Scan", result: str, *, report: Report = silent) -> dict[str, Any]:
    """Connected fraction and percolation of every class (and of the pore space: all classes with porosity), and surface areas.

    Faces are those of what has labels: of the box that the result is of, cut at a field of view that is a box. Separate slices are
    each looked at by themselves, and nothing leads through one along z.
    """
    from lithoscope.labels.classes_file import known_classes
    from lithoscope.labels.clean import frame_of
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    found = open_result(scan, result)
    classes = known_classes(scan, found.classes)
    porous = [c.id for c in classes if c.porosity > 0]
    answer: dict[str, Any] = {}
    view, steps = scan.field_of_view, 3 if len(porous) > 1 else 2
    frame = frame_of(scan, found.box)
    flat = scan.separate_slices or frame.shape[0] == 1
    with corrected(scan, found, readonly=True) as labels:
        joined = connected(labels, [[id] for id in classes.ids], field_of_view=view, frame=frame, flat=flat, report=_part(report, 0, steps))
        answer |= {str(id): one.to_json() for id, one in zip(classes.ids, joined, strict=True) if one.voxels}
        if len(porous) > 1:
            pores = connected(labels, [porous], field_of_view=view, frame=frame, flat=flat, report=_part(report, 1, steps))[0]
            answer["pore_space"] = pores.to_json()
        crossed, pairs = crossings(labels, classes, field_of_view=view, flat=flat, report=_part(report, steps - 1, steps))
    return {"connected": answer, "neighbours": "voxels that share a face", "surface": surfaces(crossed, pairs, classes, scan.voxel)}


def _part(report: Report, number: int, count: int) -> Report:
    """The report of one of several steps."""
    return lambda p: report(Progress(round(1000 * (number + p.fraction) / count), 1000, p.message))
