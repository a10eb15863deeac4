"""The double Siamese network: two images compared by how they look and by what was learnt of their properties, and a gate between.

After Shim and others (Data-Centric Engineering 4, 2023, e21), with what was at fault there mended: each image has its own
properties; their distance is symmetric; the gate cannot die, is used at query time, and sees what it was taught on, for vectors
are averaged before they are compared, in training and in use alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.similarity.properties import apart

Floats = npt.NDArray[np.float32]
WEIGHT = 10.0
"""How much the regression of properties counts beside the pairs."""
STEEP = 4.0
"""How sharply pairs are told apart at first: half a chance at a mean difference of one deviation."""
_PIECE = 4096


class Heads(nn.Module):
    """What is read off two vectors of an image (`width` channels each): three answers on a pair, the gate, and the properties.

    `mean` and `scale` (2, width) make the numbers of each vector about 0, of deviation about 1, after `turn` (2, width, width).
    """

    mean: Tensor
    scale: Tensor
    turn: Tensor

    def __init__(self, width: int, properties: int) -> None:
        super().__init__()
        self.image, self.rock, self.both = (nn.Linear(width, 1) for _ in range(3))
        self.gate = nn.Sequential(nn.Linear(2 * width, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))
        self.regression = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, properties))
        self.register_buffer("mean", torch.zeros(2, width))
        self.register_buffer("scale", torch.ones(2, width))
        self.register_buffer("turn", torch.eye(width).repeat(2, 1, 1))
        # Each begins as a distance, with the far unlike: of weights of either sign few pairs leave nothing but chance.
        for answer in (self.image, self.rock, self.both):
            nn.init.constant_(answer.weight, -STEEP / width)
            nn.init.constant_(answer.bias, STEEP)

    def fit(self, vectors: Tensor, turns: npt.NDArray[np.float32] | None = None) -> None:
        """Take mean and scale from vectors (n, 2, width); with `turns` (2, width, width) they are multiplied by these first."""
        self.mean.copy_(vectors.mean(0))
        if turns is not None:
            self.turn.copy_(torch.from_numpy(turns))
        turned = torch.einsum("nbi,bij->nbj", vectors - self.mean, self.turn)
        self.scale.copy_(turned.std(0).mean(-1, keepdim=True).clamp_min(1e-6).expand_as(self.scale))

    def scaled(self, vectors: Tensor) -> Tensor:
        """Raw vectors (…, 2, width) as the heads want them."""
        turned: Tensor = torch.einsum("...bi,bij->...bj", vectors - self.mean, self.turn)
        return turned / self.scale

    def pairs(self, a: Tensor, b: Tensor) -> "Judged":
        """What is said of pairs of scaled vectors (…, 2, width)."""
        image, rock = (a - b).abs().unbind(-2)
        shares = torch.softmax(self.gate(torch.cat([image, rock], -1)), -1)
        mixed = 0.5 * (shares[..., :1] * image + shares[..., 1:] * rock)
        return Judged(self.both(mixed)[..., 0], self.image(image)[..., 0], self.rock(rock)[..., 0], shares[..., 0])

    def properties(self, scaled: Tensor) -> Tensor:
        """The properties (…, columns) that scaled vectors (…, 2, width) foretell, in deviations."""
        found: Tensor = self.regression(scaled[..., 1, :])
        return found


@dataclass(frozen=True)
class Judged:
    """Logits of pairs being alike in both, in looks, in properties; and how much of the gate is open for looks, 0…1."""

    both: Tensor
    image: Tensor
    rock: Tensor
    gate: Tensor


@dataclass(frozen=True, eq=False)
class PairTruth:
    """Of each pair (n, n) whether it is alike, and whether that is known."""

    image: npt.NDArray[np.bool_]
    image_known: npt.NDArray[np.bool_]
    rock: npt.NDArray[np.bool_]
    rock_known: npt.NDArray[np.bool_]

    @property
    def both(self) -> npt.NDArray[np.bool_]:
        """Alike in looks and in properties; where one of the two is known nowhere, in the other."""
        if not self.image_known.any():
            return self.rock
        return self.image & self.rock if self.rock_known.any() else self.image

    @property
    def both_known(self) -> npt.NDArray[np.bool_]:
        """Known when both are, or when one is known to be unlike."""
        if not self.image_known.any():
            return self.rock_known
        if not self.rock_known.any():
            return self.image_known
        unlike = (self.image_known & ~self.image) | (self.rock_known & ~self.rock)
        return unlike | (self.image_known & self.rock_known)


def pair_truth(same: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_], properties: npt.NDArray[np.float64], near: float) -> PairTruth:
    """The truth of all pairs of a batch: `same` and `other` (n, n) classes, and scaled `properties` (n, columns) of each item itself,
    of which those closer than `near` are alike. Nothing is a pair with itself."""
    away = apart(properties)
    off = ~np.eye(len(properties), dtype=bool)
    return PairTruth(same, (same | other) & off, np.nan_to_num(away, nan=np.inf) < near, np.isfinite(away) & off)


def pair_loss(heads: Heads, vectors: Tensor, truth: PairTruth, properties: npt.NDArray[np.float64]) -> Tensor:
    """The loss of a batch of raw vectors (n, 2, width): three answers on each pair, and the properties of each item, gaps left out."""
    scaled = heads.scaled(vectors)
    i, j = torch.triu_indices(len(scaled), len(scaled), 1).unbind(0)
    judged = heads.pairs(scaled[i], scaled[j])
    rows, columns = i.numpy(), j.numpy()
    total = vectors.sum() * 0
    for said, is_, known in (
        (judged.both, truth.both, truth.both_known),
        (judged.image, truth.image, truth.image_known),
        (judged.rock, truth.rock, truth.rock_known),
    ):
        told = torch.from_numpy(known[rows, columns])
        if told.any():
            total = total + _balanced(said[told], torch.from_numpy(is_[rows, columns])[told].to(said))
    wanted = torch.from_numpy(np.asarray(properties, np.float32)).to(scaled.device)
    there = torch.isfinite(wanted)
    if there.any():
        total = total + WEIGHT * functional.smooth_l1_loss(heads.properties(scaled)[there], wanted[there])
    return total


def _balanced(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of yes and no, both counting the same however many there are."""
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    parts = [each[wanted == value].mean() for value in (0, 1) if (wanted == value).any()]
    return torch.stack(parts).mean()


def compared(heads: Heads, query: npt.NDArray[Any], others: npt.NDArray[Any]) -> dict[str, Floats]:
    """What the network says of a raw query (2, width) and each of others (n, 2, width): the chance that they are alike in both, in looks,
    in properties, and the gate's part for looks."""
    found: dict[str, list[Floats]] = {"both": [], "image": [], "rock": [], "gate": []}
    with torch.inference_mode():
        own = heads.scaled(torch.from_numpy(np.asarray(query, np.float32)))
        for start in range(0, len(others), _PIECE):
            some = heads.scaled(torch.from_numpy(np.asarray(others[start : start + _PIECE], np.float32)))
            judged = heads.pairs(own.expand_as(some), some)
            for name in ("both", "image", "rock"):
                found[name].append(torch.sigmoid(getattr(judged, name).double()).float().numpy())
            found["gate"].append(judged.gate.numpy())
    return {name: np.concatenate(values) if values else np.empty(0, np.float32) for name, values in found.items()}


def halves(vectors: npt.NDArray[Any], width: int) -> Floats:
    """Vectors (n, channels) of both trunks as (n, 2, width); of a shared one both halves are the same."""
    values = np.asarray(vectors, np.float32)
    return values.reshape(-1, 2, width) if values.shape[1] == 2 * width else np.repeat(values[:, None], 2, 1)
