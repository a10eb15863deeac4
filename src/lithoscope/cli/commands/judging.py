"""Methods compared, and the page that tells of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError, TakenError
from lithoscope.job import Report, silent

Json = dict[str, Any]


def compare(
    scan: str,
    *,
    strokes: str = "strokes",
    truth: str | None = None,
    methods: str | Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    map: Sequence[str] | None = None,
    strokes_map: Sequence[str] | None = None,
    image: str | None = None,
    seed: int = 0,
    seeds: int = 1,
    name: str = "comparison",
    html: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    processes: bool = True,
    report: Report = silent,
) -> Json:
    """All methods on one scan by one protocol; answers with `methods[].name|mean_iou|seconds|peak_bytes`, best first.

    `settings` are of one method each, as {"forest.preset": "fast"}.
    """
    from lithoscope.compare import compare as run
    from lithoscope.labels.imports import parse_value_map
    from lithoscope.report import check_place, report_page
    from lithoscope.volume.scan import Scan

    if seeds < 1:
        raise InputError(f"--seeds {seeds} is not at least 1")
    if html is not None:  # a page that is there already when it goes on is that of the same comparison
        check_place(Path(html), overwrite=overwrite or (resume and Path(html).exists()))
    opened = Scan.open(Path(scan))
    found = run(
        opened,
        strokes,
        truth=truth,
        methods=methods.split(",") if isinstance(methods, str) else methods,
        settings=_by_method(settings or {}),
        image=image,
        strokes_map=parse_value_map(strokes_map) if strokes_map else None,
        truth_map=parse_value_map(map) if map else None,
        seeds=range(seed, seed + seeds),
        name=name,
        resume=resume,
        overwrite=overwrite,
        processes=processes,
        report=report,
    )
    if html is not None:
        found["report"] = report_page(opened, [], Path(html), comparison=name, overwrite=True, report=report)["files"]
    return found


def report(
    scan: str,
    results: Sequence[str],
    out: str,
    *,
    comparison: str | None = None,
    truth: str | None = None,
    map: Sequence[str] | None = None,
    structure: bool = False,
    thickness: bool = False,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """One self-contained HTML page about results, with figures, tables and records, and the same as JSON and CSV beside it."""
    from lithoscope.labels.imports import parse_value_map
    from lithoscope.report import report_page
    from lithoscope.volume.scan import Scan

    return report_page(
        Scan.open(Path(scan)),
        results,
        Path(out),
        comparison=comparison,
        truth=truth,
        truth_map=parse_value_map(map) if map else None,
        structure=structure,
        thickness=thickness,
        overwrite=overwrite,
        report=report,
    )


def spotcheck(
    scan: str,
    result: str,
    *,
    count: int | None = None,
    table: str | None = None,
    answers: str | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Draw random places of a result for a person to name, or take up the answers; says accuracy and fractions once there are enough.

    A spot check that was begun is gone on with, as it was drawn; `overwrite` begins it anew, with 200 places and seed 0 if not said.
    """
    from lithoscope.measure import named_places
    from lithoscope.volume.scan import Scan

    if table is not None and Path(table).exists() and not overwrite:
        raise TakenError(f"{table} exists already; give another name, or --overwrite")
    opened = Scan.open(Path(scan))
    check = named_places.load(opened, result)
    if check is not None and (answers is not None or not overwrite):
        named_places.refuse_another(check, count, seed)
    if answers is not None:
        if check is None:
            raise InputError(f"{result} as it is now has no spot check; draw its places first, with --table {answers}")
        check = named_places.read_table(check, Path(answers))
        named_places.save(opened, check)
    elif check is None or overwrite:
        check = named_places.begin(opened, result, 200 if count is None else count, seed=seed or 0, overwrite=overwrite, report=report)
    if table is not None:
        named_places.write_table(check, Path(table))
    found = {"scan": opened.name, "result": result, "places": len(check.drawn.places), "named": len(check.seen), "table": table}
    strange = named_places.unknown_classes(opened, check)
    found["notes"] = [strange] if strange else []
    try:
        return {**found, **check.checked().to_json(), "missing": ""}
    except InputError as error:
        return {**found, "missing": str(error)}


def _by_method(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{"forest.preset": "fast"} as {"forest": {"preset": "fast"}}."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        method, dot, field = key.partition(".")
        if not dot or not field:
            raise InputError(f"--set {key}={value} does not say of which method; write --set METHOD.{key}={value}")
        found.setdefault(method, {})[field] = value
    return found
