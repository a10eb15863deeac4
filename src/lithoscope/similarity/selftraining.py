"""Teaching with few labels and many unlabelled items: rounds of teaching, proposing labels, a person's review, and taking them up.

After RosIA's iterative training, with what was at fault there mended: several neighbours must agree, and by a margin; what is held
out never votes; what was accepted stays; each round teaches the frozen network anew; it ends when the held-out score does.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rules:
    """When an unlabelled item is proposed as one of a class, by cosine distance about the mean.

    Its `neighbours` nearest labelled items agree, at least `agree` of them; it lies nearer to them than to any other class by
    `margin`; nearer than `curated`, but not so near as `duplicate`, for a twin teaches nothing. At most `per_class` a class and round,
    the surest first. `rounds` at most, and none after one that did not find the held-out items' like any better than before,
    `patience` times.
    """

    neighbours: int = 3
    agree: float = 1.0
    margin: float = 0.1
    curated: float = 0.6
    duplicate: float = 1e-4
    per_class: int = 10
    rounds: int = 3
    patience: int = 1

    def __post_init__(self) -> None:
        if self.neighbours < 1 or not 0 < self.agree <= 1 or self.per_class < 1 or self.rounds < 1 or self.patience < 1:
            raise InputError("neighbours, per_class, rounds and patience are 1 or more, agree lies between 0 and 1")
        if not 0 <= self.duplicate < self.curated <= 2:
            raise InputError(f"duplicate {self.duplicate:g} is to be less than curated {self.curated:g}, and both at most 2")


@dataclass(frozen=True, slots=True)
class Proposal:
    """An unlabelled item as one of a class: how far its nearest of that class lies, and how much farther the next class's."""

    item: str
    label: str
    distance: float
    margin: float
    nearest: str
    round: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Reviewer = Callable[[Sequence[Proposal]], Sequence[bool]]
"""Says of each proposal whether it is accepted."""


def proposals(
    pool: Floats,
    pool_names: Sequence[str],
    voters: Floats,
    labels: Sequence[str],
    voter_names: Sequence[str],
    rules: Rules,
    *,
    without: frozenset[str] = frozenset(),
    number: int = 0,
) -> list[Proposal]:
    """What of the pool (n, channels) is proposed, surest first: by the votes of voters (m, channels), which are labelled and not held out.

    Vectors are about one mean. Nothing in `without` is proposed again.
    """
    unit_pool, unit_voters = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (pool, voters))
    called = np.asarray(labels, np.str_)
    k = min(rules.neighbours, len(called))
    found: list[Proposal] = []
    for i, name in enumerate(pool_names):
        if name in without:
            continue
        away = 1 - unit_voters @ unit_pool[i]
        order = np.argsort(away, kind="stable")
        label, count = Counter(called[order[:k]].tolist()).most_common(1)[0]
        own = called == label
        others = away[~own]
        distance = float(away[own].min())
        ahead = float(others.min()) - distance if len(others) else 2.0
        agreed = count >= np.ceil(rules.agree * k - 1e-9)
        if agreed and ahead >= rules.margin and rules.duplicate < distance < rules.curated and float(away.min()) > rules.duplicate:
            nearest = voter_names[int(np.flatnonzero(own)[away[own].argmin()])]
            found.append(Proposal(str(name), str(label), distance, ahead, str(nearest), number))
    found.sort(key=lambda p: (-p.margin, p.item))
    return _without_twins(found, dict(zip(pool_names, unit_pool, strict=True)), rules)


def _without_twins(found: Sequence[Proposal], vectors: dict[str, Floats], rules: Rules) -> list[Proposal]:
    """The surest of each class, without twins among them."""
    kept: list[Proposal] = []
    taken: Counter[str] = Counter()
    for one in found:
        if taken[one.label] >= rules.per_class:
            continue
        same = [vectors[p.item] for p in kept if p.label == one.label]
        if same and float((1 - np.stack(same) @ vectors[one.item]).min()) <= rules.duplicate:
            continue
        kept.append(one)
        taken[one.label] += 1
    return kept
