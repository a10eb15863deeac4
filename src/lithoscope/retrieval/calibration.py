"""What a similarity means in a library: how often two places as alike as that are one place seen twice, and not two by chance.

Learnt from the library itself. Patches that overlap by half are alike. What chance finds are patches drawn at random, and the best
match of a strange thing: a patch whose channels were shuffled, so that it has nothing in common with any. The score of a hit is the
chance, were both as frequent, that it is of the first kind; below one half, nothing similar was found.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

ENOUGH = 0.5
"""Below this score a hit is as likely found by chance."""
CERTAIN = 0.95
"""So many of the strange things must score below `ENOUGH`."""
PAIRS = 4000
FEWEST = 20


@dataclass(frozen=True, slots=True)
class Calibration:
    """score = 1 / (1 + exp(-(slope · similarity + offset))). `known` is False where there were too few patches to learn from."""

    slope: float = 8.0
    offset: float = -4.0
    known: bool = False

    def __call__(self, similarity: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        made: npt.NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(self.slope * similarity + self.offset, -60, 60)))
        return made

    def similarity(self, score: float) -> float:
        """The similarity that has this score."""
        return float((np.log(score / (1 - score)) - self.offset) / self.slope)

    def to_json(self) -> dict[str, Any]:
        return {"slope": self.slope, "offset": self.offset, "known": self.known}

    @classmethod
    def from_json(cls, data: dict[str, Any] | None) -> Self:
        return cls() if data is None else cls(float(data["slope"]), float(data["offset"]), bool(data["known"]))


def calibrated(alike: npt.NDArray[np.floating], chance: npt.NDArray[np.floating], strange: npt.NDArray[np.floating]) -> Calibration:
    """The calibration that these similarities teach; the default where there are too few."""
    from sklearn.linear_model import LogisticRegression

    if len(alike) < FEWEST or len(chance) < FEWEST:
        return Calibration()
    values = np.concatenate([alike, chance, strange])[:, None].astype(np.float64)
    truth = np.repeat([1, 0], [len(alike), len(chance) + len(strange)])
    model = LogisticRegression(C=1e4, class_weight="balanced", max_iter=1000).fit(values, truth)
    slope = float(model.coef_[0, 0])
    if slope <= 0:  # a library of one and the same thing: nothing in it can be told apart
        return Calibration()
    reached = float(np.quantile(strange, CERTAIN)) if len(strange) else -1.0
    return Calibration(slope, min(float(model.intercept_[0]), -slope * reached), True)
