"""A spot check: random voxels of each class that a person names, and what follows for accuracy and fractions, without bias.

Strokes lie where painting is easy, so scores on them flatter. Here places are drawn at random within each class of the result, as many
as its share asks for, and the estimates weigh each class by its share: Olofsson et al., Remote Sensing of Environment 148 (2014), 42-57.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.blocks import Array3D, blocks, read
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

CONFIDENCE = 0.95
FEWEST = 25
"""Places of even the rarest class, where there are enough voxels: with fewer no interval is worth anything."""


@dataclass(frozen=True, slots=True)
class Place:
    """A voxel (z, y, x) to be named, and the class that the result gives it."""

    at: Triple
    mapped: int


@dataclass(frozen=True, slots=True)
class Draw:
    """The places to look at, in random order, and how many voxels each class of the result has."""

    places: tuple[Place, ...]
    voxels: dict[int, int]

    def to_json(self) -> dict[str, Any]:
        return {"places": [[*p.at, p.mapped] for p in self.places], "voxels": {str(id): n for id, n in self.voxels.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Draw":
        """The draw that `to_json` wrote."""
        places = tuple(Place((int(z), int(y), int(x)), int(id)) for z, y, x, id in data["places"])
        return cls(places, {int(id): int(n) for id, n in data["voxels"].items()})


def draw_places(
    labels: Array3D, count: int, edge: Triple, *, ids: Sequence[int] | None = None, seed: int = 0, report: Report = silent
) -> Draw:
    """Draw `count` voxels of a label volume (z, y, x): in each class by its share, but at least `FEWEST`; every one at most once.

    The labels are read twice, block by block: once to count, once to find the voxels that were drawn by their rank in the class.
    """
    if count < 2:
        raise InputError(f"{count} places say nothing; draw at least 50")
    todo = blocks(Box.whole(labels.shape), edge)
    counts = np.zeros((len(todo), 256), np.int64)
    for done, box in enumerate(todo):
        report(Progress(done, 2 * len(todo), "counting classes"))
        counts[done] = np.bincount(np.asarray(read(labels, box), np.uint8).reshape(-1), minlength=256)
    totals = counts.sum(axis=0)
    known = [id for id in (range(1, 255) if ids is None else ids) if totals[id]]
    if not known:
        raise InputError("no voxel within the field of view has a class; there is nothing to check")
    rng = np.random.default_rng(seed)
    sizes = shares([int(totals[id]) for id in known], count)
    ranks = {id: np.sort(_distinct(rng, int(totals[id]), n)) for id, n in zip(known, sizes, strict=True)}
    before = np.zeros(256, np.int64)
    places: list[Place] = []
    for done, box in enumerate(todo):
        report(Progress(len(todo) + done, 2 * len(todo), "drawing places"))
        here = {id: r[(r >= before[id]) & (r < before[id] + counts[done, id])] - before[id] for id, r in ranks.items()}
        if any(r.size for r in here.values()):
            block = np.asarray(read(labels, box), np.uint8).reshape(-1)
            for id, within in here.items():
                if within.size:
                    found = np.unravel_index(np.flatnonzero(block == id)[within], box.shape)
                    for z, y, x in zip(*(axis + a for axis, a in zip(found, box.start, strict=True)), strict=True):
                        places.append(Place((int(z), int(y), int(x)), id))
        before += counts[done]
    return Draw(tuple(places[i] for i in rng.permutation(len(places))), {id: int(totals[id]) for id in known})


def shares(voxels: Sequence[int], count: int) -> list[int]:
    """How many places each class gets: by its voxels, at least `FEWEST` or an equal part of too few, never more than it has.

    Two at least, where it has them: with fewer there would be no estimate, whatever is named.
    """
    least = min(FEWEST, count // len(voxels))
    wanted = [max(least, round(count * n / sum(voxels))) for n in voxels]
    while sum(wanted) > max(count, least * len(voxels)):
        wanted[int(np.argmax(wanted))] -= 1
    return [min(max(2, w), n) for w, n in zip(wanted, voxels, strict=True)]


def _distinct(rng: np.random.Generator, total: int, count: int) -> npt.NDArray[np.int64]:
    """`count` different numbers below `total`, without listing them all."""
    if total < 4 * count:
        return rng.permutation(total)[:count]
    found: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    while found.size < count:
        more = np.concatenate([found, rng.integers(0, total, count)])
        found = more[np.sort(np.unique(more, return_index=True)[1])][:count]
    return found


@dataclass(frozen=True, slots=True)
class Estimate:
    """A part of the whole, 0 to 1, with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, variance: float) -> "Estimate":
        """The estimate with this variance, cut at 0 and 1."""
        half = 1.959964 * float(np.sqrt(max(variance, 0.0)))
        return cls(value, max(0.0, value - half), min(1.0, value + half))

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a spot check says: overall accuracy, and the true fraction of each class beside the fraction in the result."""

    accuracy: Estimate
    fractions: dict[int, Estimate]
    mapped: dict[int, float]
    named: int

    def to_json(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy.to_json(),
            "fractions": {str(id): {**e.to_json(), "mapped": self.mapped.get(id, 0.0)} for id, e in self.fractions.items()},
            "named": self.named,
            "confidence": CONFIDENCE,
            "covers": "the errors of the segmentation as far as the places show them; not what another part of the material would give",
        }


def checked(voxels: Mapping[int, int], named: Sequence[tuple[int, int]]) -> Checked:
    """The estimates from what was named so far: pairs (class in the result, class that a person saw), and the voxels of each class.

    A class of whose places fewer than two were named leaves its part of the volume unknown, and is refused, unless that is all of it.
    Where all places of a class were named alike, one more of each class is counted half, so that no interval shrinks to nothing.
    """
    total = sum(voxels.values())
    strata = [id for id, n in voxels.items() if n]
    counts = {id: [true for mapped, true in named if mapped == id] for id in strata}
    bare = [id for id in strata if len(counts[id]) < min(2, voxels[id])]
    if bare:
        raise InputError(f"name at least two places of class {', '.join(map(str, bare))}; there is no estimate before")
    ids = sorted({*strata, *(true for _, true in named)})
    fractions: dict[int, Estimate] = {}
    accuracy, accuracy_variance = 0.0, 0.0
    for id in strata:
        share, right, n = voxels[id] / total, counts[id].count(id) / len(counts[id]), len(counts[id])
        accuracy += share * right
        accuracy_variance += share**2 * _variance(right, n, voxels[id])
    for id in ids:
        value = variance = 0.0
        for stratum in strata:
            share, n = voxels[stratum] / total, len(counts[stratum])
            part = counts[stratum].count(id) / n
            value += share * part
            variance += share**2 * _variance(part, n, voxels[stratum])
        fractions[id] = Estimate.of(value, variance)
    return Checked(Estimate.of(accuracy, accuracy_variance), fractions, {id: n / total for id, n in voxels.items()}, len(named))


def _variance(part: float, n: int, voxels: int) -> float:
    """The variance of a part seen in `n` places; a part of 0 or 1 is moved in by half a place, for its variance alone.

    Where every one of the `voxels` was named nothing is left to chance.
    """
    if n >= voxels:
        return 0.0
    moved = min(max(part, 0.5 / (n + 1)), 1 - 0.5 / (n + 1))
    return moved * (1 - moved) / (n - 1)


def draw(scan: "Scan", result: str, count: int = 200, *, seed: int = 0, report: Report = silent) -> Draw:
    """Places of a result as corrected, within the field of view."""
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.in_view import InView

    with corrected(scan, result, readonly=True) as labels:
        return draw_places(InView(labels, scan.field_of_view), count, scan.shard, seed=seed, report=report)
