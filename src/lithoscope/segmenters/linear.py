"""Multinomial logistic regression on standardised features: smooth where strokes are few, and quick to learn and to ask."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float64]

MOST_EXACT = 250
"""Up to this many unknowns Newton's method is quickest."""


@dataclass(frozen=True, eq=False)
class Linear:
    """Decision values are `weight @ features + bias`; the standardisation is folded in. weight (classes, channels), bias (classes,)."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], weights: Floats, *, strength: float) -> Self:
        """Learn from features (n, channels), labels (n,) of 0…classes-1 and sample weights (n,), whose penalty is 1 / (2 strength)."""
        x = features.astype(np.float64)
        mean, spread = x.mean(axis=0), x.std(axis=0)
        spread[spread == 0] = 1.0
        x = (x - mean) / spread
        n, channels = x.shape
        classes = int(labels.max()) + 1
        target = np.zeros((n, classes))
        target[np.arange(n), labels] = 1.0

        found = _newton(x, target, weights, strength) if (channels + 1) * classes <= MOST_EXACT else _quasi(x, target, weights, strength)
        w, b = found[:, :-1], found[:, -1]
        w = w / spread
        return cls(w.astype(np.float32), (b - w @ mean).astype(np.float32))

    def among(self, channels: npt.NDArray[np.intp], count: int) -> Self:
        """The same for voxels of `count` channels, of which this was learnt from those given; the others do not matter."""
        weight = np.zeros((len(self.weight), count), np.float32)
        weight[:, channels] = self.weight
        return type(self)(weight, self.bias)

    def decisions(self, features: "Tensor") -> "Tensor":
        """Decision values (classes, n) of features (channels, n)."""
        import torch

        weight, bias = torch.from_numpy(self.weight).to(features.device), torch.from_numpy(self.bias).to(features.device)
        return torch.addmm(bias[:, None], weight, features)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {"linear.weight": self.weight, "linear.bias": self.bias}

    @classmethod
    def restored(cls, state: dict[str, npt.NDArray[Any]]) -> Self:
        return cls(state["linear.weight"], state["linear.bias"])


def _slope(x: Floats, target: Floats, weights: Floats, strength: float, w: Floats) -> tuple[float, Floats, Floats]:
    """The penalised loss at w (classes, channels + 1), whose last column is the bias, its gradient, and the class shares (n, classes)."""
    z = x @ w[:, :-1].T + w[:, -1]
    z -= z.max(axis=1, keepdims=True)
    log = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    share = np.exp(log)
    error = (share - target) * weights[:, None]
    slope = np.concatenate([error.T @ x + w[:, :-1] / strength, error.sum(axis=0)[:, None]], axis=1)
    return -float((weights * (target * log).sum(axis=1)).sum()) + 0.5 / strength * float((w[:, :-1] ** 2).sum()), slope, share


def _newton(x: Floats, target: Floats, weights: Floats, strength: float) -> Floats:
    classes, wide = target.shape[1], x.shape[1] + 1
    full = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    penalty = np.append(np.full(wide - 1, 1 / strength), 1e-6)
    w = np.zeros((classes, wide))
    loss, slope, share = _slope(x, target, weights, strength, w)
    for _ in range(50):
        curve = np.empty((classes, wide, classes, wide))
        for i in range(classes):
            for j in range(i + 1):
                mixed = weights * share[:, i] * ((i == j) - share[:, j])
                curve[i, :, j] = curve[j, :, i] = (full * mixed[:, None]).T @ full
            curve[i, np.arange(wide), i, np.arange(wide)] += penalty
        step = np.linalg.solve(curve.reshape(classes * wide, -1), slope.ravel()).reshape(classes, wide)
        length = 1.0
        while True:
            moved = w - length * step
            new_loss, new_slope, new_share = _slope(x, target, weights, strength, moved)
            if new_loss <= loss or length < 1e-4:
                break
            length /= 2
        done = loss - new_loss <= 1e-7 * abs(loss)
        w, loss, slope, share = moved, new_loss, new_slope, new_share
        if done:
            break
    return w


def _quasi(x: Floats, target: Floats, weights: Floats, strength: float) -> Floats:
    from scipy.optimize import minimize

    shape = (target.shape[1], x.shape[1] + 1)

    def cost(flat: Floats) -> tuple[float, Floats]:
        loss, slope, _ = _slope(x, target, weights, strength, flat.reshape(shape))
        return loss, slope.ravel()

    found: Floats = minimize(cost, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300, "ftol": 1e-10}).x
    return found.reshape(shape)
