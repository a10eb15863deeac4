"""A method over a whole scan: block by block into a result, cancelled within a block, resumed after a crash, recorded."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LithoscopeError, MissingError, NotFittedError, TakenError
from lithoscope.job import Cancelled, Progress, Report, silent
from lithoscope.labels import results
from lithoscope.labels.block_work import BlockWork, FeatureSource, check_there
from lithoscope.labels.budget import LEVELS, MEMORY, Allotment, Estimate, allot, check_disk, check_memory, most_disk, written
from lithoscope.labels.grey_values import GreyValues
from lithoscope.labels.kept_tokens import Nothing, cache_of, kept_tokens, timed
from lithoscope.labels.result_writer import ResultWriter
from lithoscope.labels.threads import share_cores
from lithoscope.parameters import parameters, settings
from lithoscope.record import RunRecord
from lithoscope.segmenters import saving
from lithoscope.segmenters.base import Samples, Segmenter
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box
from lithoscope.volume.images import filtered_image, window_of
from lithoscope.volume.scan import Scan

HEARTBEAT = 0.2
"""Seconds between two reports while no block ends, so that a wish to cancel is seen."""
TIMED = 8
"""A job of more blocks than this has one of them timed before it begins, if the worst case does not fit on the disk."""
SAME = ("content_hash", "image", "image_run", "box", "field_of_view")
"""What of its source a run must have in common with the one that it takes up."""

CLASS_MAP = "class_map"
"""Where a record keeps, under `learnt`, which class each of the method's own became."""

Method = TypeVar("Method", bound=Segmenter)


@dataclass(frozen=True)
class Lesson:
    """How a method was taught: its scores on held-out strokes, digests of what it learnt from, and the reasons of choices made.

    `classes` and `mapping` say which of a scan's classes each of the method's own is; without them, its own are written.
    """

    scores: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    classes: ClassTable | None = None
    mapping: Mapping[int, int] = field(default_factory=dict)


def segment(
    scan: Scan,
    method: Segmenter,
    *,
    output: str,
    image: str | None = None,
    box: Box | None = None,
    samples: Samples | None = None,
    source: FeatureSource | None = None,
    lesson: Lesson | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    memory: int = MEMORY,
    device: str = "cpu",
    report: Report = silent,
) -> RunRecord:
    """Make the result `output`: classes 1 … n, 0 outside the field of view and where the grey value is not a number.

    A method that was fitted before is used as it is (`lesson` says how, for the record); else it is fitted on `samples`, or on
    the grey values of the whole field of view. A cancelled or killed run is taken up with `resume`, and ends with the bytes of one
    that was never stopped.
    """
    start = time.perf_counter()
    if output in results.results(scan) and not overwrite:
        raise TakenError(f"{scan.name} has a result {output} already; choose another name, or overwrite it: --overwrite")
    lesson = lesson or Lesson()
    method, notes = resolved(scan, method)
    notes = lesson.notes + notes
    draft = RunRecord("segment", method.name, settings(method), _source(scan, image, box), _seed(method, seed), device, output)
    draft = replace(draft, inputs=lesson.inputs, notes=notes)
    writer = results.resume(scan, output) if resume else None
    if resume and writer is None:
        raise MissingError(f"{scan.name} has no unfinished result {output} to resume; leave out --resume to begin it")
    try:
        if writer is None:
            method = fitted(method, samples or GreyValues(scan, image), report)
            draft = replace(
                draft,
                learnt={**method.learnt(), **lesson.scores, **_class_map(lesson)},
                classes=(lesson.classes or method.classes_).to_json(),
                notes=notes + _notes(scan, method, box),
            )
            tokens, told = kept_tokens(scan, method, image=image, box=box, report=report)
            draft = replace(draft, notes=draft.notes + told)
            share = _ready(scan, method, image, box, memory, source, tokens)
            writer = results.create(scan, output, draft, lesson.classes or method.classes_, overwrite=overwrite)
            saving.save(method, scan.sidecar / "runs" / draft.uuid / "model", overwrite=True)
        else:
            _check_same(writer.record, draft)
            begun, method = method, saving.load(scan.sidecar / "runs" / writer.record.uuid / "model")
            if hasattr(method, "device"):
                method.device = getattr(begun, "device", "auto")
            tokens, _ = kept_tokens(scan, method, image=image, box=box, report=report)
            share = allot(scan, method, scan.array(image).dtype.itemsize, memory, tokens_kept=tokens is not None)
        work = BlockWork(scan, method, share.piece, window_of(scan, image), image, source, mapping_of(writer.record), tokens)
        _run(work, writer, share, report)
        check_there(scan)
        record = replace(writer.record, seconds=round(writer.record.seconds + time.perf_counter() - start, 3))
        writer.finish(record)
    finally:
        if writer is not None:
            writer.close()
    return record


def mapping_of(record: RunRecord) -> dict[int, int]:
    """Which class of the result each of the method's own is; empty where they are the same."""
    return {int(own): int(id) for own, id in record.learnt.get(CLASS_MAP, {}).items()}


def _class_map(lesson: Lesson) -> dict[str, dict[str, int]]:
    return {CLASS_MAP: {str(own): id for own, id in lesson.mapping.items()}} if lesson.mapping else {}


def estimate(
    scan: Scan,
    method: Segmenter,
    *,
    image: str | None = None,
    box: Box | None = None,
    samples: Samples | None = None,
    source: FeatureSource | None = None,
    memory: int = MEMORY,
    report: Report = silent,
) -> Estimate:
    """What `segment` will take, from one block in the middle, timed; refused when disk or memory lack."""
    method, _ = resolved(scan, method)
    method = fitted(method, samples or GreyValues(scan, image), report)
    cache = cache_of(scan, method, image)
    found = _timed(scan, method, image, box, memory, source, Nothing() if cache is not None else None)
    if cache is not None and not cache.complete:
        found = replace(found, seconds=found.seconds + timed(cache), disk_bytes=found.disk_bytes + cache.bytes)
    check_memory(found.memory_bytes)
    check_disk(scan.labels_folder, found.disk_bytes)
    return found


def resolved(scan: Scan, method: Method) -> tuple[Method, list[str]]:
    """The method with what was left open chosen for this scan, and the reasons; what it learnt stays with it."""
    known = {p.name for p in parameters(type(method))}
    notes: list[str] = []
    if getattr(method, "unit", None) == "um" and "voxel_um" in known:
        if scan.voxel is None:
            wanted = f"lithoscope set {scan.path} --voxel-size Z Y X --unit um"
            raise InputError(f"{scan.name} has no voxel size, and the scales are in micrometres; give it one: {wanted}")
        method = copy(method)
        setattr(method, "voxel_um", scan.voxel.um)  # noqa: B010 - only methods with the notion have the field
    if "dimensions" in known:
        chosen, reason = scan.dimensions()
        given = getattr(method, "dimensions", None)
        if given is None:
            method = copy(method)
            setattr(method, "dimensions", chosen)  # noqa: B010 - only methods with the notion have the field
            notes.append(f"dimensions={chosen}: {reason}")
        elif given == 3 and scan.separate_slices:
            raise InputError(f"the slices of {scan.name} are separate images; no method looks across them: use dimensions=2")
        if scan.separate_slices and (getattr(method, "plane", "z") or "z") != "z":
            raise InputError(f"the slices of {scan.name} are separate images; no method looks across them: use plane=z")
    opened = {name: chosen for name, chosen in method.left_open().items() if name in known}
    if "plane" in opened and getattr(method, "dimensions", None) == 2:
        opened["plane"] = ("z", "it looks within slices")
    if scan.separate_slices and "slices" in known:
        if (getattr(method, "slices", None) or 1) > 1:
            raise InputError(f"the slices of {scan.name} are separate images; no method looks across them: use slices=1")
        opened["slices"] = (1, "the slices are separate images")
    for name, (value, reason) in opened.items():
        if getattr(method, name) is None:
            method = copy(method)
            setattr(method, name, value)
            notes.append(f"{name}={value}: {reason}")
    return method, notes


def fitted(method: Method, samples: Samples, report: Report) -> Method:
    """The method as it is if it was fitted before, else a fitted copy, so that the next scan is learnt from anew."""
    try:
        method.state()
    except NotFittedError:
        return copy(method).fit(samples, report=report)
    return method


def _ready(
    scan: Scan, method: Segmenter, image: str | None, box: Box | None, memory: int, source: FeatureSource | None, tokens: Any
) -> Allotment:
    """The memory shared out, once disk and memory are known to suffice."""
    share = allot(scan, method, scan.array(image).dtype.itemsize, memory, tokens_kept=tokens is not None)
    check_memory(share.bytes)
    worst = most_disk(box or scan.box)
    try:
        check_disk(scan.labels_folder, worst)
    except LithoscopeError:
        if len(blocks(box or scan.box, scan.shard)) <= TIMED:
            raise
        check_disk(scan.labels_folder, _timed(scan, method, image, box, memory, source, tokens).disk_bytes)
    return share


def _timed(
    scan: Scan, method: Segmenter, image: str | None, box: Box | None, memory: int, source: FeatureSource | None, tokens: Any
) -> Estimate:
    share = allot(scan, method, scan.array(image).dtype.itemsize, memory, tokens_kept=tokens is not None)
    work = BlockWork(scan, method, share.piece, window_of(scan, image), image, source, tokens=tokens)
    todo = blocks(box or scan.box, share.piece if method.widest() and tokens is None else scan.shard)
    middle = max(todo, key=lambda b: (b.size, -abs(todo.index(b) - len(todo) // 2)))
    start = time.perf_counter()
    labels = work(middle)
    answered = time.perf_counter() - start
    writing, size = written(labels)
    scale = (box or scan.box).size / middle.size
    return Estimate((answered + writing) * scale, int(size * scale * LEVELS), share.bytes)


def _run(work: BlockWork, writer: ResultWriter, share: Allotment, report: Report) -> None:
    """Do all blocks that are not finished, several at a time, each read, answered and written, shard by shard, by one thread."""
    shard, workers = work.scan.shard, share.workers
    todo = blocks(writer.box, shard)

    def unfinished(block: Box) -> list[Box]:
        return [part for part in blocks(block, shard) if writer.number(part) not in writer.finished]

    waiting = iter([block for block in blocks(writer.box, share.block) if unfinished(block)])
    stop = threading.Event()
    message = f"segmenting with {work.method.name}"

    def check() -> None:
        if stop.is_set():
            raise Cancelled

    def one(block: Box) -> list[Box]:
        check()
        labels, parts = work(block, check), unfinished(block)
        for part in parts:
            writer.write(part, labels[part.within(block).slices])
        return parts

    with ThreadPoolExecutor(workers, "block", share_cores, (work.method.modules, workers)) as pool:
        running: set[Future[list[Box]]] = {pool.submit(one, block) for block in islice(waiting, workers)}
        try:
            report(Progress(len(writer.finished), len(todo), message))
            while running:
                ended, running = wait(running, HEARTBEAT, FIRST_COMPLETED)
                for future in ended:
                    for part in future.result():
                        writer.done(part)
                    running |= {pool.submit(one, block) for block in islice(waiting, 1)}
                report(Progress(len(writer.finished), len(todo), message))
        except BaseException:
            stop.set()
            for future in _drained(running):
                with suppress(Cancelled, LithoscopeError):
                    for part in future.result():
                        writer.done(part)
            raise


def _drained(running: set[Future[list[Box]]]) -> Iterator[Future[list[Box]]]:
    """The futures that were under way, ended; those not begun are dropped."""
    for future in running:
        if not future.cancel():
            wait([future])
            yield future


def _source(scan: Scan, image: str | None, box: Box | None) -> dict[str, Any]:
    array = scan.array(image)
    return {
        "uuid": scan.uuid,
        "name": scan.name,
        "image": image,
        "image_run": None if image is None else filtered_image(scan, image).record.uuid,
        "content_hash": scan.content_hash,
        "shape": list(scan.shape),
        "dtype": str(array.dtype),
        "box": None if box is None else box.to_json(),
        "field_of_view": None if scan.field_of_view is None else scan.field_of_view.to_json(),
    }


def _seed(method: Segmenter, seed: int) -> int:
    """The seed that counts: a method's own, if it has one."""
    return int(getattr(method, "seed", seed))


def _notes(scan: Scan, method: Segmenter, box: Box | None) -> list[str]:
    notes = []
    if box is not None and not method.needs_labels:
        notes.append("fitted on the grey values of the whole field of view, as for the whole scan, not on those of the box alone")
    if scan.dtype.kind == "f" and scan.histogram.nan:
        n = scan.histogram.nan
        notes.append("1 voxel is not a number and is 0 (outside)" if n == 1 else f"{n} voxels are not numbers and are 0 (outside)")
    return notes


def _check_same(begun: RunRecord, now: RunRecord) -> None:
    """Refuse to go on with a run that was begun otherwise."""
    wanted, had = (
        {"method": record.method, **record.parameters, **{key: record.source.get(key) for key in SAME}} for record in (now, begun)
    )
    other = [f"{key}={had.get(key)} then, {value} now" for key, value in wanted.items() if had.get(key) != value]
    if other:
        raise InputError(f"the unfinished result was begun otherwise: {'; '.join(other)}; resume it as it was, or leave out --resume")
