"""Locality-sensitive hashing for directions, in both published families, with several tables and query-directed probes.

Hyperplane: a bit says on which side of a random plane a vector lies (Charikar 2002). Cross-polytope: the nearest of ±e_i after a
pseudo-random rotation (Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt 2015; FALCONN). A probe visits the bucket that a query
would nearly have fallen into; the most likely ones over all tables come first (Lv et al. 2007).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.rotations import Codes, Rotation, power_of_two
from lithoscope.retrieval.sketch import Sketch
from lithoscope.retrieval.vectors import Floats

_PIECE = 2_048
_NEAREST = 16
"""How many second choices of each hash function are thought of."""


@dataclass(frozen=True, slots=True)
class LshSettings:
    """So many tables of so many bits; `probes` buckets are visited in all; `rotations` are the turns of a pseudo-random rotation. The
    numbers are the published ones. `sketch`: so many bits a row tell what is worth an exact look; 0, as published: all of it is."""

    tables: int = 10
    bits: int = 20
    probes: int = 200
    rotations: int = 2
    sketch: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.tables <= 1000 and 2 <= self.bits <= 30 and self.rotations >= 1):
            raise InputError(f"{self.tables} tables of {self.bits} bits cannot be made; take 1 to 1000 tables of 2 to 30 bits")
        if self.probes < self.tables:
            raise InputError(f"{self.probes} probes do not reach {self.tables} tables; take at least one a table")
        if self.sketch < 0 or self.sketch % 64:
            raise InputError(f"no sketch can be made of {self.sketch} bits; take a multiple of 64, or 0 for none")


class Family(ABC):
    """How vectors are hashed in every table."""

    @abstractmethod
    def codes(self, vectors: Floats, table: int) -> Codes:
        """The bucket (n,) of each vector in one table."""

    @abstractmethod
    def probes(self, query: Floats, most: int) -> "Probes":
        """The buckets to visit for a query (width,), `most` in all tables together, the likeliest first."""


@dataclass(frozen=True, eq=False)
class Probes:
    """Buckets (n,): in which table, which, and what each costs: a query's own 0, less likely ones more."""

    tables: npt.NDArray[np.intp]
    codes: Codes
    costs: Floats


class Hyperplane(Family):
    """Signs of projections on random directions."""

    def __init__(self, width: int, settings: LshSettings) -> None:
        rng = np.random.default_rng(settings.seed)
        self.directions = rng.normal(size=(settings.tables, settings.bits, width)).astype(np.float32)
        self._powers = (1 << np.arange(settings.bits)).astype(np.uint32)

    def codes(self, vectors: Floats, table: int) -> Codes:
        made: Codes = ((vectors @ self.directions[table].T > 0) @ self._powers).astype(np.uint32)
        return made

    def probes(self, query: Floats, most: int) -> Probes:
        tables, bits, width = self.directions.shape
        margins = (self.directions.reshape(-1, width) @ query).reshape(tables, bits)
        own: Codes = ((margins > 0) @ self._powers).astype(np.uint32)
        order = np.argsort(np.abs(margins), axis=1)[:, :_NEAREST]
        cost = np.take_along_axis(margins, order, 1) ** 2
        count = min(order.shape[1], max(1, int(np.ceil(np.log2(4 * most / tables + 1))) + 3))
        sets = _subsets(count)
        # Every set of flips of the least sure bits, and single flips of the others.
        costs = np.concatenate([cost[:, :count] @ sets.T, cost[:, count:]], axis=1)
        table, which = np.divmod(best := _cheapest(costs.ravel(), most), costs.shape[1])
        flips = self._powers[order]
        several = which < len(sets)
        flipped = np.empty(len(best), np.uint32)
        flipped[several] = (sets[which[several]].astype(np.uint32) * flips[table[several], :count]).sum(1, dtype=np.uint32)
        flipped[~several] = flips[table[~several], count + which[~several] - len(sets)]
        return Probes(table, own[table] ^ flipped, costs.ravel()[best])


@cache
def _subsets(count: int) -> Floats:
    """All subsets of `count` things as ones and zeros (2 ** count, count), none of them first."""
    return ((np.arange(1 << count)[:, None] >> np.arange(count)) & 1).astype(np.float32)


class CrossPolytope(Family):
    """The nearest of ±e_i after a rotation, `functions` times; the last looks at `last` coordinates only, so that the bits come out."""

    def __init__(self, width: int, settings: LshSettings) -> None:
        rng = np.random.default_rng(settings.seed)
        bits = power_of_two(width).bit_length()  # of one function: which of 2 · dimensions directions
        self.functions = -(-settings.bits // bits)
        self.last = 1 << (settings.bits - (self.functions - 1) * bits - 1)
        self.dimensions = power_of_two(width)
        turns = [[Rotation.drawn(width, settings.rotations, rng) for _ in range(self.functions)] for _ in range(settings.tables)]
        self._turns = Rotation(np.stack([t.signs for own in turns for t in own], axis=1))
        # Worked out once as matrices: a product of matrices outruns the quick transform up to a thousand dimensions.
        self.matrices = [np.concatenate([t.matrix(width)[:, :n] for t, n in zip(own, self._sizes(), strict=True)], 1) for own in turns]

    def _sizes(self) -> list[int]:
        return [self.dimensions] * (self.functions - 1) + [self.last]

    def _turned(self, vectors: Floats, table: int) -> list[Floats]:
        """Vectors (n, width) by every function of a table: (n, its dimensions) each."""
        return np.split(vectors @ self.matrices[table], np.cumsum(self._sizes())[:-1], axis=1)

    def codes(self, vectors: Floats, table: int) -> Codes:
        made = np.zeros(len(vectors), np.uint32)
        for turned, size in zip(self._turned(vectors, table), self._sizes(), strict=True):
            at = np.abs(turned).argmax(1)
            negative = turned[np.arange(len(at)), at] < 0
            made = made * np.uint32(2 * size) + (at + negative * size).astype(np.uint32)
        return made

    def probes(self, query: Floats, most: int) -> Probes:
        tables = len(self.matrices)
        # One vector is turned by the quick transform: the matrices would have to be read as a whole.
        turned = self._turns(np.broadcast_to(query, (tables * self.functions, len(query)))).reshape(tables, self.functions, -1)
        each = max(4 * most // tables, 4 * _NEAREST)
        codes, costs = np.zeros((tables, 1), np.uint32), np.zeros((tables, 1), np.float32)
        for function, size in enumerate(self._sizes()):
            both = np.concatenate([turned[:, function, :size], -turned[:, function, :size]], axis=1)
            best = np.argpartition(-both, min(2 * size, _NEAREST) - 1, axis=1)[:, :_NEAREST]
            cost = (both.max(1, keepdims=True) - np.take_along_axis(both, best, 1)) ** 2
            codes = (codes[:, :, None] * np.uint32(2 * size) + best.astype(np.uint32)[:, None]).reshape(tables, -1)
            costs = (costs[:, :, None] + cost[:, None]).reshape(tables, -1)
            if costs.shape[1] > each:
                kept = np.argpartition(costs, each - 1, axis=1)[:, :each]
                codes, costs = np.take_along_axis(codes, kept, 1), np.take_along_axis(costs, kept, 1)
        best = _cheapest(costs.ravel(), most)
        return Probes(best // costs.shape[1], codes.ravel()[best], costs.ravel()[best])


def _cheapest(costs: Floats, most: int) -> npt.NDArray[np.intp]:
    """Where the least costs are, rising."""
    some = np.argpartition(costs, most - 1)[:most] if most < len(costs) else np.arange(len(costs))
    return some[np.argsort(costs[some], kind="stable")]


FAMILIES: dict[str, type[Hyperplane] | type[CrossPolytope]] = {"hyperplane": Hyperplane, "crosspolytope": CrossPolytope}


@dataclass(frozen=True, eq=False)
class LshIndex:
    """Vectors by bucket. `order` and `codes` (tables, n) are rows and their buckets, sorted by bucket; with a `sketch` the best of what
    the buckets hold are told from the others."""

    family: Family
    settings: LshSettings
    order: npt.NDArray[np.uint32]
    codes: Codes
    sketch: Sketch | None = None

    @classmethod
    def build(cls, name: str, vectors: Floats, settings: LshSettings, report: Report = silent) -> "LshIndex":
        """Hash all vectors (n, width) into every table."""
        family = FAMILIES[name](vectors.shape[1], settings)
        order, codes = (np.empty((settings.tables, len(vectors)), np.uint32) for _ in range(2))
        for table in range(settings.tables):
            report(Progress(table, settings.tables, f"hashing, table {table + 1}"))
            own = np.concatenate([family.codes(vectors[i : i + _PIECE], table) for i in range(0, len(vectors), _PIECE)])
            order[table] = np.argsort(own, kind="stable")
            codes[table] = own[order[table]]
        sketch = Sketch.of(vectors, settings.sketch, settings.seed) if settings.sketch else None
        return cls(family, settings, order, codes, sketch)

    @property
    def bytes(self) -> int:
        """How much memory the tables and the sketch take."""
        return self.order.nbytes + self.codes.nbytes + (0 if self.sketch is None else self.sketch.signs.nbytes)

    def candidates(self, query: Floats, count: int = 0) -> npt.NDArray[np.intp]:
        """The rows in the buckets that are visited for a query (width,); with a sketch, those about `count` of most promise."""
        from lithoscope.retrieval.compiled_rows import gathered

        probes = self.family.probes(query, self.settings.probes)
        places = np.empty((len(probes.codes), 3), np.intp)
        for table, codes in enumerate(self.codes):
            own = np.flatnonzero(probes.tables == table)
            visited = probes.codes[own].astype(np.uint32)
            edges = np.searchsorted(codes, np.concatenate([visited, visited + np.uint32(1)]))
            places[own] = np.stack([np.full(len(own), table), edges[: len(own)], edges[len(own) :]], axis=1)
        rows = gathered(self.order, places)
        return rows if self.sketch is None or not 0 < count < len(rows) else self.sketch.nearest(query, rows, count)
