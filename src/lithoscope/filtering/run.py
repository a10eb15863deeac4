"""A filter over a whole scan: block by block into a filtered image, cancelled within a piece, seen only when it is whole."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, LithoscopeError, MissingError, ResourceError, TakenError
from lithoscope.filtering.base import Filter, Piece
from lithoscope.filtering.device import resolved
from lithoscope.filtering.image_writer import ImageWriter, begun
from lithoscope.filtering.survey import Survey
from lithoscope.job import Cancelled, Progress, Report, silent
from lithoscope.parameters import settings
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import blocks, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.images import filtered_image
from lithoscope.volume.scan import Scan

MEMORY = 1 << 30
"""What the blocks in work may take together, unless told otherwise (bytes)."""
MOST_WORKERS = 4
HEARTBEAT = 0.2
"""Seconds between two reports while no block ends, so that a wish to cancel is seen."""
SPARE_DISK = 64 << 20
LEVELS = 1.2
"""What all levels take, as a multiple of the full one."""


def filter_image(
    scan: Scan,
    chosen: Filter,
    name: str,
    *,
    image: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    memory: int = MEMORY,
    device: str = "cpu",
    report: Report = silent,
) -> RunRecord:
    """Make the filtered image `name` of the scan, or of another filtered image of it; answers with the run record.

    It has the scan's dtype, levels and voxels. What lies outside the field of view, and what is not a number, stays as it is.
    A cancelled or killed run is taken up with `resume`, and ends with the bytes of one that was never stopped.
    """
    start = time.perf_counter()
    _check_free(scan, name, image, overwrite=overwrite)
    known = begun(scan, name) if resume else None
    if resume and known is None:
        raise MissingError(f"{scan.name} has no unfinished image {name} to resume; leave out --resume to begin it")
    survey = Survey(scan, image)
    dtype = np.dtype(survey.array.dtype)
    chosen = placed(chosen, device)
    device = getattr(chosen, "device", "cpu")
    fitted = chosen.fit(survey, range(scan.shape[0]), report=report)
    learnt, notes = fitted.learnt(), fitted.notes()
    record = RunRecord("filter", fitted.name, settings(fitted), _source(scan, image, survey), device=device, output=name)
    record = replace(record, learnt=learnt, notes=notes)
    if known is not None:
        _check_same(known, record)
        record = known
    share = allot(scan, fitted, dtype.itemsize, memory, device)
    _check_room(scan, dtype.itemsize, share.bytes)
    writer = ImageWriter(scan, name, record)
    try:
        if known is None:
            writer.begin(dtype)
        else:
            writer.go_on()
        _run(BlockFilter(survey, fitted, share), writer, report)
        writer.finish(replace(record, seconds=round(record.seconds + time.perf_counter() - start, 3)))
    finally:
        writer.close()
    filtered_image(scan, name).count(report)
    return writer.record


SAME = ("content_hash", "image", "image_run", "field_of_view")
"""What of its source a run must have in common with the one that it takes up."""


def _check_same(begun: RunRecord, now: RunRecord) -> None:
    """Refuse to go on with a run that was begun otherwise."""
    wanted, had = (
        {"method": record.method, **record.parameters, **{key: record.source.get(key) for key in SAME}, "device": record.device}
        for record in (now, begun)
    )
    other = [f"{key}={had.get(key)} then, {value} now" for key, value in wanted.items() if had.get(key) != value]
    if other:
        raise InputError(f"the unfinished image was begun otherwise: {'; '.join(other)}; resume it as it was, or leave out --resume")


def placed(chosen: Filter, device: str) -> Filter:
    """The filter on a device, if it can make use of one; `auto` is a GPU where there is one that torch can use."""
    if not any(f.name == "device" for f in fields(chosen)):
        return chosen
    made = copy(chosen)
    setattr(made, "device", resolved(device))  # noqa: B010 - only filters that can use one have the field
    return made


@dataclass(frozen=True, slots=True)
class Allotment:
    """How many blocks are worked on at once, what part of one is read at a time, and the largest piece (z, y, x) a filter is given."""

    workers: int
    region: Triple
    piece: Triple
    bytes: int


def allot(scan: Scan, fitted: Filter, itemsize: int, memory: int, device: str) -> Allotment:
    """Share the memory between blocks; refused when not even one small piece fits."""
    halo = fitted.halo()
    written = int(np.prod(scan.shard)) * itemsize * 1.4
    most = 1 if device != "cpu" else min(os.cpu_count() or 1, MOST_WORKERS)

    def taken(region: Triple, piece: Triple) -> int:
        read_ = np.prod([e + 2 * h for e, h in zip(region, halo, strict=True)], dtype=float) * (2 * itemsize + 1)
        worked = np.prod([p + 2 * h for p, h in zip(piece, halo, strict=True)], dtype=float) * fitted.working_bytes()
        return int(written + read_ + worked)

    for workers in range(most, 0, -1):
        region, piece = scan.shard, _least(fitted.piece(), scan.shard)
        while taken(region, piece) * workers > memory and max(region) > 16:
            region = _halved(region)
            piece = _least(piece, region)
        if taken(region, piece) * workers <= memory and (workers == 1 or max(region) >= 64):
            return Allotment(workers, region, piece, taken(region, piece) * workers)
    needed = taken(region, piece)
    raise ResourceError(f"one block takes {needed >> 20} MB, but only {memory >> 20} MB are allowed; take a smaller neighbourhood")


def _least(a: Triple, b: Triple) -> Triple:
    z, y, x = (min(p, q) for p, q in zip(a, b, strict=True))
    return (z, y, x)


def _halved(edge: Triple) -> Triple:
    """The longest axis halved."""
    longest = edge.index(max(edge))
    z, y, x = (max(1, n // 2) if axis == longest else n for axis, n in enumerate(edge))
    return (z, y, x)


@dataclass(frozen=True)
class BlockFilter:
    """What is to be done to every block: read with the halo, filter piece by piece, keep what is not valid as it was."""

    survey: Survey
    fitted: Filter
    share: Allotment

    def __call__(self, box: Box, check: Callable[[], None] = lambda: None, threads: int = 1) -> npt.NDArray[Any]:
        """The filtered values (z, y, x) of `box`, in the dtype of the image, several pieces at once."""
        scan, halo = self.survey.scan, self.fitted.halo()
        if not scan.path.exists():
            # Missing chunks read as zeros, so a scan that is gone would be filtered as if it were empty.
            raise MissingError(f"the scan {scan.path} is gone; put it back and filter again")
        found = np.empty(box.shape, self.survey.array.dtype)
        with ThreadPoolExecutor(threads, thread_name_prefix="piece") as pool:
            for region in blocks(box, self.share.region):
                grown = region.grow(halo)
                image = read(self.survey.array, grown)

                def one(part: Box, grown: Box = grown, image: npt.NDArray[Any] = image) -> None:
                    check()
                    around = part.grow(halo)
                    found[part.within(box).slices] = self._answer(Piece(image[around.within(grown).slices], around, part))

                parts = blocks(region, self.share.piece)
                for _ in pool.map(one, parts) if threads > 1 else map(one, parts):
                    pass
        return found

    def _answer(self, piece: Piece) -> npt.NDArray[Any]:
        valid = self._valid(piece)
        original = piece.image[piece.place]
        if valid is None:
            return native(self.fitted.apply(piece), original.dtype)
        known = valid[piece.place]
        if not known.any():
            return original
        if valid.all():
            return native(self.fitted.apply(piece), original.dtype)
        found = native(self.fitted.apply(replace(piece, valid=valid)), original.dtype)
        return np.where(known, found, original)

    def _valid(self, piece: Piece) -> npt.NDArray[np.bool_] | None:
        inside = self.survey.scan.inside(piece.box)
        if piece.image.dtype.kind != "f":
            return inside
        finite = np.isfinite(piece.image)
        found: npt.NDArray[np.bool_] = finite if inside is None else np.logical_and(finite, inside)
        return found


def native(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Values in a dtype: for whole numbers rounded, halves up, and kept within its bounds."""
    if values.dtype == dtype:
        return values
    if dtype.kind == "f":
        return values.astype(dtype)
    info = np.iinfo(dtype)
    top = np.nextafter(float(info.max) + 1, 0) if dtype.itemsize > 4 else float(info.max)
    found: npt.NDArray[Any] = np.clip(np.floor(values + values.dtype.type(0.5)), float(info.min), top).astype(dtype)
    return found


def _run(work: BlockFilter, writer: ImageWriter, report: Report) -> None:
    """Do all blocks that are not finished, several at a time, each read, filtered and written by one thread.

    Where there are fewer blocks than threads, several work on one block.
    """
    todo = writer.todo()
    waiting = iter(todo)
    stop = threading.Event()
    size = int(np.prod(work.share.piece))
    every = blocks(work.survey.scan.box, work.survey.scan.shard)
    total = sum(-(-box.size // size) for box in every)
    pieces = sum(-(-every[number].size // size) for number in writer.finished)
    message = f"filtering with {work.fitted.name}"
    workers = max(1, min(work.share.workers, len(todo)))
    threads = max(1, work.share.workers // workers)

    def check() -> None:
        nonlocal pieces
        if stop.is_set():
            raise Cancelled
        pieces += 1

    def one(number: int, block: Box) -> None:
        writer.write(number, block, work(block, check, threads))

    with ThreadPoolExecutor(workers, thread_name_prefix="filter") as pool:
        running: set[Future[None]] = {pool.submit(one, *block) for block in islice(waiting, workers)}
        try:
            report(Progress(min(pieces, total), total, message))
            while running:
                ended, running = wait(running, HEARTBEAT, FIRST_COMPLETED)
                for future in ended:
                    future.result()
                    running |= {pool.submit(one, *block) for block in islice(waiting, 1)}
                report(Progress(min(pieces, total), total, message))
        except BaseException:
            stop.set()
            for future in running:
                with suppress(Cancelled, LithoscopeError):
                    if not future.cancel():
                        future.result()
            raise


def _source(scan: Scan, image: str | None, survey: Survey) -> dict[str, Any]:
    return {
        "uuid": scan.uuid,
        "name": scan.name,
        "image": image,
        "image_run": None if image is None else filtered_image(scan, image).record.uuid,
        "content_hash": scan.content_hash,
        "shape": list(scan.shape),
        "dtype": str(survey.array.dtype),
        "field_of_view": None if scan.field_of_view is None else scan.field_of_view.to_json(),
    }


def _check_free(scan: Scan, name: str, image: str | None, *, overwrite: bool) -> None:
    """Refuse a name that is not good or not free."""
    if scan.readonly:
        raise InputError(f"{scan.path} was opened read-only; open it for writing to filter it")
    if not name or name != name.strip() or name.startswith(".") or name.endswith(".partial") or set(name) & set('/\\:*?"<>|\0'):
        raise InputError(f"an image cannot be called {name!r}; use letters, digits, '-' and '_'")
    if image is not None:
        scan.array(image)
    taken = {known.casefold(): known for known in scan.images()}
    if name.casefold() in taken and not (overwrite and taken[name.casefold()] == name):
        raise TakenError(f"{scan.name} has an image {taken[name.casefold()]} already; choose another name, or overwrite it: --overwrite")
    if name == image:
        raise InputError(f"the image {name} cannot be made of itself; choose another name")


def _check_room(scan: Scan, itemsize: int, memory: int) -> None:
    """Refuse work for which disk or memory lack; values that cannot be compressed are taken into account."""
    import psutil

    free = int(psutil.virtual_memory().available)
    if memory > free:
        raise ResourceError(f"the work needs {memory >> 20} MB of memory, but only {free >> 20} MB are free; close other programs")
    folder = scan.sidecar
    while not folder.exists():
        folder = folder.parent
    needed, left = int(scan.box.size * itemsize * LEVELS) + SPARE_DISK, shutil.disk_usage(folder).free
    if needed > left:
        raise ResourceError(f"the image needs up to {needed >> 20} MB of disk, but only {left >> 20} MB are free; free some space")
