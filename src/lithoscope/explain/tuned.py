"""Which fine-tuned copies of a backbone a scan has: models taught with adapters, and those that made its results."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


def tuned_models(scan: "Scan", backbone: str | None = None) -> list[tuple[str, Path]]:
    """Names and folders of models whose backbone was fine-tuned; of one backbone, if it is named."""
    from lithoscope.errors import LithoscopeError
    from lithoscope.labels.results import open_result

    found = [(path.name, path) for path in sorted((scan.sidecar / "models").glob("*")) if _tuned(path, backbone)]
    for name in scan.results():
        try:
            folder = scan.sidecar / "runs" / open_result(scan, name).record.uuid / "model"
        except LithoscopeError:
            continue
        if _tuned(folder, backbone):
            found.append((name, folder))
    return found


def _tuned(folder: Path, backbone: str | None) -> bool:
    try:
        given = json.loads((folder / "model.json").read_text(encoding="utf-8")).get("parameters", {})
    except (OSError, ValueError, AttributeError):
        return False
    return given.get("tuning") == "lora" and backbone in (None, given.get("backbone"))
