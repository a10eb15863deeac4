"""A result written for other programs: corrections included, one slab in memory at a time, whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, MissingError
from lithoscope.export.jobs import Inside, Job, Kind, everywhere, write_jobs
from lithoscope.export.parts import ALL, binary, chosen_classes, places
from lithoscope.export.values import Values, values_of
from lithoscope.job import Progress, Report, silent
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.labels.results import Result
    from lithoscope.volume.scan import Scan


_KINDS: dict[str, Kind] = {
    ".tif": "tiff", ".tiff": "tiff", ".zarr": "zarr", ".raw": "raw", ".npy": "npy", ".mhd": "mhd", ".mha": "mha", ".nrrd": "nrrd",
    ".stl": "stl",
}  # fmt: skip
_UNKNOWN = {".nii", ".gz", ".h5", ".png", ".jpg", ".jpeg", ".zip", ".csv", ".bmp", ".vtk", ".ply", ".obj", ".nhdr"}


def kind_of(target: Path) -> tuple[Kind, Path]:
    """What to write, and where, judged by the name: a folder of slices unless it says otherwise; `masks/*.png` asks for PNGs."""
    suffix = target.suffix.lower()
    if target.stem == "*":
        slices: dict[str, Kind] = {".png": "png slices", ".tif": "tiff slices", ".tiff": "tiff slices"}
        if suffix not in slices:
            raise InputError(f"{target}: slices are written as *.tif or *.png")
        return slices[suffix], target.parent
    if suffix in _UNKNOWN or (suffix not in _KINDS and 2 <= len(suffix) <= 5 and suffix[1:].isalpha() and not target.is_dir()):
        raise InputError(
            f"{target}: {suffix} is not written; use .tif, .zarr, .raw, .mhd, .mha, .nrrd, .npy, .stl, a folder, or 'FOLDER/*.png'"
        )
    return _KINDS.get(suffix, "tiff slices"), target


def export_labels(
    labels: Array3D,
    classes: ClassTable,
    target: Path,
    record: RunRecord,
    *,
    voxel: Voxel | None = None,
    values: Mapping[int, int] | None = None,
    only: Sequence[str] = (),
    inside: Inside = everywhere,
    compression: str = "zlib",
    overwrite: bool = False,
    report: Report = silent,
) -> RunRecord:
    """Write a label volume (z, y, x) to `target`, with its record beside it; gives the record with target, values and time.

    `only` names classes: each is written to a file of its own, a number where it is and 0 elsewhere. What is not `inside` is 0.
    """
    kind, target = kind_of(Path(target))
    if kind == "stl" and not only:
        raise InputError(f"{target.name}: a mesh is of one class; say which: --class {classes.summary().replace(', ', ' or ')}, or all")
    if not only:
        jobs = [Job(labels, kind, target, values_of(classes, values), classes)]
    else:
        chosen = chosen_classes(classes, only)
        table = {c.id: ClassTable.of([c], last=classes.last) for c in chosen}
        jobs = [
            Job(labels, kind, place, binary(c.id, values), table[c.id])
            for c, place in places(target, chosen, alone=ALL not in [word.casefold() for word in only])
        ]
    return write_jobs(jobs, target, record, voxel=voxel, inside=inside, compression=compression, overwrite=overwrite, report=report)


def export(
    scan: "Scan",
    result: str,
    target: Path,
    *,
    values: Mapping[int, int] | None = None,
    only: Sequence[str] = (),
    scores: bool = False,
    compression: str = "zlib",
    overwrite: bool = False,
    report: Report = silent,
) -> RunRecord:
    """Write a result of a scan, with its corrections, as a file or folder for other programs.

    `only` names classes, each written to a file of its own; with `scores`, as how likely it is (0 to 255), corrections left out.
    """
    from lithoscope.labels.classes_file import known_classes
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import older_than_view, open_result

    found = open_result(scan, result)
    older = ["the result is older than the field of view, outside which all is 0"] if older_than_view(scan, found) else []
    with corrected(scan, found, readonly=True) as labels:
        changed = labels.changed_voxels
        record = RunRecord(
            kind="export",
            method="export",
            parameters={},
            source={
                "uuid": scan.uuid,
                "name": scan.name,
                "result": result,
                "result_record": found.record.to_json(),
                "shape": list(scan.shape),
                "voxel": None if scan.voxel is None else scan.voxel.to_json(),
                "corrected_voxels": changed,
            },
            notes=[*([f"{changed} voxels were corrected by hand"] if changed else []), *older],
        )
        classes = known_classes(scan, found.classes)
        watched = _watched(found.path, report)
        if scores:
            if values:
                raise InputError("scores are from 0 to 255; leave out --values")
            jobs = _score_jobs(scan, found, classes, Path(target), only or [ALL], watched)
            record = replace(record, parameters={"scores": True}, notes=[*(["corrections are not in scores"] if changed else []), *older])
            return write_jobs(
                jobs,
                Path(target),
                record,
                voxel=scan.voxel,
                inside=scan.inside,
                compression=compression,
                overwrite=overwrite,
                report=watched,
            )
        return export_labels(
            labels,
            classes,
            target,
            record,
            voxel=scan.voxel,
            values=values,
            only=only,
            inside=scan.inside,
            compression=compression,
            overwrite=overwrite,
            report=watched,
        )


def _score_jobs(scan: "Scan", result: "Result", classes: ClassTable, target: Path, only: Sequence[str], report: Report) -> list[Job]:
    from lithoscope.export.memberships import Memberships, method_of, own_classes
    from lithoscope.labels.kept_tokens import kept_tokens

    kind, target = kind_of(target)
    if kind == "stl":
        raise InputError(f"{target.name}: a mesh is of labels, not of scores; leave out --scores")
    method = method_of(scan, result)
    chosen = [c for c in chosen_classes(classes, only) if own_classes(result, method, c.id)]
    kept_tokens(scan, method, image=result.record.source.get("image"), box=result.box, report=report)
    numbers = Values(np.arange(256, dtype=np.uint8))
    alone = ALL not in [word.casefold() for word in only]
    return [
        Job(Memberships(scan, result, method, c.id), kind, place, numbers, ClassTable.of([c], last=classes.last))
        for c, place in places(target, chosen, alone=alone)
    ]


def _watched(result: Path, report: Report) -> Report:
    """A report that notices when the result is deleted meanwhile: its missing chunks would be read as outside."""

    def watched(progress: Progress) -> None:
        if not (result / "zarr.json").exists():
            raise MissingError(f"the result {result.name} was deleted while it was exported; nothing was written")
        report(progress)

    return watched
