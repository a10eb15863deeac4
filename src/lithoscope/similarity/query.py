"""Asking a library that was embedded with a double Siamese network: its gate ranks what was found, and properties stand beside it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.similarity.double import Double

if TYPE_CHECKING:
    from lithoscope.retrieval.memory import Memory
    from lithoscope.retrieval.search import Found

Floats = npt.NDArray[np.float32]
SIAMESE = "siamese.json"
CANDIDATES = 200
"""So many of the most similar places are compared by the gate."""


def double_of(memory: "Memory") -> Double | None:
    """The double Siamese network that a library was embedded with, if it was."""
    folder = Path(memory.library.recipe.backbone)
    return Double.open(folder) if (folder / SIAMESE).is_file() else None


def raw_rows(memory: "Memory", rows: list[int]) -> Floats:
    """The vectors of some rows as the backbone gave them, averaged over the planes: (rows, channels)."""
    columns = [c for c in memory.library.recipe.columns if c.endswith("_mean")]
    told, nothing = memory.details(rows, columns), np.zeros(memory.library.recipe.width, np.float32)
    return mean_over_planes([np.array([nothing if one.get(c) is None else one[c] for one in told], np.float32) for c in columns])


def mean_over_planes(each: list[Floats]) -> Floats:
    """The mean (n, channels) over planes of vectors (n, channels), of those planes that were seen."""
    stacked = np.stack(each)
    known = stacked.any(-1, keepdims=True)
    made: Floats = (stacked.sum(0) / np.maximum(known.sum(0), 1)).astype(np.float32)
    return made


def by_gate(memory: "Memory", found: "Found", query: dict[str, Floats], k: int, network: Double) -> "Found":
    """The best `k` hits by the gate: each scored by the chance that it is like the query in looks and properties, with its own properties
    and their intervals beside it. `query` holds raw vectors by column; `found` are more hits than are wanted, by cosine."""
    columns = [c for c in memory.library.recipe.columns if c.endswith("_mean") and c in query]
    if not columns or not found.hits:
        return replace(found, hits=found.hits[:k])
    own = network.halves(mean_over_planes([query[c][None] for c in columns]))[0]
    others = network.halves(raw_rows(memory, [hit.row for hit in found.hits]))
    said, properties = network.compared(own, others), network.foretold(others)
    order = np.argsort(-said["both"], kind="stable")[:k]
    hits = []
    for i in order.tolist():
        beside = {f"{f.name}, foretold": f"{f.value:.3g} ({f.low:.3g} … {f.high:.3g})" for f in properties[i]}
        hits.append(replace(found.hits[i], score=float(said["both"][i]), metadata={**found.hits[i].metadata, **beside}))
    looks = float(said["gate"][order].mean())
    note = f"ranked by looks and properties together, of which looks count {looks:.0%}"
    return replace(found, hits=hits, notes=(*(n for n in found.notes if "places were asked for" not in n), note))
