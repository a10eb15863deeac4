"""The folder beside a scan that holds what people and methods said of it, and what was counted: `berea.lithoscope`."""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from lithoscope.errors import NewerSchemaError, UnreadableError
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.store import storage_errors, write_json

SCHEMA = 1
"""The version of the sidecar's and of the scan's own metadata that this code writes."""

STATE = "scan.json"


def sidecar_of(scan: Path) -> Path:
    """Where the sidecar of a scan lies: beside it, or in the person's data folder where nothing can be written beside it."""
    beside = scan.with_name(scan.name.removesuffix(".zarr").removesuffix(".ome") + ".lithoscope")
    if beside.exists() or os.access(scan.parent, os.W_OK):
        return beside
    import platformdirs

    place = hashlib.sha256(str(scan.resolve()).encode()).hexdigest()[:12]
    return Path(platformdirs.user_data_dir("lithoscope", appauthor=False)) / "scans" / f"{beside.stem}-{place}.lithoscope"


def read_state(sidecar: Path) -> dict[str, Any]:
    """What the sidecar remembers of its scan; empty when there is none yet."""
    try:
        text = (sidecar / STATE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        state: dict[str, Any] = json.loads(text)
    except ValueError:
        raise UnreadableError(f"{sidecar / STATE} is damaged; move it aside, and the scan is counted again") from None
    check_schema(state, sidecar)
    return state


def write_state(sidecar: Path, state: dict[str, Any]) -> None:
    """Remember the state of a scan."""
    write_json(sidecar / STATE, {"schema": SCHEMA, **state})


def check_schema(data: dict[str, Any], path: Path) -> None:
    """Refuse what a newer Lithoscope wrote."""
    schema = data.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise NewerSchemaError(f"{path} is of schema {schema}, this Lithoscope reads up to {SCHEMA}; update it: pip install -U lithoscope")


def save_histogram(path: Path, histogram: Histogram) -> None:
    """Write a histogram as plain arrays; a crash leaves the old file or the new one."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.stem + ".draft.npz")
        facts = np.array([histogram.exact, histogram.minimum, histogram.maximum, histogram.nan, histogram.infinite], np.float64)
        np.savez_compressed(draft, counts=histogram.counts, values=histogram.values, upper=histogram.upper, facts=facts)
        draft.replace(path)


def load_histogram(path: Path) -> Histogram | None:
    """The histogram that was saved; None where there is none, or it is damaged: it is counted again then."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as saved:
            exact, minimum, maximum, nan, infinite = (float(v) for v in saved["facts"])
            return Histogram(saved["counts"], saved["values"], saved["upper"], bool(exact), minimum, maximum, int(nan), int(infinite))
    except (ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None
