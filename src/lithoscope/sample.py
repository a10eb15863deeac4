"""The sample scan: a simulated rock on disk, with its exact truth as a result."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lithoscope.classes import Class, ClassTable, colour_of
from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.record import RunRecord
from lithoscope.volume.box import Triple
from lithoscope.volume.simulate import CLAY, GRAIN, PORE, SCALES, Sample, Scanner, circle
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

TRUTH = "truth"
"""The name of the result that holds the truth."""

CLASSES = ClassTable.of(
    [Class(PORE, "pore", colour_of(PORE), 1.0), Class(CLAY, "clay", colour_of(CLAY), 0.5), Class(GRAIN, "grain", colour_of(GRAIN), 0.0)]
)


def simulate(
    target: Path,
    *,
    shape: Triple = (128, 256, 256),
    dtype: str = "uint8",
    seed: int = 0,
    voxel: Voxel | None = None,
    scanner: Scanner | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> "Scan":
    """A simulated scan at `target`, any size in bounded memory, with its exact truth as the result "truth"."""
    from lithoscope.volume.convert import write_scan
    from lithoscope.volume.sidecar import sidecar_of

    if dtype not in SCALES:
        raise InputError(f"dtype {dtype!r} cannot be simulated; use {' or '.join(SCALES)}")
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"shape {shape} is not three sizes of 1 or more; give z y x")
    target = Path(target)
    sample = Sample(shape, seed, np.dtype(dtype), voxel or Voxel((2.5, 2.5, 2.5)), scanner or Scanner())
    view = circle(shape) if sample.scanner.circular else None
    notes = sidecar_of(target)
    ours = not notes.exists()
    scan = write_scan(sample, target, field_of_view=view, overwrite=overwrite, report=_part(report, 0.0))
    try:
        _write_truth(sample, scan, _part(report, 0.5))
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        if ours:
            shutil.rmtree(notes, ignore_errors=True)
        raise
    return scan


def _write_truth(sample: Sample, scan: "Scan", report: Report) -> None:
    from lithoscope.labels.results import create
    from lithoscope.volume.blocks import blocks

    record = RunRecord(
        kind="truth",
        method="simulated rock",
        parameters={**asdict(sample.scanner), "shape": list(scan.shape), "dtype": str(scan.dtype)},
        source={
            "uuid": scan.uuid,
            "name": scan.name,
            "content_hash": scan.content_hash,
            "shape": list(scan.shape),
            "dtype": str(scan.dtype),
        },
        seed=sample.seed,
        output=TRUTH,
        classes=CLASSES.to_json(),
    )
    with create(scan, TRUTH, record, CLASSES, overwrite=True) as writer:
        todo = blocks(scan.box, scan.shard)
        for done, box in enumerate(todo):
            report(Progress(done, len(todo), "writing the truth"))
            writer.write(box, sample.truth(box))
        report(Progress(len(todo), len(todo), "writing the truth"))
        writer.finish(record)


def _part(report: Report, start: float) -> Report:
    """The report of one half of the work."""
    return lambda progress: report(Progress(round(1000 * (start + progress.fraction / 2)), 1000, progress.message))
