"""Results and labels: brought in, listed, renamed, deleted, measured, exported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError
from lithoscope.job import Report, silent

Json = dict[str, Any]


def labels_import(
    scan: str,
    file: str,
    name: str,
    *,
    map: Sequence[str] | None = None,
    as_: str = "result",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Take up labels made elsewhere as a result, as truth or as strokes."""
    from lithoscope.labels.imports import import_labels, parse_value_map
    from lithoscope.volume.scan import Scan

    if as_ not in ("result", "strokes", "truth"):
        raise InputError(f"--as {as_} is not one of result, strokes, truth")
    opened = Scan.open(Path(scan))
    value_map = parse_value_map(map) if map else None
    import_labels(opened, file, name, value_map=value_map, kind=as_, overwrite=overwrite, report=report)
    return labels_list(scan)


def labels_list(scan: str, *, report: Report = silent) -> Json:
    """The results of a scan with method, date and classes, and how much was painted."""
    from lithoscope.labels.results import older_than_view, open_result, results
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan), readonly=True)
    listed = []
    for name in results(opened):
        result = open_result(opened, name)
        listed.append(
            {
                "name": name,
                "kind": result.record.kind,
                "method": result.record.method,
                "created": result.record.created,
                "classes": [c.name for c in result.classes],
                "older_than_fov": older_than_view(opened, result),
            }
        )
    return {"scan": opened.name, "results": listed}


def labels_rename(scan: str, old: str, new: str, *, report: Report = silent) -> Json:
    """Give a result another name; its corrections follow."""
    from lithoscope.labels.results import rename
    from lithoscope.volume.scan import Scan

    rename(Scan.open(Path(scan)), old, new)
    return labels_list(scan)


def labels_delete(scan: str, name: str, *, report: Report = silent) -> Json:
    """Delete a result with its corrections."""
    from lithoscope.labels.results import delete
    from lithoscope.volume.scan import Scan

    delete(Scan.open(Path(scan)), name)
    return labels_list(scan)


def export(
    scan: str,
    result: str,
    out: str,
    *,
    values: Sequence[str] | None = None,
    class_: Sequence[str] | None = None,
    scores: bool = False,
    compression: str = "zlib",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Write a result, corrections included, to a file that other programs read."""
    from lithoscope.export import export as write
    from lithoscope.export import parse_values
    from lithoscope.volume.scan import Scan

    record = write(
        Scan.open(Path(scan), readonly=True),
        result,
        Path(out),
        values=parse_values(values) if values else None,
        only=class_ or (),
        scores=scores,
        compression=compression,
        overwrite=overwrite,
        report=report,
    )
    return record.to_json()


def measure(
    scan: str,
    result: str,
    *,
    truth: str | None = None,
    map: Sequence[str] | None = None,
    structure: bool = False,
    report: Report = silent,
) -> Json:
    """Phase fractions of a result and, against a truth, its scores; with `structure`, what is connected and how much surface."""
    from lithoscope.labels.imports import parse_value_map
    from lithoscope.measure.phases import measure as count
    from lithoscope.volume.scan import Scan

    value_map = parse_value_map(map) if map else None
    return count(Scan.open(Path(scan), readonly=True), result, truth=truth, value_map=value_map, structure=structure, report=report)
