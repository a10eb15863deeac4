"""Vectors made comparable: the library's mean taken off, and brought to length 1. Rows and queries go through the same function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Preparation:
    """The mean (width,) of each column. The metric is the cosine about it."""

    means: Mapping[str, Floats] = field(default_factory=dict)

    def __call__(self, vectors: Mapping[str, Floats]) -> dict[str, Floats]:
        """Each column's vectors (…, width), without its mean and of length 1; zeros, which stand for "not known", stay zeros."""
        return {column: self.one(column, values) for column, values in vectors.items()}

    def one(self, column: str, values: Floats) -> Floats:
        """The same for one column; rows of zeros are not known."""
        known = np.any(values != 0, axis=-1, keepdims=True)
        mean = self.means.get(column)
        moved = np.asarray(values, np.float32) - (0 if mean is None else mean)
        length = np.sqrt(np.einsum("...d,...d->...", moved, moved))[..., None]
        made: Floats = np.where(known, moved / np.maximum(length, np.float32(1e-12)), np.float32(0)).astype(np.float32, copy=False)
        return made

    def to_json(self) -> dict[str, list[float]]:
        return {column: [round(float(v), 7) for v in mean] for column, mean in self.means.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Self:
        return cls({column: np.asarray(mean, np.float32) for column, mean in (data or {}).items()})


def combined(rows: Mapping[str, Floats], query: Mapping[str, Floats], known: Mapping[str, npt.NDArray[np.bool_]] | None = None) -> Floats:
    """The similarity (n,) of prepared rows (n, width) to one prepared query (width,): the mean cosine over the columns both have.

    `known` names the columns that not every row has, and which do; a row that has none in common is as unlike as can be, -1.
    """
    common = [c for c in query if c in rows and np.any(query[c])]
    if not common:
        return np.full(len(next(iter(rows.values()), np.empty(0))), -1, np.float32)
    total: Floats = rows[common[0]] @ query[common[0]]
    for column in common[1:]:
        total += rows[column] @ query[column]
    if not known:
        total /= np.float32(len(common))
        return total
    counts = np.zeros(len(total), np.float32)
    for column in common:
        counts += known[column] if column in known else np.float32(1)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.float32(-1))
