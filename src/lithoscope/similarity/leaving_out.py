"""What is left out in turn, to see what a teaching does to what did not teach: which classes or items, and how they fared.

Two classes or more are left out together, and each of their items asks for its like among them alone. Asked among the others, too, they
would seem to gain by any teaching, for what teaches is drawn together and out of their way. Single items ask among all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from lithoscope.scores.retrieval import ranked
from lithoscope.similarity.relations import Relation

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
LEAST = 4
"""With fewer classes none is left out: two are to be told apart, and two teach meanwhile."""
MOST, FEW = 10, 3
"""So many times some are left out, at most: where the vectors are known already, and where all of a network is taught anew each time."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The items that teach, those that are left out, and those among which they ask, by row."""

    teach: Rows
    asked: Rows
    among: Rows


def class_folds(relation: Relation, groups: Sequence[str], teaching: Bools, share: float, most: int, seed: int = 0) -> list[Fold]:
    """What is left out in turn of the items that teach (n,): about `share` of the classes at a time, two at least, every such set where
    they are not more than `most`. What shares a group with an item that is asked does not teach then. None of fewer than `LEAST` classes,
    nor of a person's marks, which do not say of all pairs whether they are unlike."""
    if share <= 0 or relation.marked:
        return []
    kinds, called = np.where(teaching, relation.kinds, -1), np.asarray(groups, np.str_)
    able = [k for k in range(len(relation.names)) if len(np.unique(called[kinds == k])) > 1]
    if len(able) < LEAST:
        return []
    size = min(max(2, int(share * len(able) + 1e-9)), len(able) - 2)
    found = []
    for out in _sets(able, size, most, seed):
        asked = np.isin(kinds, out)
        teach = teaching & ~np.isin(called, called[asked])
        if _tells(relation, teach):
            found.append(Fold(np.flatnonzero(teach), np.flatnonzero(asked), np.flatnonzero(asked)))
    return found


def item_folds(relation: Relation, groups: Sequence[str], teaching: Bools, share: float, seed: int = 0) -> list[Fold]:
    """Of the items that teach (n,) each group is left out once, about `share` of each class at a time, and asks among all of them."""
    kinds, called = np.where(teaching, relation.kinds, -1), np.asarray(groups, np.str_)
    able = [k for k in range(len(relation.names)) if len(np.unique(called[kinds == k])) > 1]
    parts = max(2, round(1 / share))
    taken, part_of = np.zeros((parts, len(relation.names) + 1), int), {}
    for name in np.random.default_rng(seed).permutation(np.unique(called[teaching])).tolist():
        counts = np.bincount(kinds[(called == name) & teaching] + 1, minlength=len(relation.names) + 1)
        part = int(np.lexsort((taken.sum(1), (taken * (counts > 0)).sum(1)))[0])
        taken[part], part_of[name] = taken[part] + counts, part
    numbers = np.array([part_of.get(name, -1) for name in called.tolist()])
    found = []
    for part in range(parts):
        teach, asked = teaching & (numbers != part), teaching & (numbers == part) & np.isin(kinds, able)
        if asked.any() and _tells(relation, teach):
            found.append(Fold(np.flatnonzero(teach), np.flatnonzero(asked), np.flatnonzero(np.isin(kinds, able))))
    return found


def _tells(relation: Relation, teach: Bools) -> bool:
    """Whether something alike and something unlike is left to teach."""
    kinds, counts = np.unique(relation.kinds[teach & (relation.kinds >= 0)], return_counts=True)
    return bool((counts > 1).any() and relation.unlike[np.ix_(kinds, kinds)].any())


def _sets(able: Sequence[int], size: int, most: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Every set of so many, or, where they are more than `most`, such that each is in about as many."""
    if comb(len(able), size) <= most:
        yield from combinations(able, size)
        return
    rng, parts = np.random.default_rng(seed), max(1, len(able) // size)
    drawn = 0
    while drawn < most:
        for part in np.array_split(rng.permutation(able), parts)[: most - drawn]:
            yield tuple(part.tolist())
            drawn += 1


def precisions(relation: Relation, groups: Sequence[str], vectors: npt.NDArray[np.float32]) -> Floats:
    """Of each of some items (n,) the precision among as many of the nearest as there are to be found, outside its own group; NaN where
    there are none. Vectors (n, channels) are about a mean."""
    ranking = ranked(vectors, relation.named(), "cosine", groups=groups, depth=1)
    found = np.full(len(vectors), np.nan)
    found[ranking.sought] = ranking.at_others()
    return found


@dataclass(frozen=True, eq=False)
class Fared:
    """How what did not teach fared. `before` (items,) are its precisions by the untaught network, `after` (states, items) those after so
    many `steps` (states,) of teaching that left it out; each the mean over all times that an item was left out."""

    classes: tuple[str, ...]
    times: int
    steps: tuple[int, ...]
    before: Floats
    after: Floats

    @property
    def untaught(self) -> float:
        """The mean precision before."""
        return float(self.before.mean())

    def state(self, step: int) -> Floats:
        """The precisions (items,) after so many steps; between two looks in proportion."""
        place = float(np.interp(step, self.steps, np.arange(len(self.steps))))
        low = int(place)
        high = min(low + 1, len(self.steps) - 1)
        found: Floats = self.after[low] + (place - low) * (self.after[high] - self.after[low])
        return found

    def at(self, step: int) -> tuple[float, float]:
        """The mean precision after so many steps, and the standard error of its difference from before, paired by item."""
        values = self.state(step)
        return float(values.mean()), _error(values - self.before)

    def change(self, step: int, *, started: bool) -> tuple[float, float, float]:
        """What the mean was to stay at after so many steps, how it differs from that, and the standard error of the difference, paired by
        item: as it was untaught or, where teaching `started` with more, as it was then."""
        begun = self.state(0)
        there = begun if started and step and begun.mean() > self.before.mean() else self.before
        apart = self.state(step) - there
        return float(there.mean()), float(apart.mean()), _error(apart)


def _error(values: Floats) -> float:
    return float(values.std() / np.sqrt(max(1, len(values))))


def pooled(relation: Relation, asked: Sequence[Rows], steps: Sequence[int], told: Sequence[Floats]) -> Fared:
    """All times together: `told` has one (1 + states, items) for each, the first row by the untaught network."""
    total, count = np.zeros((len(steps) + 1, len(relation))), np.zeros(len(relation))
    for rows, values in zip(asked, told, strict=True):
        known = np.isfinite(values[0])
        total[:, rows[known]] += values[:, known]
        count[rows[known]] += 1
    there = count > 0
    mean = total[:, there] / count[there]
    names = [relation.names[k] for k in np.unique(relation.kinds[there])]
    return Fared(tuple(names), len(told), tuple(steps), mean[0], mean[1:])
