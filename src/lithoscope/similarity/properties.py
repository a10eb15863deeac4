"""Measured properties as a network learns them: logarithms where values span decades, one scale for all, gaps left out.

Distances between properties are symmetric and in standard deviations, over the columns that both items have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Floats = npt.NDArray[np.float64]
DECADES = 30.0
"""A positive property whose largest value is so many times its smallest is learnt by its logarithm."""
FEWEST = 8
"""Values of a property that are needed to learn it."""


@dataclass(frozen=True)
class Column:
    """One property: how its values become numbers about 0 of deviation 1."""

    name: str
    logarithm: bool
    mean: float
    deviation: float

    def scaled(self, values: Floats) -> Floats:
        """As it is learnt; NaN stays NaN, and what has no logarithm becomes it."""
        if self.logarithm:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.where(values > 0, np.log10(values), np.nan)
        return (values - self.mean) / self.deviation

    def restored(self, values: Floats) -> Floats:
        """In the property's own unit."""
        own = values * self.deviation + self.mean
        return np.power(10.0, own) if self.logarithm else own


@dataclass(frozen=True)
class Properties:
    """All properties of a network, in its order."""

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, names: Sequence[str], values: Floats) -> Self:
        """Scales for values (n, columns), NaN where nothing is known; refused when a property says nothing."""
        made = []
        for name, own in zip(names, values.T, strict=True):
            known = own[np.isfinite(own)]
            if not len(known):
                raise InputError(f"{name} is known of none of the items that teach; fill it in, or leave the column out")
            if float(np.ptp(known)) <= 1e-9 * max(1.0, float(np.abs(known).max())):
                raise InputError(f"{name} is {known[0]:g} of all items; a constant property teaches nothing: leave the column out")
            if len(known) < FEWEST:
                raise InputError(f"{name} is known of {len(known)} items only; {FEWEST} are needed")
            logarithm = bool(known.min() > 0 and known.max() >= DECADES * known.min())
            used = np.log10(known) if logarithm else known
            made.append(Column(name, logarithm, float(used.mean()), float(used.std())))
        return cls(tuple(made))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def scaled(self, values: Floats) -> Floats:
        """Values (n, columns) as they are learnt."""
        return np.stack([c.scaled(own) for c, own in zip(self.columns, values.T, strict=True)], 1)

    def restored(self, values: Floats) -> Floats:
        """What was learnt (n, columns), in the properties' own units."""
        return np.stack([c.restored(own) for c, own in zip(self.columns, values.T, strict=True)], 1)

    def to_json(self) -> list[dict[str, Any]]:
        return [vars(column) for column in self.columns]

    @classmethod
    def from_json(cls, data: Sequence[dict[str, Any]]) -> Self:
        return cls(tuple(Column(**one) for one in data))


def apart(scaled: Floats, others: Floats | None = None) -> Floats:
    """How far scaled properties (n, columns) lie from others (m, columns), or from each other: (n, m), the mean difference over the
    columns that both have, NaN where they share none. Symmetric, and never divided by a value."""
    other = scaled if others is None else others
    known, there = np.isfinite(scaled), np.isfinite(other)
    total, count = np.zeros((len(scaled), len(other))), np.zeros((len(scaled), len(other)))
    for c in range(scaled.shape[1]):
        both = known[:, c, None] & there[None, :, c]
        with np.errstate(invalid="ignore"):
            total += np.where(both, np.abs(scaled[:, c, None] - other[None, :, c]), 0)
        count += both
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def residual_bounds(residuals: Floats, coverage: float) -> Floats:
    """By column, the half width that holds `coverage` of new values: split conformal prediction (Papadopoulos and others, 2002; Lei and
    others, 2018) on residuals (n, columns) of items that taught nothing, NaN where unknown. Infinite with too few of them."""
    found = []
    for own in np.abs(residuals).T:
        known = np.sort(own[np.isfinite(own)])
        rank = int(np.ceil((len(known) + 1) * coverage))
        found.append(float(known[rank - 1]) if 1 <= rank <= len(known) else float("inf"))
    return np.array(found)


def r_squared(truth: Floats, said: Floats) -> float:
    """The share of the variance that is foretold (coefficient of determination), over what is known."""
    known = np.isfinite(truth) & np.isfinite(said)
    rest, whole = ((truth - said)[known] ** 2).sum(), ((truth[known] - truth[known].mean()) ** 2).sum()
    return float(1 - rest / max(float(whole), 1e-12))
