"""Which items make a batch: some of each of several classes, so that there are alike and unlike ones in it."""

import numpy as np
import numpy.typing as npt
from torch import Generator, rand

from lithoscope.similarity.relations import Relation

Rows = npt.NDArray[np.intp]


class Batches:
    """Draws from `rows` (those that teach). A class of one item gives that one; with `anything` items of no known class come, too."""

    def __init__(self, relation: Relation, rows: Rows, classes: int, each: int, *, anything: bool = False) -> None:
        kinds = relation.kinds[rows]
        self._members = [rows[kinds == kind] for kind in np.unique(kinds[kinds >= 0])]
        self._pairs = [i for i, members in enumerate(self._members) if len(members) > 1]
        self._rows, self._classes, self._each, self._anything = rows, classes, each, anything

    def __call__(self, generator: Generator) -> Rows:
        """The rows of one batch; at least one class has two items in it."""
        rng = np.random.default_rng(int(rand((), generator=generator).item() * 2**31))
        found: list[Rows] = []
        if self._pairs:
            first = int(rng.choice(self._pairs))
            others = [int(i) for i in rng.permutation(len(self._members)) if i != first][: self._classes - 1]
            for i in (first, *others):
                members = self._members[i]
                found.append(rng.choice(members, min(self._each, len(members)), replace=False))
        if self._anything:
            short = self._classes * self._each - sum(map(len, found))
            left = np.setdiff1d(self._rows, np.concatenate(found)) if found else self._rows
            found.append(rng.choice(left, min(max(short, 0), len(left)), replace=False))
        return np.concatenate(found)
