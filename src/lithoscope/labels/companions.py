"""What is kept beside a result under its name, and goes where it goes: its spot check and the tables of its grains."""

from pathlib import Path
from typing import TYPE_CHECKING

from lithoscope.volume.store import storage_errors

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


def spot_check_place(scan: "Scan", result: str) -> Path:
    """Where the spot check of a result is kept."""
    return scan.sidecar / "spotchecks" / f"{result}.json"


def table_place(scan: "Scan", result: str) -> Path:
    """Where the table of a result's grains is kept; the sizes and a JSON file lie beside it."""
    return scan.sidecar / "tables" / f"{result}.csv"


def companions(scan: "Scan", result: str) -> list[Path]:
    """The files that may be there for a result of this name."""
    table = table_place(scan, result)
    return [spot_check_place(scan, result), table, table.with_name(f"{result}-sizes.csv"), table.with_name(f"{result}.json")]


def rename_companions(scan: "Scan", old: str, new: str) -> None:
    """Have them follow a result to its new name; what an older result of that name left is dropped."""
    for source, target in zip(companions(scan, old), companions(scan, new), strict=True):
        with storage_errors(target):
            if source.exists():
                source.replace(target)
            elif not (target.exists() and target.name.casefold() == source.name.casefold()):
                target.unlink(missing_ok=True)


def delete_companions(scan: "Scan", result: str) -> None:
    """Remove them."""
    for file in companions(scan, result):
        with storage_errors(file):
            file.unlink(missing_ok=True)
