"""How well what is held out finds its like: the scores that end a training and say whether it was worth it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.scores.retrieval import Metric, ranked
from lithoscope.similarity.relations import Relation

Bools = npt.NDArray[np.bool_]


class Score(NamedTuple):
    """Of held-out items of the classes that teach, together and `each`, and of classes that did not, None where that is not known; `error`
    is the standard error of how the latter differs from before."""

    items: float
    classes: float | None = None
    error: float = 0.0
    each: tuple[float, ...] = ()

    def beside(self, others: npt.NDArray[Any]) -> "Score":
        """The same with other items (n,) that were asked, too; nothing changes where this one's are not known one by one."""
        each = (*self.each, *others.tolist())
        return self._replace(items=float(np.mean(each)), each=each) if self.each else self

    def rounded(self) -> "Score":
        """To six digits, so that what is kept is compared as it is written."""
        classes = None if self.classes is None else round(self.classes, 6)
        return Score(round(self.items, 6), classes, round(self.error, 6), tuple(round(one, 6) for one in self.each))


def spread(each: Sequence[float], others: Sequence[float]) -> float:
    """The standard error of the mean difference between two scores of the same items; 0 where they are not known one by one."""
    if len(each) != len(others) or not each:
        return 0.0
    return float(np.std(np.subtract(each, others)) / np.sqrt(len(each)))


class HeldOut:
    """Asks with each item that is held out (`held`, (n,)) for its like among all that is not of its own group; none finds itself."""

    def __init__(self, relation: Relation, groups: Sequence[str], held: Bools) -> None:
        known = relation.kinds >= 0
        self.rows = np.flatnonzero(known)
        named = relation.named()
        self.names = [named[i] for i in self.rows.tolist()]
        self.groups = [groups[i] for i in self.rows.tolist()]
        self.held = held[self.rows]
        self.score(np.zeros((len(known), 1)))

    def score(self, vectors: npt.NDArray[Any], metric: Metric = "cosine") -> Score:
        """The mean precision among as many of the nearest as there are to be found, over the held-out items."""
        ranking = ranked(vectors[self.rows], self.names, metric, groups=self.groups, depth=1)
        asked = self.held[ranking.sought]
        if not asked.any():
            raise InputError("nothing that is held out has its like in another group; name other groups, or add items")
        each = ranking.at_others()[asked]
        return Score(float(each.mean()), each=tuple(each.tolist()))
