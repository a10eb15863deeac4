"""Patches drawn from scans, each with its vector, its place and what is known of it: what a map of embeddings is made of."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.explain.place import plane_box
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.blocks import read
from lithoscope.volume.store import storage_errors

if TYPE_CHECKING:
    from lithoscope.explain.plane_tokens import PlaneTokens
    from lithoscope.volume.scan import Scan

PLANES = 12
"""Planes that patches are drawn from in each scan."""
NOBODY = "–"
"""The class of a patch that no result says anything of."""
SAMPLE = 12
"""A sample is so many tokens along each side, taken together."""


@dataclass(frozen=True, eq=False)
class Points:
    """Patches: `vectors` (n, channels), `places` (n, 3) voxels (z, y, x), the `axis` (n,) across which each was seen, the number of
    its `scan` (n,) among `scans`, and `columns` of words or numbers by name, "scan" and perhaps "class" among them. `uuids` are
    the scans' own, in the same order; a map that was kept without them has none."""

    vectors: npt.NDArray[np.float32]
    places: npt.NDArray[np.int64]
    axis: npt.NDArray[np.int64]
    scan: npt.NDArray[np.int64]
    scans: tuple[str, ...]
    columns: Mapping[str, list[Any]]
    uuids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)

    def number_of(self, scan: "Scan") -> int | None:
        """Which of the scans this one is, or None; two scans of one name in different folders are two."""
        known, own = (self.uuids, scan.uuid) if self.uuids else (self.scans, scan.name)
        return known.index(own) if own in known else None


def draw(
    sources: Sequence["PlaneTokens"],
    count: int = 3000,
    *,
    axis: int = 0,
    result: str | None = None,
    samples: bool = False,
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    report: Report = silent,
) -> Points:
    """Up to `count` patches spread over planes of the scans, alike from each; with `samples`, squares of 12 × 12 tokens taken together.

    The class of a patch is what most of its voxels are in `result`. Patches outside the field of view are left out. `metadata`
    gives columns by the name of a scan.
    """
    rng = np.random.default_rng(seed)
    vectors, places, numbers, classes = [], [], [], []
    for number, source in enumerate(sources):
        share = count // len(sources) + (number < count % len(sources))
        planes = sorted({int((i + 0.5) * source.scan.shape[axis] / PLANES) for i in range(PLANES)})
        for done, index in enumerate(planes):
            report(Progress(number * PLANES + done, len(sources) * PLANES, f"patches of {source.scan.name}"))
            wanted = share // len(planes) + (done < share % len(planes))
            found, cells = _vectors(source, axis, index, samples)
            place = source.place(axis, index)
            side = place.pitch * (SAMPLE if samples else 1)
            at = np.array([place.voxel(_middle(cell, samples)) for cell in cells]).reshape(-1, 3)
            at = np.minimum(at, np.array(source.scan.shape) - 1)
            inside = source.scan.inside(plane_box(axis, index, source.scan.shape))
            there = np.arange(len(at)) if inside is None else np.flatnonzero(_picked(inside, at, axis))
            chosen = np.sort(rng.choice(there, min(wanted, len(there)), replace=False)) if len(there) else there
            vectors.append(found[chosen])
            places.append(at[chosen])
            numbers.append(np.full(len(chosen), number))
            classes += _classes(source, result, axis, index, at[chosen], side)
    columns: dict[str, list[Any]] = {"scan": [sources[n].scan.name for part in numbers for n in part]}
    if result is not None:
        columns["class"] = classes
    for name in dict.fromkeys(key for row in (metadata or {}).values() for key in row):
        columns[name] = [(metadata or {}).get(scan, {}).get(name, "") for scan in columns["scan"]]
    made = np.concatenate(vectors).astype(np.float32)
    if len(made) < 3:
        raise InputError(f"only {len(made)} patches lie in the field of view; a map wants at least three")
    names = tuple(source.scan.name for source in sources)
    whole = np.concatenate(numbers)
    uuids = tuple(source.scan.uuid for source in sources)
    return Points(made, np.concatenate(places).astype(np.int64), np.full(len(made), axis), whole, names, columns, uuids)


def _vectors(source: "PlaneTokens", axis: int, index: int, samples: bool) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Vectors (n, channels) of a plane and their cells (n, 2): of every token, or the mean and spread of squares of them."""
    tokens = source.of(axis, index).astype(np.float32)
    rows, columns, width = tokens.shape
    if not samples:
        return tokens.reshape(-1, width), np.argwhere(np.ones((rows, columns), np.bool_))
    high, wide = max(1, rows // SAMPLE), max(1, columns // SAMPLE)
    edge = (min(SAMPLE, rows), min(SAMPLE, columns))
    cut = tokens[: high * edge[0], : wide * edge[1]].reshape(high, edge[0], wide, edge[1], width)
    both = np.concatenate([cut.mean((1, 3)), cut.std((1, 3))], -1)
    return both.reshape(-1, 2 * width), np.argwhere(np.ones((high, wide), np.bool_)) * edge


def _middle(cell: npt.NDArray[np.int64], samples: bool) -> tuple[int, int]:
    shift = SAMPLE // 2 if samples else 0
    return (int(cell[0]) + shift, int(cell[1]) + shift)


def _picked(inside: npt.NDArray[np.bool_], at: npt.NDArray[np.int64], axis: int) -> npt.NDArray[np.bool_]:
    plane = np.squeeze(inside, axis)
    a, b = (at[:, n] for n in range(3) if n != axis)
    found: npt.NDArray[np.bool_] = plane[a, b]
    return found


def _classes(source: "PlaneTokens", result: str | None, axis: int, index: int, at: npt.NDArray[np.int64], side: float) -> list[str]:
    """What most voxels of each patch are."""
    if result is None:
        return []
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    names = {c.id: c.name for c in open_result(source.scan, result).classes}
    with corrected(source.scan, result, readonly=True) as labels:
        plane = np.squeeze(read(labels, plane_box(axis, index, source.scan.shape)), axis)
    half, made = max(1, int(side // 2)), []
    along = [n for n in range(3) if n != axis]
    for row in at:
        y, x = (int(row[a]) for a in along)
        part = plane[max(0, y - half) : y + half, max(0, x - half) : x + half]
        counts = np.bincount(part.ravel(), minlength=2)
        counts[0] = 0
        made.append(names.get(int(counts.argmax()), NOBODY) if counts.any() else NOBODY)
    return made


def metadata_of(path: Path) -> dict[str, dict[str, Any]]:
    """Columns by scan from a CSV whose column "scan" names it; numbers are taken as numbers."""
    if not path.is_file():
        raise MissingError(f"there is no table {path}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "scan" not in rows[0]:
        raise UnreadableError(f"{path} has no column named scan; its first row must name the columns")
    return {
        Path(row["scan"]).name.removesuffix(".zarr").removesuffix(".ome"): {k: _number(v) for k, v in row.items() if k and k != "scan"}
        for row in rows
    }


def _number(text: str | None) -> Any:
    try:
        return float(text or "")
    except ValueError:
        return text or ""


@dataclass(frozen=True, eq=False)
class Map:
    """Points in the plane: `at` (n, 2), made by a `method`; `notes` say how well."""

    points: Points
    at: npt.NDArray[np.float32]
    method: str
    notes: tuple[str, ...] = ()

    def save(self, path: Path) -> Path:
        """Keep the map with its vectors, as plain tensors and JSON, to be looked at again."""
        from safetensors.numpy import save_file

        p = self.points
        tensors = {"vectors": p.vectors.astype(np.float16), "places": p.places, "axis": p.axis, "scan": p.scan, "at": self.at}
        about = {
            "scans": json.dumps(p.scans),
            "uuids": json.dumps(p.uuids),
            "columns": json.dumps(dict(p.columns)),
            "method": self.method,
            "notes": json.dumps(self.notes),
        }
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(path.name + ".draft")
            save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, draft, metadata=about)
            draft.replace(path)
        return path

    @classmethod
    def load(cls, path: Path) -> "Map":
        """A map that was kept."""
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise MissingError(f"there is no map at {path}; draw it again")
        try:
            with safe_open(path, framework="np") as file:
                about = file.metadata()
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as error:
            raise UnreadableError(f"{path} is no map, or is damaged; draw it again") from error
        columns, scans = json.loads(about["columns"]), tuple(json.loads(about["scans"]))
        uuids = tuple(json.loads(about.get("uuids", "[]")))
        points = Points(found["vectors"].astype(np.float32), found["places"], found["axis"], found["scan"], scans, columns, uuids)
        return cls(points, found["at"], about["method"], tuple(json.loads(about["notes"])))

    def table(self, path: Path) -> Path:
        """Write the map as CSV: a row a point."""
        p = self.points
        with storage_errors(path), path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["map_x", "map_y", "z", "y", "x", *p.columns])
            for number, (at, place) in enumerate(zip(self.at, p.places, strict=True)):
                writer.writerow(
                    [f"{at[0]:.5g}", f"{at[1]:.5g}", *(int(v) for v in place), *(column[number] for column in p.columns.values())]
                )
        return path
