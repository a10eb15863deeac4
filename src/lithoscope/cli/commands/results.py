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
    names: Sequence[str] | None = None,
    porosity: Sequence[str] | None = None,
    as_: str = "result",
    channel: int | None = None,
    dataset: str | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Take up labels made elsewhere as a result, as truth or as strokes."""
    from lithoscope.labels.imports import import_labels, parse_value_map
    from lithoscope.labels.renaming import parse_names, parse_porosities
    from lithoscope.volume.scan import Scan

    if as_ not in ("result", "strokes", "truth"):
        raise InputError(f"--as {as_} is not one of result, strokes, truth")
    opened = Scan.open(Path(scan))
    value_map = parse_value_map(map) if map else None
    record = import_labels(
        opened,
        file,
        name,
        value_map=value_map,
        names=parse_names(names or ()),
        porosity=parse_porosities(porosity or ()),
        channel=channel,
        dataset=dataset,
        kind=as_,
        overwrite=overwrite,
        report=report,
    )
    return labels_list(scan) | {"notes": record.notes}


def labels_list(scan: str, *, report: Report = silent) -> Json:
    """The results of a scan with method, date and classes, and under `unfinished` the runs that were ended before they were done."""
    from lithoscope.labels.results import older_than_view, open_result, results, unfinished
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
    ended = [
        {"name": name, "method": record.method, "created": record.created, "resume": _resuming(scan, name, record)}
        for name, record in unfinished(opened).items()
    ]
    return {"scan": opened.name, "path": scan, "results": listed, "unfinished": ended}


def _resuming(scan: str, name: str, record: Any) -> str:
    """The command that goes on with a run."""
    import shlex

    from lithoscope.volume.box import Box

    if record.kind != "segment":
        return ""
    given = [f"{key}={_plain(value)}" for key, value in record.parameters.items() if value not in (None, (), [])]
    image, box = record.source.get("image"), record.source.get("box")
    parts = ["lithoscope", "segment", scan, "--method", record.method, *(["--set", *given] if given else []), "--output", name]
    parts += ["--image", image] if image else []
    parts += ["--box", str(Box.from_json(box))] if box else []
    return shlex.join([*parts, "--resume"])


def _plain(value: Any) -> str:
    """A setting as it is written after `--set`."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def labels_classes(scan: str, result: str | None = None, *, changes: Sequence[str] | None = None, report: Report = silent) -> Json:
    """The classes of a scan or of a result, after these changes ("1:name=pore,porosity=1")."""
    from lithoscope.labels.classes_file import load_classes, save_classes
    from lithoscope.labels.renaming import change_classes_of, changed
    from lithoscope.labels.results import open_result
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan), readonly=not changes)
    table = load_classes(opened) if result is None else open_result(opened, result).classes
    if changes:
        table = changed(table, changes, adding=result is None)
        if result is None:
            save_classes(opened, table)
        else:
            change_classes_of(opened, result, table)
    return {"scan": opened.name, "result": result, **table.to_json()}


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
    thickness: bool = False,
    report: Report = silent,
) -> Json:
    """Phase fractions of a result and, against a truth, its scores; with `structure`, what is connected and how much surface; with
    `thickness`, how thick each phase is."""
    from lithoscope.labels.imports import parse_value_map
    from lithoscope.measure.phases import measure as count
    from lithoscope.volume.scan import Scan

    value_map = parse_value_map(map) if map else None
    opened = Scan.open(Path(scan), readonly=True)
    return count(opened, result, truth=truth, value_map=value_map, structure=structure, thickness=thickness, report=report)
