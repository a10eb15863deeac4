"""Results made from results: cleaned ones, and grains told apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lithoscope.job import Report, silent

Json = dict[str, Any]


def clean(
    scan: str,
    result: str,
    *,
    steps: Sequence[str],
    output: str | None = None,
    correct: bool = False,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Clean a result step by step into another, and answer with the run record; or `correct` it, and answer with what changed."""
    from lithoscope.errors import InputError
    from lithoscope.labels.clean import clean as run
    from lithoscope.labels.clean import clean_in_place
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan))
    if correct:
        if output is not None:
            raise InputError("corrections go to the result itself; leave --output out, or --correct")
        return {"corrected": result, "steps": list(steps), "changed": clean_in_place(opened, result, list(steps), report=report)}
    return run(opened, result, list(steps), output=output or f"{result} cleaned", overwrite=overwrite, report=report).to_json()


def separate(
    scan: str,
    result: str,
    *,
    output: str | None = None,
    id: int = 1,
    height: float = 1.0,
    table: str | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Tell touching grains of a class apart and measure them; answers with the run record, `summary`, `sizes` and `files`."""
    from lithoscope.errors import InputError, TakenError
    from lithoscope.labels.companions import delete_companions, table_place
    from lithoscope.labels.separate import separate as run
    from lithoscope.measure.grains import grain_files, grains_of, save_grains
    from lithoscope.volume.scan import Scan

    if table is not None and Path(table).suffix.lower() not in ("", ".csv"):
        raise InputError(f"{table} does not end in .csv; name a table")
    if table is not None and not overwrite and (there := [file for file in grain_files(Path(table)) if file.exists()]):
        raise TakenError(f"{there[0]} exists already; give another name, or --overwrite")
    opened = Scan.open(Path(scan))
    name = output or f"{result} separated"
    record = run(opened, result, output=name, id=id, height=height, overwrite=overwrite, report=report)
    delete_companions(opened, name)  # of an older result of that name; a kill before the new table is written must not leave it
    grains = grains_of(opened, name, report=report)
    files = save_grains(grains, Path(table) if table else table_place(opened, name))
    return record.to_json() | {"summary": grains.summary(), "sizes": grains.distribution(), "files": [str(file) for file in files]}
