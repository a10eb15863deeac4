"""Bruker (SkyScan) reconstructions: what the `.log` beside a folder's slices says of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError
from lithoscope.volume.voxel import Voxel

LONGEST = 1 << 20
_PREVIEW = re.compile(r"(_spr|~)$", re.IGNORECASE)
_UNIT = re.compile(r"\(([^)]+)\)\s*$")


@dataclass(frozen=True, slots=True)
class BrukerLog:
    """What a log says: the first part of its slices' names, voxel size, and energy, sample and filter."""

    prefix: str
    voxel: Voxel | None
    metadata: dict[str, Any] = field(default_factory=dict)


def find_log(folder: Path) -> BrukerLog | None:
    """The log of the reconstruction in a folder, or None."""
    for file in sorted(folder.glob("*.log"), key=lambda f: (not f.stem.lower().endswith("_rec"), f.name)):
        found = read_log(file)
        if found is not None:
            return found
    return None


def read_log(file: Path) -> BrukerLog | None:
    """What a log says, or None if it is not Bruker's."""
    said: dict[str, str] = {}
    for line in file.read_bytes()[:LONGEST].decode("latin-1").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            said[key.strip().lower()] = value.strip()
    if not any(key.startswith(("pixel size", "image pixel size", "source voltage")) for key in said):
        return None
    metadata: dict[str, Any] = {"log": file.name}
    for name, start, unit in (("energy", "source voltage", "kV"), ("current", "source current", "µA"), ("filter", "filter", "")):
        value = next((v for k, v in said.items() if k == start or k.startswith(start + " (")), "")
        if value:
            metadata[name] = f"{value} {unit}".strip()
    for name, key in (("sample", "sample name"), ("sample", "dataset prefix"), ("sample", "filename prefix"), ("device", "scanner")):
        if said.get(key):
            metadata.setdefault(name, said[key])
    return BrukerLog(said.get("dataset prefix") or said.get("filename prefix") or "", _voxel(said), metadata)


def _voxel(said: dict[str, str]) -> Voxel | None:
    """The reconstruction's own pixel size, else the camera's; slices may lie further apart than that."""
    for start in ("pixel size", "image pixel size"):
        for key, value in said.items():
            if key.startswith(start) and (size := _number(value)) > 0:
                unit = _UNIT.search(key)
                between = _number(next((v for k, v in said.items() if k.startswith("section to section step")), "1")) or 1.0
                try:
                    return Voxel((size * between, size, size), unit[1] if unit else "um")
                except InputError:
                    return None
    return None


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return 0.0


def without_previews(files: Sequence[Path], log: BrukerLog) -> list[Path]:
    """The slices of the log's own series: previews (`…_spr.bmp`) and other series left out."""
    slices = [f for f in files if not _PREVIEW.search(f.stem)]
    own = [f for f in slices if log.prefix and f.stem.startswith(log.prefix)]
    return own or slices
