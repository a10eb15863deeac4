"""Numbered grains measured: volume, equivalent diameter, surface, sphericity, contacts, and how the sizes are distributed."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels.atomic import write_whole
from lithoscope.measure.surface import DIRECTIONS, direction_weights
from lithoscope.volume.blocks import Array3D, blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.store import storage_errors, write_json

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

BINS = 24
"""Bins of the size distribution, of equal width in the logarithm of the diameter."""
_RAYS = 20_000
_LENGTHS = (("volume", "3"), ("equivalent_diameter", ""), ("surface", "2"))


@dataclass(frozen=True, slots=True, eq=False)
class GrainTable:
    """What was measured of grains 1 … n, an entry each; lengths are in `unit`, which is the voxel's edge where no size is known.

    `centre` (n, 3) is in voxels of the scan, `contacts` counts the grains that share a face with a voxel of it, and `cut` marks those
    that reach a face of the scan or of its field of view: they are larger than what was measured.
    """

    unit: str
    voxels: Numbers
    volume: Floats
    diameter: Floats
    surface: Floats
    sphericity: Floats
    contacts: Numbers
    cut: npt.NDArray[np.bool_]
    centre: Floats

    def __len__(self) -> int:
        return len(self.voxels)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One grain a row."""
        u = self.unit
        for i in range(len(self)):
            z, y, x = self.centre[i].tolist()
            yield {
                "grain": i + 1,
                "voxels": int(self.voxels[i]),
                f"volume_{u}3": round(float(self.volume[i]), 6),
                f"equivalent_diameter_{u}": round(float(self.diameter[i]), 6),
                f"surface_{u}2": round(float(self.surface[i]), 6),
                "sphericity": round(float(self.sphericity[i]), 4),
                "contacts": int(self.contacts[i]),
                "cut": int(self.cut[i]),
                "z": round(z, 2),
                "y": round(y, 2),
                "x": round(x, 2),
            }

    def distribution(self) -> list[dict[str, float]]:
        """The grains and their share of the volume by equivalent diameter, and the share of all that is smaller than the bin's end."""
        low, high = float(self.diameter.min()), float(self.diameter.max())
        edges = np.geomspace(low, max(high, low * 1.001), BINS + 1)
        at = np.clip(np.searchsorted(edges, self.diameter, side="right") - 1, 0, BINS - 1)
        share = np.bincount(at, self.volume, BINS) / self.volume.sum()
        counts = np.bincount(at, minlength=BINS)
        return [
            {"from": float(a), "to": float(b), "grains": int(n), "volume_fraction": float(v), "below": float(c)}
            for a, b, n, v, c in zip(edges, edges[1:], counts, share, np.cumsum(share), strict=False)
        ]

    def summary(self) -> dict[str, Any]:
        """The whole in a few numbers: d10, d50 and d90 are of all by volume, as sieves give them; means leave out the cut ones."""
        whole = ~self.cut if not self.cut.all() else self.cut
        order = np.argsort(self.diameter)
        below = np.cumsum(self.volume[order]) / self.volume.sum()
        at = {f"d{q}": float(self.diameter[order][np.searchsorted(below, q / 100 - 1e-12)]) for q in (10, 50, 90)}
        return {
            "grains": len(self),
            "cut": int(self.cut.sum()),
            "unit": self.unit,
            "mean_diameter": float(self.diameter[whole].mean()),
            **at,
            "mean_sphericity": float(self.sphericity[whole].mean()),
            "mean_contacts": float(self.contacts[whole].mean()),
        }


def measure_grains(
    numbers: Array3D, count: int, frame: Box, edge: Triple, *, size: tuple[float, float, float] | None = None, unit: str = "voxel",
    outside: Any = None, flat: bool = False, report: Report = silent,
) -> GrainTable:  # fmt: skip
    """Measure grains 1 … count of a volume (z, y, x), a block at a time; `outside(box)` marks what lies beyond the field of view.

    With `flat`, as in a frame of one slice, slices are not connected: grains of two of them do not touch, and the first and the last
    one cut none. Diameters are then those of circles of the same area, surfaces those of the outlines alone, and sphericity is the
    circle's outline over theirs.
    """
    flat = flat or frame.shape[0] == 1
    spacing = (1.0, 1.0, 1.0) if size is None else size
    voxels = np.zeros(count + 1, np.int64)
    sums = np.zeros((3, count + 1))
    cuts = np.zeros(count + 1, np.bool_)
    crossings = np.zeros((len(DIRECTIONS), count + 1), np.int64)
    found: list[Numbers] = []
    todo = blocks(frame, edge)
    for done, box in enumerate(todo):
        report(Progress(done, len(todo), "measuring grains"))
        grown = box.grow((1, 1, 1)).intersect(frame)
        block = np.asarray(numbers[grown.slices], np.int64)
        at = box.within(grown)
        core = block[at.slices]
        voxels += np.bincount(core.reshape(-1), minlength=count + 1)
        for axis, along in enumerate(np.ogrid[box.slices]):
            sums[axis] += np.bincount(core.reshape(-1), np.broadcast_to(along, core.shape).reshape(-1), count + 1)
        cuts[_at_frame(core, box, frame, flat)] = True
        if outside is not None and (beyond := outside(grown)) is not None:
            cuts[np.unique(block[_beside(beyond, flat)])] = True
        for number, direction in enumerate(DIRECTIONS):
            if flat and direction[0]:
                continue
            a, b = _neighbours(block, at, direction)
            differs = a != b
            first, second = a[differs], b[differs]
            crossings[number] += np.bincount(first, minlength=count + 1) + np.bincount(second, minlength=count + 1)
            if sum(map(abs, direction)) == 1:
                both = (first > 0) & (second > 0)
                keys = np.minimum(first[both], second[both]) * (count + 1) + np.maximum(first[both], second[both])
                found.append(np.unique(keys))
        if sum(map(len, found)) > 4_000_000:
            found = [np.unique(np.concatenate(found))]
    touching = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    pairs = np.stack([touching // (count + 1), touching % (count + 1)])
    contacts = np.bincount(pairs.reshape(-1), minlength=count + 1)
    volume = voxels * np.float64(np.prod(spacing))
    surface = _outline(crossings, spacing) if flat else _surface(crossings, spacing)
    kept = slice(1, None)
    diameter = np.asarray(np.sqrt(4 * volume / spacing[0] / np.pi) if flat else np.cbrt(6 * volume / np.pi), np.float64)
    ideal = np.pi * diameter[kept] * spacing[0] if flat else np.pi * diameter[kept] ** 2
    sphericity = ideal / np.maximum(surface[kept], 1e-300)
    centre = (sums / np.maximum(voxels, 1))[:, kept].T
    return GrainTable(
        unit, voxels[kept], volume[kept], diameter[kept], surface[kept], sphericity, contacts[kept].astype(np.int64), cuts[kept], centre
    )


def _neighbours(block: Numbers, core: Box, direction: Triple) -> tuple[Numbers, Numbers]:
    """The core against what lies beside it in a direction, each pair once: what lies before it is another core's."""
    first, second = [], []
    for by, a, b, n in zip(direction, core.start, core.stop, block.shape, strict=True):
        low, high = max(a, -by), min(b, n - by)
        first.append(slice(low, high))
        second.append(slice(low + by, high + by))
    return block[tuple(first)], block[tuple(second)]


def _at_frame(core: Numbers, box: Box, frame: Box, flat: bool) -> Numbers:
    found = [np.zeros(1, np.int64)]
    for axis in range(int(flat), 3):
        for side, (a, b) in enumerate(((box.start, frame.start), (box.stop, frame.stop))):
            if a[axis] == b[axis] and frame.shape[axis] > 1:
                found.append(np.unique(np.take(core, -side, axis)))
    return np.unique(np.concatenate(found))


def _beside(outside: npt.NDArray[np.bool_], flat: bool) -> npt.NDArray[np.bool_]:
    """The voxels (z, y, x) that share a face with one outside."""
    beside = np.zeros(outside.shape, np.bool_)
    for axis in range(int(flat), 3):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        beside[low] |= outside[high]
        beside[high] |= outside[low]
    return beside


def _surface(crossings: Numbers, spacing: tuple[float, float, float]) -> Floats:
    """Crofton's formula: the surface from how often lines in 13 directions cross it, each weighted by the part of the sphere it stands for.

    A line of direction k stands for an area of voxel volume / length of its step, and a convex body of surface S is crossed by
    lines through an area of S / 4, twice each.
    """
    steps = np.array(DIRECTIONS) * np.array(spacing)
    lengths = np.linalg.norm(steps, axis=1)
    units = steps / lengths[:, None]
    height = (np.arange(_RAYS) + 0.5) / _RAYS
    angle = np.arange(_RAYS) * np.pi * (3 - np.sqrt(5))
    ring = np.sqrt(1 - height**2)
    rays = np.stack([height, ring * np.cos(angle), ring * np.sin(angle)], axis=1)
    nearest = np.abs(rays @ units.T).argmax(axis=1)
    weights = np.bincount(nearest, minlength=len(units)) / _RAYS
    areas = float(np.prod(spacing)) / lengths
    surface: Floats = 2 * (weights * areas) @ crossings
    return surface


def _outline(crossings: Numbers, spacing: tuple[float, float, float]) -> Floats:
    """The same in a slice: outlines times its thickness, from how often lines in its four directions cross them."""
    lengths = np.linalg.norm(np.array(DIRECTIONS) * np.array(spacing), axis=1)
    surface: Floats = np.pi / 2 * (direction_weights(spacing, flat=True) * float(np.prod(spacing)) / lengths) @ crossings
    return surface


def grains_of(scan: "Scan", result: str, *, report: Report = silent) -> GrainTable:
    """The grains of a separated result, measured in the scan's unit."""
    from lithoscope.labels.clean import frame_of
    from lithoscope.labels.results import open_result

    found = open_result(scan, result)
    if not found.numbered:
        raise InputError(f"{result} holds classes, not numbered grains; separate them first: lithoscope separate {scan.path} {result}")
    view = scan.field_of_view

    def outside(box: Box) -> npt.NDArray[np.bool_] | None:
        inside = None if view is None else view.inside(box)
        return None if inside is None else ~inside

    return measure_grains(
        found.array,
        int(found.record.learnt["grains"]),
        frame_of(scan, found.box),
        scan.shard,
        size=None if scan.voxel is None else scan.voxel.size,
        unit="voxel" if scan.voxel is None else scan.voxel.symbol,
        outside=outside,
        flat=scan.separate_slices,
        report=report,
    )


def grain_files(target: Path) -> tuple[Path, Path, Path]:
    """The table, the sizes and the JSON that `save_grains` writes for a target."""
    return target.with_suffix(".csv"), target.with_name(f"{target.stem}-sizes.csv"), target.with_suffix(".json")


def save_grains(table: GrainTable, target: Path) -> list[Path]:
    """Write `grains.csv`, `grains-sizes.csv` and `grains.json` beside one another, after the name of `target`; gives their paths."""
    plain, sizes, about = grain_files(target)
    _write_csv(plain, list(table.rows()))
    _write_csv(sizes, table.distribution())
    write_json(about, {"summary": table.summary(), "sizes": table.distribution(), "grains": list(table.rows())})
    return [plain, sizes, about]


def load_grains(table: Path) -> GrainTable:
    """The grains of a table that `save_grains` wrote.

    Raises:
        UnreadableError: it is not one.
    """
    try:
        with table.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
        found = dict(zip(head, np.array(rows, np.float64).reshape(-1, len(head)).T, strict=True))
        unit = next(name for name in head if name.startswith("volume_")).removeprefix("volume_").removesuffix("3")
        whole = {name: found[name].astype(np.int64) for name in ("voxels", "contacts")}
        volume, diameter, surface = (found[f"{name}_{unit}{power}"] for name, power in _LENGTHS)
        centre = np.stack([found[axis] for axis in "zyx"], axis=1)
        cut = found["cut"] > 0
        return GrainTable(unit, whole["voxels"], volume, diameter, surface, found["sphericity"], whole["contacts"], cut, centre)
    except (KeyError, StopIteration, ValueError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{table} is not a table of grains, or is damaged; separate the grains again") from error


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        held = io.StringIO(newline="")
        writer = csv.DictWriter(held, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_whole(path, held.getvalue().encode())
