"""The few directions that a backbone's tokens are kept in: a PCA that belongs to the backbone, never to a scan.

It is fitted once over many scans and kept beside the weights, so that what is learnt on one scan means the same on the next.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]

NAME = "pca.safetensors"
"""The file beside a backbone's weights."""


@dataclass(frozen=True, eq=False)
class Basis:
    """`mean` (channels,), `components` (kept, channels) by falling variance, `spread` (kept,) their standard deviations."""

    mean: Floats
    components: Floats
    spread: Floats
    explained: float = 0.0

    @classmethod
    def fit(cls, tokens: Iterable[Floats], kept: int) -> "Basis":
        """From pieces of tokens (n, channels); only their sums are kept in memory."""
        count, total, squares = 0, None, None
        for piece in tokens:
            values = piece.astype(np.float64)
            total = values.sum(0) if total is None else total + values.sum(0)
            squares = values.T @ values if squares is None else squares + values.T @ values
            count += len(values)
        if total is None or squares is None or count < 2:
            raise InputError("there are no tokens to fit a basis to")
        mean = total / count
        covariance = squares / count - np.outer(mean, mean)
        variances, vectors = np.linalg.eigh(covariance)
        order = np.argsort(variances)[::-1][: min(kept, len(variances))]
        components = vectors[:, order].T
        components *= np.sign(components[np.arange(len(order)), np.abs(components).argmax(1)])[:, None]
        spread = np.sqrt(np.maximum(variances[order], 1e-12))
        explained = float(variances[order].sum() / max(variances.sum(), 1e-12))
        return cls(mean.astype(np.float32), components.astype(np.float32), spread.astype(np.float32), explained)

    @property
    def kept(self) -> int:
        return len(self.components)

    def shortened(self, kept: int) -> "Basis":
        """The first `kept` directions."""
        return Basis(self.mean, self.components[:kept], self.spread[:kept], self.explained)

    def key(self) -> str:
        """A checksum of the basis."""
        digest = hashlib.sha256()
        for part in (self.mean, self.components, self.spread):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]

    def project(self, tokens: "Tensor") -> "Tensor":
        """Tokens (…, channels) in the basis, each direction divided by the spread of the first, so that the shape stays."""
        import torch

        mean, components = (torch.from_numpy(a).to(tokens.device) for a in (self.mean, self.components))
        made: Tensor = (tokens - mean) @ components.T / float(self.spread[0])
        return made


def load(folder: Path, layers: tuple[int, ...]) -> Basis | None:
    """The basis that a backbone's folder holds for tokens of these layers, if any."""
    from safetensors.numpy import load_file

    path = folder / NAME
    if not path.is_file():
        return None
    tensors, name = load_file(path), named(layers)
    if f"{name}.mean" not in tensors:
        return None
    mean, components, spread = (tensors[f"{name}.{part}"].astype(np.float32) for part in ("mean", "components", "spread"))
    return Basis(mean, components, spread, float(tensors[f"{name}.explained"][0]))


def save(folder: Path, bases: dict[tuple[int, ...], Basis]) -> None:
    """Keep bases for several choices of layers beside a backbone's weights."""
    from safetensors.numpy import save_file

    tensors: dict[str, npt.NDArray[np.float32]] = {}
    for layers, basis in bases.items():
        name = named(layers)
        tensors |= {f"{name}.mean": basis.mean, f"{name}.components": basis.components, f"{name}.spread": basis.spread}
        tensors[f"{name}.explained"] = np.array([basis.explained], np.float32)
    save_file({n: np.ascontiguousarray(t) for n, t in tensors.items()}, folder / NAME)


def named(layers: tuple[int, ...]) -> str:
    """The name of a choice of layers in the file: "4,8,12"."""
    return ",".join(map(str, layers))
