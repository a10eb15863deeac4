"""A method of a run that was taught by strokes, taught again by the same strokes, so that its result can be repeated."""

from dataclasses import replace

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, MissingError
from lithoscope.job import Report
from lithoscope.labels.given import STROKES
from lithoscope.labels.predict import Lesson, mapping_of
from lithoscope.labels.teaching import taught_by, teach
from lithoscope.parameters import configured
from lithoscope.record import RunRecord
from lithoscope.segmenters import saving
from lithoscope.segmenters.base import Segmenter, segmenter
from lithoscope.volume.scan import Scan


def taught_again(scan: Scan, result: str, record: RunRecord, classes: ClassTable, report: Report) -> tuple[Segmenter, Lesson]:
    """The method of a run, and its lesson: the model that was applied, or else one taught by the strokes, if they are what they were."""
    mapping = mapping_of(record)
    shown = classes if mapping else None
    if "model" in record.inputs:
        kept = scan.sidecar / "runs" / record.uuid / "model"
        if not kept.exists():
            raise MissingError(f"the model that made {result} is no longer kept at {kept}; apply it again from where you saved it")
        return saving.load(kept), Lesson(inputs=record.inputs, classes=shown, mapping=mapping)
    given = {name.removeprefix("strokes on "): digest for name, digest in record.inputs.items() if name.startswith("strokes on ")}
    if set(given) != {scan.name}:
        others = ", ".join(sorted(set(given) - {scan.name})) or "labels that its record does not name"
        raise InputError(f"{result} was taught by {others}, which repeat does not open; train on those scans again and compare")
    method = configured(segmenter(record.method), record.parameters)
    try:
        found, table = taught_by([scan], [STROKES], image=record.source.get("image"), report=report)
    except InputError as error:
        raise InputError(f"{result} cannot be taught again: {error}") from None
    if found[0].painted.digest() != given[scan.name]:
        raise InputError(
            f"the strokes of {scan.name} are not those that taught {result}; bring them back with undo, or segment anew with those of now"
        )
    method, lesson = teach(found, method, table, report=report)
    return method, replace(lesson, classes=shown, mapping=mapping)
