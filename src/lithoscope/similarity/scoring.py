"""How well what is held out finds its like: the score that ends a training and says whether it was worth it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.scores.retrieval import Metric, ranked
from lithoscope.similarity.relations import Relation

Bools = npt.NDArray[np.bool_]


class HeldOut:
    """Asks with each held-out item for its like among all that is not of its own group. No item finds itself or its group."""

    def __init__(self, relation: Relation, groups: Sequence[str], held: Bools) -> None:
        known = relation.kinds >= 0
        self.rows = np.flatnonzero(known)
        named = relation.named()
        self.names = [named[i] for i in self.rows.tolist()]
        self.groups = [groups[i] for i in self.rows.tolist()]
        self.held = held[self.rows]
        self.score(np.zeros((len(known), 1)))

    def score(self, vectors: npt.NDArray[Any], metric: Metric = "cosine") -> float:
        """The mean precision among as many of the nearest as there are to be found, over the held-out items."""
        ranking = ranked(vectors[self.rows], self.names, metric, groups=self.groups, depth=1)
        asked = self.held[ranking.sought]
        if not asked.any():
            raise InputError("nothing that is held out has its like in another group; name other groups, or add items")
        return float(ranking.at_others()[asked].mean())


def centred(vectors: npt.NDArray[Any], mean: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Vectors about a mean, as a library compares them."""
    return np.asarray(vectors - mean, np.float32)
