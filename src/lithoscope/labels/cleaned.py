"""Which cleanings are among the corrections of a result: noted beside them, and told by the records of what is made from it."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lithoscope.labels.results import corrections_folder
from lithoscope.record import now, versions
from lithoscope.volume.store import write_json

if TYPE_CHECKING:
    from lithoscope.labels.corrections import Corrected
    from lithoscope.volume.scan import Scan

NAME = "cleaned.json"


def note(scan: "Scan", result: str, labels: "Corrected", steps: Sequence[str], changed: int) -> None:
    """Remember that the newest stroke of the corrections is a cleaning by these steps."""
    entry = {"steps": list(steps), "changed": changed, "stroke": labels.store.newest, "created": now(), "versions": dict(versions())}
    write_json(corrections_folder(scan, result) / NAME, {"cleanings": [*_read(scan, result), entry]})


def cleanings(scan: "Scan", result: str, labels: "Corrected") -> list[dict[str, Any]]:
    """The cleanings that stand, oldest first; those that were undone are left out."""
    return [{k: v for k, v in entry.items() if k != "stroke"} for entry in _read(scan, result) if labels.store.stands(entry["stroke"])]


def _read(scan: "Scan", result: str) -> list[dict[str, Any]]:
    try:
        found = json.loads((corrections_folder(scan, result) / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [entry for entry in found.get("cleanings", []) if isinstance(entry, dict) and isinstance(entry.get("stroke"), int)]
