"""Which triplets of a batch are learnt from: an anchor, one that is alike, one that is not.

All of them know only distances and what is alike and unlike, so that classes and marks are one thing to them.
"""

import torch
from torch import Generator, Tensor

from lithoscope.similarity.settings import Mining


def mined(distances: Tensor, same: Tensor, other: Tensor, how: Mining, generator: Generator | None = None) -> Tensor:
    """Triplets (triplets, 3) of rows, by distances, likeness and unlikeness, each (n, n)."""
    if how == "batch-hard":
        return batch_hard(distances, same, other)
    if how == "semi-hard":
        return semi_hard(distances, same, other)
    return random(same, other, generator)


def batch_hard(distances: Tensor, same: Tensor, other: Tensor) -> Tensor:
    """For each anchor the farthest alike and the nearest unlike (Hermans, Beyer and Leibe, 2017)."""
    anchors = (same.any(1) & other.any(1)).nonzero()[:, 0]
    positives = distances.masked_fill(~same, -torch.inf).argmax(1)[anchors]
    negatives = distances.masked_fill(~other, torch.inf).argmin(1)[anchors]
    return torch.stack([anchors, positives, negatives], 1)


def semi_hard(distances: Tensor, same: Tensor, other: Tensor) -> Tensor:
    """For each pair of alike the nearest unlike that lies farther than the pair, or else the farthest (FaceNet, 2015)."""
    anchors, positives = (same & other.any(1)[:, None]).nonzero().unbind(1)
    candidates = other[anchors]
    apart = distances[anchors]
    farther = candidates & (apart > distances[anchors, positives][:, None])
    nearest = apart.masked_fill(~farther, torch.inf).argmin(1)
    farthest = apart.masked_fill(~candidates, -torch.inf).argmax(1)
    return torch.stack([anchors, positives, torch.where(farther.any(1), nearest, farthest)], 1)


def random(same: Tensor, other: Tensor, generator: Generator | None = None) -> Tensor:
    """For each anchor any that is alike, and any that is not."""
    anchors = (same.any(1) & other.any(1)).nonzero()[:, 0]

    def drawn(allowed: Tensor) -> Tensor:
        draws = torch.rand(allowed.shape, generator=generator).to(allowed.device)
        return draws.masked_fill(~allowed, -1).argmax(1)

    return torch.stack([anchors, drawn(same[anchors]), drawn(other[anchors])], 1)
