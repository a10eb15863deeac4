"""What the neighbours say together: hits in groups, and a vote on what the place is."""

from collections.abc import Sequence
from dataclasses import dataclass

from lithoscope.errors import MissingError
from lithoscope.retrieval.search import Hit


@dataclass(frozen=True, slots=True)
class Vote:
    """The value most of the score stands behind, its share of the score of all that say anything, and how many those are."""

    value: str
    share: float
    voters: int


def group_of(hit: Hit, by: str, own: str | None = None) -> str:
    """The heading under which a hit stands. `by`: "scan", "sample" (the query's own or another), or a column of the metadata."""
    if by == "scan":
        return hit.name
    if by == "sample":
        return "same sample" if hit.scan == own else "other samples"
    if by not in hit.metadata:
        raise MissingError(f"the library has no column {by!r}; its columns are {', '.join(hit.metadata) or 'none'}")
    value = hit.metadata[by]
    return f"{by} not known" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def grouped(hits: Sequence[Hit], by: str, own: str | None = None) -> dict[str, list[Hit]]:
    """The hits by heading, in the order in which headings first occur."""
    found: dict[str, list[Hit]] = {}
    for hit in hits:
        found.setdefault(group_of(hit, by, own), []).append(hit)
    return found


def vote(hits: Sequence[Hit], column: str) -> Vote | None:
    """What the hits say of a column, each with the weight of its score; None when none of them knows."""
    weights: dict[str, float] = {}
    voters = 0
    for hit in hits:
        if hit.metadata.get(column) is not None or column == "scan":
            value = group_of(hit, column)
            weights[value] = weights.get(value, 0.0) + hit.score
            voters += 1
    if not voters:
        return None
    best = max(weights, key=lambda value: weights[value])
    return Vote(best, weights[best] / max(sum(weights.values()), 1e-12), voters)
