"""The files of an export: each written slab by slab, whole or not at all, with its record beside it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.export import headers, writers
from lithoscope.export.targets import NOTE_SUFFIX, appearing, check_space, check_target, record_of
from lithoscope.export.values import Values
from lithoscope.job import Progress, Report
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.voxel import Voxel

Inside = Callable[[Box], "npt.NDArray[np.bool_] | None"]
"""Which voxels of a box count, or None when all do."""


def everywhere(_box: Box) -> None:
    """No field of view."""
    return


Kind = Literal["tiff", "zarr", "raw", "npy", "mhd", "mha", "nrrd", "stl", "tiff slices", "png slices"]
_BARE = ("raw", "npy", "mhd", "mha")


def companion(kind: Kind, target: Path) -> Path | None:
    """The file that is written beside `target` and without which it is not whole."""
    return {"raw": target.with_suffix(".mhd"), "mhd": target.with_suffix(".raw")}.get(kind)


@dataclass(frozen=True)
class Job:
    """One file to write: the array it is read from, and the number that each of its values becomes."""

    array: Array3D
    kind: Kind
    target: Path
    numbers: Values
    classes: ClassTable


def write_jobs(
    jobs: Sequence[Job],
    target: Path,
    record: RunRecord,
    *,
    voxel: Voxel | None,
    inside: Inside,
    compression: str,
    overwrite: bool,
    report: Report,
) -> RunRecord:
    """Write some files one after the other, each with its record; nothing is begun unless all of them may be written."""
    writers.codec(compression)
    for job in jobs:
        for place in (job.target, companion(job.kind, job.target)):
            if place is not None:
                check_target(place, overwrite=overwrite)
    written = [
        _write_job(job, record, voxel, inside, compression, part(report, number, len(jobs), job.target.name))
        for number, job in enumerate(jobs)
    ]
    if len(written) == 1:
        return written[0]
    files = {"files": [one.output for one in written]}
    return replace(written[-1], output=target.name, parameters={**record.parameters, **files}, seconds=sum(one.seconds for one in written))


def _write_job(job: Job, record: RunRecord, voxel: Voxel | None, inside: Inside, compression: str, report: Report) -> RunRecord:
    shape = (int(job.array.shape[0]), int(job.array.shape[1]), int(job.array.shape[2]))
    numbers, classes = job.numbers, job.classes
    mask = writers.Mask(
        shape=shape,
        dtype=numbers.dtype,
        slabs=lambda: _slabs(job.array, shape, numbers, inside, report),
        voxel=voxel,
        highest=max((int(numbers.table[id]) for id in classes.ids), default=1),
        colours=tuple((int(numbers.table[c.id]), c.colour) for c in classes),
    )
    packed = job.kind not in _BARE and (job.kind not in ("tiff", "nrrd") or compression != "none")
    check_space(job.target, int(mask.nbytes * (0.3 if packed else 1.0)) + 4096 * shape[0])
    start = time.monotonic()
    if job.kind == "mhd":
        with appearing(job.target.with_suffix(".raw")) as partial:
            writers.write_raw(partial, mask)
    facts: dict[str, Any] = {}
    with appearing(job.target) as partial:
        if job.kind == "stl":
            facts = {"triangles": _write_mesh(partial, job, shape, voxel, inside, report), "unit": voxel.unit if voxel else "voxel"}
        else:
            _write(partial, job.kind, mask, compression, job.target.name)
        report(Progress(shape[0], shape[0], "exporting"))
    done = _completed(record, job, compression, time.monotonic() - start, facts)
    if job.kind == "raw":
        _write_text(job.target.with_suffix(".mhd"), headers.metaimage_header(mask, job.target.name))
        _write_text(job.target.with_name(job.target.name + NOTE_SUFFIX), writers.raw_note(job.target.name, mask))
    _write_text(record_of(job.target), json.dumps(done.to_json(), indent=1, ensure_ascii=False))
    return done


def _slabs(labels: Array3D, shape: Triple, numbers: Values, inside: Inside, report: Report) -> Iterator[writers.Labels]:
    depth = writers.slab_depth(shape, numbers.dtype)
    for z in range(0, shape[0], depth):
        report(Progress(z, shape[0], "exporting"))
        yield numbers.of(_blanked(labels, Box((z, 0, 0), (min(z + depth, shape[0]), *shape[1:])), inside))


def _blanked(labels: Array3D, box: Box, inside: Inside) -> writers.Labels:
    """The labels of a box, 0 where they are not inside."""
    found, within = read(labels, box), inside(box)
    return found if within is None else np.multiply(found, within, dtype=found.dtype)


def _write_mesh(partial: Path, job: Job, shape: Triple, voxel: Voxel | None, inside: Inside, report: Report) -> int:
    from lithoscope.export.mesh import write_stl

    return write_stl(
        partial,
        lambda box: job.numbers.of(_blanked(job.array, box, inside)) != 0,
        shape,
        voxel,
        lambda done, total: report(Progress(done, total, "making the surface")),
    )


def _write(partial: Path, kind: Kind, mask: writers.Mask, compression: str, name: str) -> None:
    if kind == "tiff":
        writers.write_tiff(partial, mask, compression)
    elif kind == "zarr":
        writers.write_ome_zarr(partial, mask, name.removesuffix(".zarr"))
    elif kind == "raw":
        writers.write_raw(partial, mask)
    elif kind == "npy":
        writers.write_npy(partial, mask)
    elif kind == "mha":
        headers.write_mha(partial, mask)
    elif kind == "mhd":
        partial.write_text(headers.metaimage_header(mask, Path(name).with_suffix(".raw").name), encoding="utf-8")
    elif kind == "nrrd":
        headers.write_nrrd(partial, mask, packed=compression != "none")
    else:
        writers.write_slices(partial, mask, compression, "png" if kind == "png slices" else "tif")


def part(report: Report, number: int, count: int, name: str) -> Report:
    """A report for the file of this number among several."""

    def told(progress: Progress) -> None:
        report(Progress(number * progress.total + progress.done, count * progress.total, f"{progress.message} {name}"))

    return report if count == 1 else told


def _write_text(path: Path, text: str) -> None:
    with appearing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _completed(record: RunRecord, job: Job, compression: str, seconds: float, facts: dict[str, Any]) -> RunRecord:
    written: dict[str, Any] = {
        "format": job.kind,
        "compression": compression if job.kind.startswith("tiff") or job.kind == "nrrd" else None,
        "values": {str(id): int(job.numbers.table[id]) for id in (0, *job.classes.ids)},
        "dtype": job.numbers.dtype.name,
        **facts,
    }
    return replace(
        record,
        parameters={**record.parameters, **written},
        output=job.target.name,
        classes=job.classes.to_json(),
        seconds=round(seconds, 3),
    )
