"""Asking a library that was embedded with a double Siamese network: its gate ranks what was found, and properties stand beside it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.similarity.double import Double, Foretold

if TYPE_CHECKING:
    from lithoscope.retrieval.memory import Memory
    from lithoscope.retrieval.search import Found

Floats = npt.NDArray[np.float32]
SIAMESE = "siamese.json"
CANDIDATES = 200
"""So many of the most similar places are compared by the gate."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the network says of a hit: the chance that it is like the query in looks and properties, how much looks count, and the
    hit's own properties with intervals."""

    alike: float
    looks: float
    properties: tuple[Foretold, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"alike": self.alike, "looks": self.looks, "properties": {f.name: f.to_json() for f in self.properties}}


def double_of(memory: "Memory") -> Double | None:
    """The double Siamese network that a library was embedded with, if it was."""
    folder = Path(memory.library.recipe.backbone)
    return Double.open(folder) if (folder / SIAMESE).is_file() else None


def raw_rows(memory: "Memory", rows: list[int]) -> Floats:
    """The vectors of some rows as the backbone gave them, averaged over the planes: (rows, channels)."""
    from lithoscope.retrieval.vectors import vectors_of

    columns = [c for c in memory.library.recipe.columns if c.endswith("_mean")]
    table = memory.table.take_row_ids([int(memory.row_ids[row]) for row in rows]).with_row_id(True).select(columns).to_arrow()
    order = {int(id): i for i, id in enumerate(np.asarray(table["_rowid"]))}
    back = [order[int(memory.row_ids[row])] for row in rows]
    return mean_over_planes([vectors_of(table, c, memory.library.recipe.width)[back] for c in columns])


def mean_over_planes(each: list[Floats]) -> Floats:
    """The mean (n, channels) over planes of vectors (n, channels), of those planes that were seen."""
    stacked = np.stack(each)
    known = stacked.any(-1, keepdims=True)
    made: Floats = (stacked.sum(0) / np.maximum(known.sum(0), 1)).astype(np.float32)
    return made


def by_gate(
    memory: "Memory", found: "Found", query: dict[str, Floats], k: int, double: Double | None = None
) -> tuple["Found", list[Judgement]]:
    """The best `k` hits by the gate, with what the network says of each. `query` holds raw vectors by column; `found` are more hits than
    are wanted, by cosine."""
    network = double or double_of(memory)
    if network is None or not found.hits:
        return replace(found, hits=found.hits[:k]), []
    columns = [c for c in memory.library.recipe.columns if c.endswith("_mean") and c in query]
    if not columns:
        return replace(found, hits=found.hits[:k]), []
    own = network.halves(mean_over_planes([query[c][None] for c in columns]))[0]
    others = network.halves(raw_rows(memory, [hit.row for hit in found.hits]))
    said, properties = network.compared(own, others), network.foretold(others)
    order = np.argsort(-said["both"], kind="stable")[:k]
    judgements = [Judgement(float(said["both"][i]), float(said["gate"][i]), tuple(properties[i])) for i in order]
    return replace(found, hits=[found.hits[i] for i in order]), judgements
