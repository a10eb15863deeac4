"""A result cleaned: its corrections included, step after step over the whole volume, into a result of its own."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LockedError, ResourceError, TakenError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels import results
from lithoscope.labels.budget import check_disk
from lithoscope.labels.classes_file import known_classes
from lithoscope.labels.cleaned import cleanings, note
from lithoscope.labels.cleaning import removal
from lithoscope.labels.cleaning.components import Components, Labels
from lithoscope.labels.cleaning.scratch import Room, Scratch
from lithoscope.labels.cleaning.steps import Local, Place, Step, Taking, classes_after, meaning, parse_steps
from lithoscope.labels.corrections import corrected
from lithoscope.labels.history import MAX_STROKE
from lithoscope.labels.in_view import InView
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import Array3D, blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.field_of_view import BoxView
from lithoscope.volume.store import folder_bytes

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

ARRAYS = 3
"""How many copies of the labels lie on the disk at once, at most, beside the result that is read."""
AT_ONCE = 36 << 20
"""Up to so many voxels are looked at in one block."""
LARGEST = MAX_STROKE - (32 << 20)
"""What corrections may take (bytes, packed) so that they can be undone as one."""


def clean(
    scan: "Scan", result: str, steps: Sequence[str | Step], *, output: str, overwrite: bool = False, report: Report = silent
) -> RunRecord:
    """Make the result `output` from `result` as corrected: every step sees what the one before it left.

    It is the same whatever the blocks. What lies outside the field of view stays 0; no step looks across separate slices.
    """
    start = time.perf_counter()
    todo = [step if isinstance(step, Step) else parse_steps([step])[0] for step in steps] or parse_steps([])
    if output == result:
        raise InputError(f"{result} would be replaced by what is made from it; give the cleaned result another name")
    if output in results.results(scan) and not overwrite:
        raise TakenError(f"{scan.name} has a result {output} already; choose another name, or overwrite it: --overwrite")
    found = results.open_result(scan, result)
    classes = known_classes(scan, found.classes)
    flat = scan.separate_slices or scan.shape[0] == 1
    place = Place(classes, scan.voxel, flat)
    for step in todo:  # everything that can be said against a step is said before the first one runs
        meaning(step, place)
        place = replace(place, classes=classes_after(step, place.classes))
    check_disk(scan.labels_folder, ARRAYS * folder_bytes(found.path))
    frame = frame_of(scan, found.box)
    with corrected(scan, found, readonly=True) as source, Scratch(scan) as scratch:
        draft = RunRecord(
            "clean",
            "clean",
            {"steps": [str(step) for step in todo]},
            {
                "uuid": scan.uuid,
                "name": scan.name,
                "result": result,
                "result_record": found.record.to_json(),
                "corrected_voxels": source.changed_voxels,
                "cleanings": cleanings(scan, result, source),
                "shape": list(scan.shape),
                "box": None if found.box == Box.whole(scan.shape) else found.box.to_json(),
                "field_of_view": None if scan.field_of_view is None else scan.field_of_view.to_json(),
            },
            output=output,
        )
        seen = InView(source, scan.field_of_view)
        labels, changed = _run(seen, frame, scan.shard, todo, Place(classes, scan.voxel, flat), scratch, report)
        table = place.classes
        with results.create(scan, output, draft, table, overwrite=overwrite) as writer:
            try:
                left = _copied(labels, frame, scan.shard, writer.write, report)
                notes = _notes(table, left, flat, scan)
                record = replace(
                    draft,
                    learnt={"changed": changed},
                    classes=table.to_json(),
                    notes=notes,
                    seconds=round(time.perf_counter() - start, 3),
                )
                writer.finish(record)
            except BaseException:
                writer.abandon()
                raise
    return record


def clean_in_place(scan: "Scan", result: str, steps: Sequence[str | Step], *, report: Report = silent) -> int:
    """Clean a result by correcting it: one stroke, undone as a whole; gives how many voxels it changed.

    All steps are done before the first correction is written. When it is cancelled while it writes, what it wrote is taken back.
    """
    todo = [step if isinstance(step, Step) else parse_steps([step])[0] for step in steps] or parse_steps([])
    if other := [str(step) for step in todo if step.name in ("merge", "renumber")]:
        raise InputError(f"{', '.join(other)} changes the classes, which corrections cannot; clean into a new result")
    found = results.open_result(scan, result)
    flat = scan.separate_slices or scan.shape[0] == 1
    place = Place(known_classes(scan, found.classes), scan.voxel, flat)
    for step in todo:
        meaning(step, place)
    frame = frame_of(scan, found.box)
    with corrected(scan, found) as labels, Scratch(scan) as scratch:
        if labels.readonly:
            raise LockedError(labels.holder or f"the corrections of {result} can only be read")
        seen = InView(labels, scan.field_of_view)
        cleaned, _ = _run(seen, frame, scan.shard, todo, place, scratch, report)
        count = 0
        try:
            with labels.stroke():
                parts = blocks(frame, scan.shard)
                for done, box in enumerate(parts):
                    report(Progress(done, len(parts), "correcting"))
                    new: Labels = np.asarray(cleaned[box.slices], np.uint8)
                    changed = seen.read(box) != new
                    if changed.any():
                        labels.write(box, changed, new)
                        count += int(np.count_nonzero(changed))
                        labels.flush()  # what waits for the disk is held in memory
                        if labels.store.newest_bytes > LARGEST:
                            raise ResourceError("so much would change that it could not be undone as one; clean into a new result")
            if count:
                note(scan, result, labels, [str(step) for step in todo], count)
        except BaseException:
            if count:
                labels.undo()
            raise
    return count


def frame_of(scan: "Scan", box: Box) -> Box:
    """The part of a box in which labels can be: its faces are where components end."""
    view = scan.field_of_view
    inner = box.intersect(view.box) if isinstance(view, BoxView) else box
    if not inner.size:
        raise InputError("the result lies outside the field of view; there is nothing to do with it")
    return inner


def _run(
    source: Array3D, frame: Box, edge: Triple, steps: Sequence[Step], place: Place, scratch: Scratch, report: Report
) -> tuple[Array3D, list[int]]:
    """The labels after all steps, and how many voxels each changed."""
    labels, changed = source, []
    for number, step in enumerate(steps, 1):
        told = _told(report, f"step {number} of {len(steps)}, {step}")
        count = 0
        for action in meaning(step, place):
            blocks_of = together(frame, edge) if isinstance(action, Taking) else edge
            made, voxels = apply(action, labels, frame, blocks_of, scratch, flat=place.flat, report=told)
            scratch.drop(labels)
            labels, count = made, count + voxels
        changed.append(count)
        place = replace(place, classes=classes_after(step, place.classes))
    return labels, changed


def together(frame: Box, edge: Triple) -> Triple:
    """The blocks in which components are found: all of a frame that is small enough, for what meets at faces costs time."""
    return frame.stop if frame.size <= AT_ONCE else edge


def apply(
    action: Taking | Local, source: Array3D, frame: Box, edge: Triple, scratch: Room, *, flat: bool, report: Report
) -> tuple[Array3D, int]:
    """A new array with an action done to the labels within the frame, and how many voxels it changed."""
    target = scratch.array()
    if not isinstance(action, Taking):
        return target, _local(action, source, frame, edge, target, report)
    rule = action.rule
    components = Components(
        source, frame, edge, action.keys, connectivity=action.connectivity, flat=flat, measured=rule.measures, report=report
    )
    done = removal.remove(components, rule, target, to=action.to, report=report)
    del components
    if not done.pending:
        return target, done.changed
    filled = scratch.array()
    back = removal.fill_pending(target, source, frame, edge, filled, flat=flat, report=report)
    scratch.drop(target)
    return filled, done.changed - back


def _local(action: Local, source: Array3D, frame: Box, edge: Triple, target: removal.Target, report: Report) -> int:
    """Answer every block with its halo, cut at the frame; gives the voxels that changed."""
    todo, changed = blocks(frame, edge), 0
    for done, box in enumerate(todo):
        report(Progress(done, len(todo), "cleaning"))
        grown = box.grow(action.halo).intersect(frame)
        labels: Labels = np.asarray(source[grown.slices], np.uint8)
        core = box.within(grown).slices
        answer = action(labels)[core]
        changed += int(np.count_nonzero(answer != labels[core]))
        target[box.slices] = answer
    return changed


def _copied(labels: Array3D, frame: Box, edge: Triple, write: Any, report: Report) -> Any:
    """Write the labels to the result; gives how many voxels of each there are."""
    counts = np.zeros(256, np.int64)
    todo = blocks(frame, edge)
    for done, box in enumerate(todo):
        report(Progress(done, len(todo), "writing"))
        block: Labels = np.ascontiguousarray(labels[box.slices], np.uint8)
        counts += np.bincount(block.reshape(-1), minlength=256)
        write(box, block)
    return counts


def _notes(classes: ClassTable, left: Any, flat: bool, scan: "Scan") -> list[str]:
    notes = [f"no voxel of class {c.id} {c.name} is left" for c in classes if not left[c.id]]
    if flat and scan.shape[0] > 1:
        notes.append("each slice was cleaned by itself: the slices are separate images")
    return notes


def _told(report: Report, what: str) -> Report:
    def told(progress: Progress) -> None:
        report(replace(progress, message=f"{what}: {progress.message}"))

    return told
