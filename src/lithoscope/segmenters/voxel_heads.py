"""What can be taught voxel by voxel, in a moment, on tokens and filters together: a linear map, trees, or the nearest neighbours' vote."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from lithoscope.segmenters.linear import Linear
from lithoscope.segmenters.strokes import Chosen
from lithoscope.segmenters.trees import Trees

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]
Kind = Literal["linear", "trees", "knn"]

STRENGTH = 0.01
"""How little the linear map is held back."""
TREES, LEAF, SHARE = 30, 10, 0.3
"""How many trees, the fewest learnt voxels in a leaf, and the part of the learnt voxels that each tree sees."""
SMOOTH = 2 / 3
"""The say of the linear map beside the trees."""
NEIGHBOURS, REMEMBERED = 15, 2000
"""How many neighbours vote, and the most voxels that are remembered."""


class VoxelHead(Protocol):
    """Learns from features of voxels, answers with how likely each class is."""

    def scores(self, features: "Tensor") -> "Tensor":
        """(classes, n) of features (channels, n), summing to one."""
        ...

    def state(self) -> dict[str, npt.NDArray[Any]]: ...


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Multinomial logistic regression."""

    linear: Linear

    @classmethod
    def fit(cls, chosen: Chosen, target: npt.NDArray[np.int64], seed: int) -> Self:
        return cls(Linear.fit(chosen.features, target, chosen.weights, strength=STRENGTH))

    def scores(self, features: "Tensor") -> "Tensor":
        return self.linear.decisions(features).softmax(0)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return self.linear.state()

    @classmethod
    def restored(cls, state: dict[str, npt.NDArray[Any]]) -> Self:
        return cls(Linear.restored(state))


@dataclass(frozen=True, eq=False)
class Grown:
    """Trees that see a linear map's decisions beside the features, mixed with it: smooth learners are better where strokes are few."""

    linear: Linear
    trees: Trees

    @classmethod
    def fit(cls, chosen: Chosen, target: npt.NDArray[np.int64], seed: int) -> Self:
        import torch
        from sklearn.ensemble import RandomForestClassifier

        linear = Linear.fit(chosen.features, target, chosen.weights, strength=STRENGTH)
        decisions = linear.decisions(torch.from_numpy(np.ascontiguousarray(chosen.features.T))).numpy().T
        forest = RandomForestClassifier(
            TREES, criterion="entropy", max_depth=15, max_features="sqrt", max_samples=max(SHARE, min(1.0, 2 / len(target))),
            min_samples_leaf=LEAF, random_state=seed,
        )  # fmt: skip
        return cls(linear, Trees.of(forest.fit(np.concatenate([chosen.features, decisions], 1), target, sample_weight=chosen.weights)))

    def scores(self, features: "Tensor") -> "Tensor":
        import torch

        decisions = self.linear.decisions(features)
        found = self.trees.scores(torch.cat([features, decisions]))
        return found.mul_(1 - SMOOTH).add_(decisions.softmax(0), alpha=SMOOTH)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {**self.linear.state(), **self.trees.state()}

    @classmethod
    def restored(cls, state: dict[str, npt.NDArray[Any]]) -> Self:
        return cls(Linear.restored(state), Trees.restored(state))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The vote of the nearest learnt voxels in standardised features; every class is remembered by as many voxels where it has them.

    `memory` (n, channels) is standardised by `mean` and `spread` (channels,); `said` (n,) are classes 0…classes - 1 of `classes`.
    """

    memory: Floats
    said: npt.NDArray[np.int64]
    mean: Floats
    spread: Floats
    classes: int

    @classmethod
    def fit(cls, chosen: Chosen, target: npt.NDArray[np.int64], seed: int) -> Self:
        rng, classes = np.random.default_rng(seed), int(target.max()) + 1
        kept = []
        for k in range(classes):
            own = np.flatnonzero(target == k)
            kept.append(rng.choice(own, min(len(own), REMEMBERED // classes), replace=False))
        some = np.sort(np.concatenate(kept))
        mean, spread = chosen.features.mean(0), chosen.features.std(0)
        spread = np.where(spread > 0, spread, 1).astype(np.float32)
        return cls(((chosen.features[some] - mean) / spread).astype(np.float32), target[some], mean.astype(np.float32), spread, classes)

    def scores(self, features: "Tensor") -> "Tensor":
        import torch

        memory, said = torch.from_numpy(self.memory), torch.from_numpy(self.said)
        x = ((features.T - torch.from_numpy(self.mean)) / torch.from_numpy(self.spread)).contiguous()
        own, found = memory.square().sum(1), torch.empty((len(x), self.classes))
        voters = min(NEIGHBOURS, len(memory))
        one = torch.nn.functional.one_hot(said, self.classes).float()
        for first in range(0, len(x), 1 << 14):
            near = torch.addmm(own[None] / 2, x[first : first + (1 << 14)], memory.T, alpha=-1)
            found[first : first + (1 << 14)] = one[near.topk(voters, largest=False, sorted=False).indices].mean(1)
        return found.T.contiguous()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "knn.memory": self.memory, "knn.said": self.said, "knn.mean": self.mean, "knn.spread": self.spread,
            "knn.classes": np.array([self.classes]),
        }  # fmt: skip

    @classmethod
    def restored(cls, state: dict[str, npt.NDArray[Any]]) -> Self:
        memory, said, mean, spread = (state[f"knn.{name}"] for name in ("memory", "said", "mean", "spread"))
        return cls(memory, said, mean, spread, int(state["knn.classes"][0]))


HEADS: dict[Kind, type[LinearMap] | type[Grown] | type[Neighbours]] = {"linear": LinearMap, "trees": Grown, "knn": Neighbours}
