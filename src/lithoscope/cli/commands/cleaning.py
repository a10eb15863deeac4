"""Results made from results: cleaned ones, and grains told apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lithoscope.job import Report, silent

Json = dict[str, Any]


def clean(
    scan: str, result: str, *, steps: Sequence[str], output: str | None = None, overwrite: bool = False, report: Report = silent
) -> Json:
    """Clean a result step by step into another; answers with the run record."""
    from lithoscope.labels.clean import clean as run
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan))
    return run(opened, result, list(steps), output=output or f"{result} cleaned", overwrite=overwrite, report=report).to_json()
