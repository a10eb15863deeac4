"""Locality-sensitive hashing for directions, in both published families, with several tables and query-directed probes.

Hyperplane: a bit says on which side of a random plane a vector lies (Charikar 2002). Cross-polytope: the nearest of ±e_i after a
pseudo-random rotation (Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt 2015; FALCONN). A probe visits the bucket that a query
would nearly have fallen into; the most likely ones over all tables come first (Lv et al. 2007).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.rotations import Codes, Rotation, power_of_two
from lithoscope.retrieval.vectors import Floats

_PIECE = 2_048
_NEAREST = 16
"""How many second choices of each hash function are thought of."""


@dataclass(frozen=True, slots=True)
class LshSettings:
    """So many tables of so many bits; `probes` buckets are visited in all; `rotations` are the turns of a pseudo-random rotation."""

    tables: int = 10
    bits: int = 20
    probes: int = 200
    rotations: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.tables <= 1000 and 2 <= self.bits <= 30 and self.rotations >= 1):
            raise InputError(f"{self.tables} tables of {self.bits} bits cannot be made; take 1 to 1000 tables of 2 to 30 bits")
        if self.probes < self.tables:
            raise InputError(f"{self.probes} probes do not reach {self.tables} tables; take at least one a table")


class Family(ABC):
    """How vectors are hashed in every table."""

    @abstractmethod
    def codes(self, vectors: Floats, table: int) -> Codes:
        """The bucket (n,) of each vector in one table."""

    @abstractmethod
    def probes(self, query: Floats, table: int, most: int) -> tuple[Codes, Floats]:
        """Buckets to visit in one table for a query (width,), and what each costs: its own at 0, less likely ones more."""


class Hyperplane(Family):
    """Signs of projections on random directions."""

    def __init__(self, width: int, settings: LshSettings) -> None:
        rng = np.random.default_rng(settings.seed)
        self.directions = rng.normal(size=(settings.tables, settings.bits, width)).astype(np.float32)
        self._powers = (1 << np.arange(settings.bits)).astype(np.uint32)

    def codes(self, vectors: Floats, table: int) -> Codes:
        made: Codes = ((vectors @ self.directions[table].T > 0) @ self._powers).astype(np.uint32)
        return made

    def probes(self, query: Floats, table: int, most: int) -> tuple[Codes, Floats]:
        margins = self.directions[table] @ query
        own = np.uint32((margins > 0) @ self._powers)
        order = np.argsort(np.abs(margins))[: min(_NEAREST, len(margins))]
        cost, flips = (margins[order] ** 2).astype(np.float32), self._powers[order]
        count = min(len(order), max(1, int(np.ceil(np.log2(most + 1))) + 3))
        chosen = np.arange(1 << count, dtype=np.uint32)
        bits = (chosen[:, None] >> np.arange(count, dtype=np.uint32)) & 1
        # Every set of flips of the least sure bits, and single flips of the others.
        codes = np.concatenate([own ^ (bits * flips[:count]).sum(1, dtype=np.uint32), own ^ flips[count:]])
        costs = np.concatenate([bits.astype(np.float32) @ cost[:count], cost[count:]])
        return _cheapest(codes.astype(np.uint32), costs, most)


class CrossPolytope(Family):
    """The nearest of ±e_i after a rotation, `functions` times; the last looks at `last` coordinates only, so that the bits come out."""

    def __init__(self, width: int, settings: LshSettings) -> None:
        rng = np.random.default_rng(settings.seed)
        bits = power_of_two(width).bit_length()  # of one function: which of 2 · dimensions directions
        self.functions = -(-settings.bits // bits)
        self.last = 1 << (settings.bits - (self.functions - 1) * bits - 1)
        self.dimensions = power_of_two(width)
        turns = [[Rotation.drawn(width, settings.rotations, rng) for _ in range(self.functions)] for _ in range(settings.tables)]
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

    def probes(self, query: Floats, table: int, most: int) -> tuple[Codes, Floats]:
        codes, costs = np.zeros(1, np.uint32), np.zeros(1, np.float32)
        for (turned,), size in zip(self._turned(query[None], table), self._sizes(), strict=True):
            both = np.concatenate([turned, -turned])
            kept = min(len(both), _NEAREST)
            best = np.argpartition(-both, kept - 1)[:kept]
            cost = (both.max() - both[best]) ** 2
            codes = (codes[:, None] * np.uint32(2 * size) + best.astype(np.uint32)[None]).ravel()
            codes, costs = _cheapest(codes, (costs[:, None] + cost[None]).ravel(), max(most, 4 * _NEAREST))
        return codes[:most], costs[:most]


def _cheapest(codes: Codes, costs: Floats, most: int) -> tuple[Codes, Floats]:
    order = np.argsort(costs, kind="stable")[:most]
    return codes[order], costs[order]


FAMILIES: dict[str, type[Hyperplane] | type[CrossPolytope]] = {"hyperplane": Hyperplane, "crosspolytope": CrossPolytope}


@dataclass(frozen=True, eq=False)
class LshIndex:
    """Vectors by bucket. `order` (tables, n) are rows sorted by bucket; `starts` says where each bucket that occurs begins."""

    family: Family
    settings: LshSettings
    order: npt.NDArray[np.uint32]
    codes: Codes

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
        return cls(family, settings, order, codes)

    @property
    def bytes(self) -> int:
        """How much memory the tables take."""
        return self.order.nbytes + self.codes.nbytes

    def candidates(self, query: Floats) -> npt.NDArray[np.intp]:
        """The rows in the buckets that are visited for a query (width,)."""
        tables, each = self.settings.tables, max(1, 4 * self.settings.probes // self.settings.tables)
        found = [self.family.probes(query, table, each) for table in range(tables)]
        costs = np.concatenate([cost for _, cost in found])
        limit = np.sort(costs)[min(self.settings.probes, len(costs)) - 1]
        rows = []
        for table, (codes, cost) in enumerate(found):
            visited = codes[cost <= limit]
            first = np.searchsorted(self.codes[table], visited, "left")
            last = np.searchsorted(self.codes[table], visited, "right")
            rows += [self.order[table, a:b] for a, b in zip(first, last, strict=True) if b > a]
        return np.unique(np.concatenate(rows)).astype(np.intp) if rows else np.empty(0, np.intp)
