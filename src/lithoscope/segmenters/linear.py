"""Multinomial logistic regression on standardised features: smooth where strokes are few, and quick to learn and to ask."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Linear:
    """Decision values are `weight @ features + bias`; the standardisation is folded in. weight (classes, channels), bias (classes,)."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], weights: Floats, *, strength: float) -> Self:
        """Learn from features (n, channels), labels (n,) of 0…classes-1 and sample weights (n,), whose penalty is 1 / (2 strength)."""
        from scipy.optimize import minimize

        x = features.astype(np.float64)
        mean, spread = x.mean(axis=0), x.std(axis=0)
        spread[spread == 0] = 1.0
        x = (x - mean) / spread
        n, channels = x.shape
        classes = int(labels.max()) + 1
        target = np.zeros((n, classes))
        target[np.arange(n), labels] = 1.0

        def cost(flat: Floats) -> tuple[float, Floats]:
            w, b = flat[: channels * classes].reshape(classes, channels), flat[channels * classes :]
            z = x @ w.T + b
            z -= z.max(axis=1, keepdims=True)
            log = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
            value = -float((weights * (target * log).sum(axis=1)).sum()) + 0.5 / strength * float((w * w).sum())
            slope = (np.exp(log) - target) * weights[:, None]
            return value, np.concatenate([(slope.T @ x + w / strength).ravel(), slope.sum(axis=0)])

        found = minimize(cost, np.zeros((channels + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": 200, "ftol": 1e-9})
        w, b = found.x[: channels * classes].reshape(classes, channels), found.x[channels * classes :]
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
