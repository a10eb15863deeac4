"""A result written for other programs: corrections included, one slab in memory at a time, whole or not at all."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, MissingError
from lithoscope.export import writers
from lithoscope.export.targets import NOTE_SUFFIX, appearing, check_space, check_target, record_of
from lithoscope.export.values import Values, values_of
from lithoscope.job import Progress, Report, silent
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

Kind = Literal["tiff", "zarr", "raw", "npy", "tiff slices", "png slices"]

_KINDS: dict[str, Kind] = {".tif": "tiff", ".tiff": "tiff", ".zarr": "zarr", ".raw": "raw", ".npy": "npy"}
_UNKNOWN = {".nrrd", ".stl", ".nii", ".gz", ".mhd", ".h5", ".png", ".jpg", ".jpeg", ".zip", ".csv", ".bmp", ".vtk", ".mha"}


def kind_of(target: Path) -> tuple[Kind, Path]:
    """What to write, and where, judged by the name: a folder of slices unless it says otherwise; `masks/*.png` asks for PNGs."""
    suffix = target.suffix.lower()
    if target.stem == "*":
        slices: dict[str, Kind] = {".png": "png slices", ".tif": "tiff slices", ".tiff": "tiff slices"}
        if suffix not in slices:
            raise InputError(f"{target}: slices are written as *.tif or *.png")
        return slices[suffix], target.parent
    if suffix in _UNKNOWN:
        raise InputError(f"{target}: {suffix} is not written; use .tif, .zarr, .raw, .npy, a folder, or 'FOLDER/*.png' for slices")
    return _KINDS.get(suffix, "tiff slices"), target


def export_labels(
    labels: Array3D,
    classes: ClassTable,
    target: Path,
    record: RunRecord,
    *,
    voxel: Voxel | None = None,
    values: Mapping[int, int] | None = None,
    compression: str = "zlib",
    overwrite: bool = False,
    report: Report = silent,
) -> RunRecord:
    """Write a label volume (z, y, x) to `target`, with its record beside it; gives the record with target, values and time."""
    kind, target = kind_of(Path(target))
    writers.codec(compression)
    numbers = values_of(classes, values)
    check_target(target, overwrite=overwrite)
    shape = (int(labels.shape[0]), int(labels.shape[1]), int(labels.shape[2]))
    mask = writers.Mask(
        shape=shape,
        dtype=numbers.dtype,
        slabs=lambda: _slabs(labels, shape, numbers, report),
        voxel=voxel,
        highest=max((int(numbers.table[id]) for id in classes.ids), default=1),
        colours=tuple((int(numbers.table[c.id]), c.colour) for c in classes),
    )
    packed = kind not in ("raw", "npy") and (kind != "tiff" or compression != "none")
    check_space(target, int(mask.nbytes * (0.3 if packed else 1.0)) + 4096 * shape[0])
    start = time.monotonic()
    with appearing(target) as partial:
        _write(partial, kind, mask, compression, target.name)
        report(Progress(shape[0], shape[0], "exporting"))
    record = _completed(record, kind, target, numbers, classes, compression, time.monotonic() - start)
    if kind == "raw":
        _write_text(target.with_name(target.name + NOTE_SUFFIX), writers.raw_note(target.name, mask))
    _write_text(record_of(target), json.dumps(record.to_json(), indent=1, ensure_ascii=False))
    return record


def _slabs(labels: Array3D, shape: Triple, numbers: Values, report: Report) -> Iterator[writers.Labels]:
    depth = writers.slab_depth(shape, numbers.dtype)
    for z in range(0, shape[0], depth):
        report(Progress(z, shape[0], "exporting"))
        yield numbers.of(read(labels, Box((z, 0, 0), (min(z + depth, shape[0]), *shape[1:]))))


def _write(partial: Path, kind: Kind, mask: writers.Mask, compression: str, name: str) -> None:
    if kind == "tiff":
        writers.write_tiff(partial, mask, compression)
    elif kind == "zarr":
        writers.write_ome_zarr(partial, mask, name.removesuffix(".zarr"))
    elif kind == "raw":
        writers.write_raw(partial, mask)
    elif kind == "npy":
        writers.write_npy(partial, mask)
    else:
        writers.write_slices(partial, mask, compression, "png" if kind == "png slices" else "tif")


def _write_text(path: Path, text: str) -> None:
    with appearing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _completed(
    record: RunRecord, kind: Kind, target: Path, numbers: Values, classes: ClassTable, compression: str, seconds: float
) -> RunRecord:
    from dataclasses import replace

    written: dict[str, Any] = {
        "format": kind,
        "compression": compression if kind.startswith("tiff") else None,
        "values": {str(id): int(numbers.table[id]) for id in (0, *classes.ids)},
        "dtype": numbers.dtype.name,
    }
    return replace(
        record, parameters={**record.parameters, **written}, output=target.name, classes=classes.to_json(), seconds=round(seconds, 3)
    )


def export(
    scan: "Scan",
    result: str,
    target: Path,
    *,
    values: Mapping[int, int] | None = None,
    compression: str = "zlib",
    overwrite: bool = False,
    report: Report = silent,
) -> RunRecord:
    """Write a result of a scan, with its corrections, as .tif, .zarr, .raw, .npy or a folder of slices."""
    from lithoscope.labels.classes_file import known_classes
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    found = open_result(scan, result)
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
            notes=[f"{changed} voxels were corrected by hand"] if changed else [],
        )
        return export_labels(
            labels,
            known_classes(scan, found.classes),
            target,
            record,
            voxel=scan.voxel,
            values=values,
            compression=compression,
            overwrite=overwrite,
            report=_watched(found.path, report),
        )


def _watched(result: Path, report: Report) -> Report:
    """A report that notices when the result is deleted meanwhile: its missing chunks would be read as outside."""

    def watched(progress: Progress) -> None:
        if not (result / "zarr.json").exists():
            raise MissingError(f"the result {result.name} was deleted while it was exported; nothing was written")
        report(progress)

    return watched
