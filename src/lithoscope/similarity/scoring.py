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
    """Of held-out items of the classes that teach, and of classes that are held out whole; None where none is."""

    items: float
    classes: float | None = None

    def rounded(self) -> "Score":
        """To six digits, so that what is kept is compared as it is written."""
        return Score(round(self.items, 6), None if self.classes is None else round(self.classes, 6))

    def lost(self, before: "Score") -> float:
        """How much worse the classes held out whole do than before."""
        return 0.0 if self.classes is None or before.classes is None else max(0.0, before.classes - self.classes)


class HeldOut:
    """Asks with each held-out item for its like among all that is not of its own group. No item finds itself or its group.

    `held` (n,) is every item that is held out, `whole` those of them whose class is held out whole.
    """

    def __init__(self, relation: Relation, groups: Sequence[str], held: Bools, whole: Bools | None = None) -> None:
        known = relation.kinds >= 0
        self.rows = np.flatnonzero(known)
        named = relation.named()
        self.names = [named[i] for i in self.rows.tolist()]
        self.groups = [groups[i] for i in self.rows.tolist()]
        self.held = held[self.rows]
        self.whole = np.zeros(len(self.rows), bool) if whole is None else whole[self.rows]
        self.score(np.zeros((len(known), 1)))

    def score(self, vectors: npt.NDArray[Any], metric: Metric = "cosine") -> Score:
        """The mean precision among as many of the nearest as there are to be found, over the held-out items of either kind."""
        ranking = ranked(vectors[self.rows], self.names, metric, groups=self.groups, depth=1)
        whole = self.whole[ranking.sought]
        asked = self.held[ranking.sought] & ~whole
        if not asked.any():
            raise InputError("nothing that is held out has its like in another group; name other groups, or add items")
        found = ranking.at_others()
        return Score(float(found[asked].mean()), float(found[whole].mean()) if whole.any() else None)


def centred(vectors: npt.NDArray[Any], mean: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Vectors about a mean, as a library compares them."""
    return np.asarray(vectors - mean, np.float32)
