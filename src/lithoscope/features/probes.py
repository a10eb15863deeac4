"""How much of the truth can be read off features: linear and nearest-neighbour probes, grouped by volume.

Features are learnt from on one image and scored on others; whole images are held out, never pixels of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Probed:
    """Mean IoU of a linear probe and of the nearest neighbours' vote, over all scored images together."""

    linear: float
    neighbours: float


def mean_iou(truth: Labels, said: Labels) -> float:
    """The mean over the classes of the truth (0 counts for nothing) of intersection over union."""
    known = truth > 0
    truth, said = truth[known], said[known]
    found = []
    for label in np.unique(truth):
        a, b = truth == label, said == label
        found.append(float((a & b).sum() / max(1, (a | b).sum())))
    return float(np.mean(found))


def probe(
    teaching: tuple[Floats, Labels],
    scored: Sequence[tuple[Floats, Labels]],
    *,
    neighbours: int = 15,
    most: int = 20_000,
    strength: float = 0.1,
    seed: int = 0,
) -> Probed:
    """Teach on the labelled voxels of `teaching` (features (channels, …), labels … with 0 = nobody said); score on whole images.

    The nearest neighbours vote on at most `most` voxels drawn from each scored image.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    features, labels = _rows(*teaching)
    if len(np.unique(labels)) < 2:
        raise InputError("a probe wants at least two labelled classes to learn from")
    scaler = StandardScaler().fit(features)
    linear = LogisticRegression(C=strength, max_iter=400).fit(scaler.transform(features), labels)
    voters = KNeighborsClassifier(min(neighbours, len(labels))).fit(scaler.transform(features), labels)
    truths, by_line, some, by_vote = [], [], [], []
    rng = np.random.default_rng(seed)
    for image, truth in scored:
        rows, wanted = _rows(image, truth)
        rows = cast(Floats, scaler.transform(rows))
        truths.append(wanted)
        by_line.append(cast(Any, linear).predict(rows))
        chosen = rng.choice(len(rows), min(most, len(rows)), replace=False)
        some.append(wanted[chosen])
        by_vote.append(cast(Any, voters).predict(rows[chosen]))
    return Probed(mean_iou(np.concatenate(truths), np.concatenate(by_line)), mean_iou(np.concatenate(some), np.concatenate(by_vote)))


def _rows(features: Floats, labels: Labels) -> tuple[Floats, Labels]:
    known = labels > 0
    return np.ascontiguousarray(features[:, known].T), labels[known]


def effective_rank(tokens: Floats) -> float:
    """How many directions tokens (n, channels) really use: the exponential of the entropy of their variances' shares."""
    values = np.linalg.eigvalsh(np.cov(tokens.T.astype(np.float64)))
    shares = np.maximum(values, 0) / max(values.sum(), 1e-12)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
