"""A result made again from its record, and compared with what is on disk."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels import results
from lithoscope.labels.budget import MEMORY
from lithoscope.labels.predict import Lesson, mapping_of, segment
from lithoscope.labels.retaught import taught_again
from lithoscope.parameters import configured
from lithoscope.record import RunRecord, versions
from lithoscope.segmenters.base import segmenter
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box
from lithoscope.volume.images import filtered_image
from lithoscope.volume.scan import Scan


@dataclass(frozen=True, slots=True)
class Repetition:
    """How a result fared when it was made again: `differing` voxels, and what may explain them."""

    result: str
    identical: bool
    differing: int
    reasons: tuple[str, ...]
    record: RunRecord

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": list(self.reasons), "record": self.record.to_json()}


def repeat(scan: Scan, result: str, *, output: str | None = None, memory: int = MEMORY, report: Report = silent) -> Repetition:
    """Make `result` again, as `output` if it is to be kept, and compare all levels voxel by voxel.

    Raises `InputError` with the reason where it cannot be made again: other grey values, another field of view, other strokes.
    """
    old = results.open_result(scan, result)
    record = old.record
    _check_repeatable(scan, result, record)
    box = None if record.source.get("box") is None else Box.from_json(record.source["box"])
    method = configured(segmenter(record.method), record.parameters)
    lesson = Lesson(classes=old.classes, mapping=mapping) if (mapping := mapping_of(record)) else None
    if method.needs_labels:
        method, lesson = taught_again(scan, result, record, old.classes, report)
    name = output or _free_name(scan, result)
    made = segment(
        scan,
        method,
        output=name,
        image=record.source.get("image"),
        box=box,
        lesson=lesson,
        seed=record.seed or 0,
        memory=memory,
        device=record.device,
        report=report,
    )
    new = results.open_result(scan, name)
    differing, other_levels = 0, False
    for level, (a, b) in enumerate(zip(old.levels, new.levels, strict=True)):
        todo = blocks(Box.whole(a.shape), scan.shard)
        for done, part in enumerate(todo):
            report(Progress(done, len(todo), "comparing"))
            unequal = int(np.count_nonzero(np.asarray(a[part.slices]) != np.asarray(b[part.slices])))
            differing += unequal if level == 0 else 0
            other_levels |= level > 0 and unequal > 0
    identical = not differing and not other_levels
    if output is None:
        results.delete(scan, name)
        made = replace(made, output=None)
    return Repetition(result, identical, differing, () if identical else _reasons(record), made)


def _check_repeatable(scan: Scan, result: str, record: RunRecord) -> None:
    if record.kind != "segment":
        raise InputError(f"{result} was not made by a method here (it is of kind {record.kind}), so there is nothing to repeat")
    then, now = record.source.get("content_hash"), scan.content_hash
    if then != now:
        raise InputError(f"{result} was made of other grey values than {scan.name} holds now (content hash {then}, now {now})")
    image = record.source.get("image")
    if image is not None and filtered_image(scan, image).record.uuid != record.source.get("image_run"):
        raise InputError(f"the image {image} was made anew since {result}; filter the scan as it was then, or segment the new image")
    view = None if scan.field_of_view is None else scan.field_of_view.to_json()
    if record.source.get("field_of_view") != view:
        raise InputError(
            f"{result} was made within another field of view ({record.source.get('field_of_view')}, now {view}); set that one first"
        )


def _free_name(scan: Scan, result: str) -> str:
    taken = {name.casefold() for name in results.results(scan)}
    return next(name for n in range(1, len(taken) + 2) if (name := f"{result[:80]} repeated {n}").casefold() not in taken)


def _reasons(record: RunRecord) -> tuple[str, ...]:
    """What is other than it was when the result was made."""
    now = versions()
    changed = [f"{name} was {had}, is {now.get(name, 'missing')}" for name, had in record.versions.items() if now.get(name) != had]
    return tuple(changed) or ("the same versions were used; the files of the result may have been changed by another program",)
