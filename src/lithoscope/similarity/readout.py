"""The matrix behind a network's vectors that similarity is read off by: started in closed form, and taught on from there.

What one view of an image differs by from another, cut, turned or brighter, says nothing, and is made small (relevant components, Bar-Hillel
and others, 2005); then the directions in which unlike kinds differ, measured by how far alike items differ (Fisher, 1936; Rao, 1948), are
left as they are, and all others shrunk. A few labels are enough for that, where gradients through a whole network need many.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lithoscope.features.vit import Vit
from lithoscope.job import Progress, Report, silent
from lithoscope.similarity.network import BATCH, Embedding
from lithoscope.similarity.pictures import Pictures
from lithoscope.similarity.relations import Relation

Floats = npt.NDArray[np.float64]
VIEWS, DRAWS = 8, 2000
"""So many views of each item, fewer of many items."""
NUISANCE, SPREAD = 0.1, 0.3
"""What part of a covariance is replaced by the same in all directions, for items are few."""
REST = 0.35
"""What directions count for in which no two kinds are known to differ."""


def views_of(
    network: Embedding, pictures: Pictures, rows: npt.NDArray[np.intp], device: torch.device, seed: int, report: Report = silent
) -> npt.NDArray[np.float32]:
    """Raw vectors (rows, views, channels) of some items, each cut and turned anew in each view; `network` is in evaluation mode."""
    count = int(np.clip(DRAWS // max(1, len(rows)), 2, VIEWS))
    found = []
    for number in range(count):
        parts = []
        for start in range(0, len(rows), BATCH):
            report(Progress(number * len(rows) + start, count * len(rows), "looking at the items from several sides"))
            draws = torch.Generator().manual_seed((seed * 1009 + number) * 1_000_003 + start)
            with torch.inference_mode():
                parts.append(network.raw(pictures.drawn(rows[start : start + BATCH], draws).to(device)).float().cpu().numpy())
        found.append(np.concatenate(parts))
    return np.stack(found, 1)


def fitted(seen: npt.NDArray[Any], views: npt.NDArray[Any], relation: Relation) -> npt.NDArray[np.float32]:
    """The matrix (channels, channels) to put behind vectors: of items as they are, `seen` (n, channels), and of their `views`
    (n, views, channels). Vectors stay as long as they were on average."""
    x = np.asarray(seen, np.float64)
    x = x - x.mean(0)
    apart = np.asarray(views, np.float64)
    white = _root(_shrunk(_covariance((apart - apart.mean(1, keepdims=True)).reshape(-1, x.shape[1])), NUISANCE))
    turned = x @ white
    known = relation.kinds >= 0
    kinds = relation.kinds[known]
    sizes = np.bincount(kinds, minlength=len(relation.names))
    means = np.stack([np.bincount(kinds, own, len(sizes)) for own in turned[known].T], 1) / np.maximum(sizes, 1)[:, None]
    within = _root(_shrunk(_covariance(turned[known] - means[kinds]), SPREAD))
    there = sizes > 0
    telling = _directions((means @ within @ within)[there], relation.unlike[np.ix_(there, there)])
    onto = telling @ telling.T
    made = white @ (onto + REST * (np.eye(len(onto)) - onto))
    made *= np.linalg.norm(x, axis=1).mean() / max(float(np.linalg.norm(x @ made, axis=1).mean()), 1e-12)
    return np.ascontiguousarray(made.T, np.float32)


def blended(matrix: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    """So much of a matrix, the rest of vectors as they are."""
    made: npt.NDArray[np.float32] = np.float32(share) * matrix + np.float32(1 - share) * np.eye(len(matrix), dtype=np.float32)
    return made


def towards(seen: npt.NDArray[Any], properties: Floats) -> npt.NDArray[np.float32]:
    """The matrix (channels, channels) that leaves the directions of vectors (n, channels) along which properties (n, columns) go, by ridge
    regression, and shrinks all others; NaN where a property is not known."""
    values = np.asarray(seen, np.float64)
    ways = []
    for own in properties.T:
        known = np.isfinite(own)
        x, y = values[known] - values[known].mean(0), own[known] - own[known].mean()
        ways.append(np.linalg.solve(_shrunk(_covariance(x), NUISANCE), x.T @ y / max(1, len(x))))
    onto = np.linalg.qr(np.stack(ways, 1))[0]
    return np.ascontiguousarray((onto @ onto.T) * (1 - REST) + REST * np.eye(values.shape[1]), np.float32)


def _covariance(values: Floats) -> Floats:
    found: Floats = values.T @ values / max(1, len(values))
    return found


def _shrunk(covariance: Floats, share: float) -> Floats:
    size = len(covariance)
    level = max(float(np.trace(covariance)) / size, 1e-12)
    return (1 - share) * covariance + share * level * np.eye(size)


def _root(covariance: Floats) -> Floats:
    """Its inverse square root, but for a factor: the widest direction stays as it is, narrower ones grow."""
    values, vectors = np.linalg.eigh(covariance)
    found: Floats = (vectors * (values / values[-1]) ** -0.5) @ vectors.T
    return found


def _directions(means: Floats, unlike: npt.NDArray[np.bool_]) -> Floats:
    """Orthonormal directions (channels, few) in which kinds with these means differ that are known to be unlike."""
    pairs = unlike.astype(np.float64)
    scatter = means.T @ (np.diag(pairs.sum(1)) - pairs) @ means
    values, vectors = np.linalg.eigh(scatter)
    most = min(len(means) - 1, int((values > 1e-6 * max(float(values[-1]), 1e-12)).sum()))
    found: Floats = vectors[:, len(values) - most :]
    return found


def projected(network: nn.Module, matrix: npt.NDArray[np.float32]) -> nn.Module:
    """A copy of a network with this matrix behind it, after one that it may have; convolutional networks have no place for one."""
    if not isinstance(network, Vit):
        return network
    weight = torch.from_numpy(matrix)
    if network.config.projected:
        weight = weight @ network.projector.weight.detach().cpu()  # type: ignore[operator]
    return network.with_projector(weight)


class Readout(nn.Module):
    """The matrix alone, over raw vectors that are known already; about a mean and at a scale, as `Embedding` has them."""

    mean: Tensor
    scale: Tensor

    def __init__(self, matrix: npt.NDArray[np.float32], mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.projector = nn.Linear(len(matrix), len(matrix), bias=False)
        self.projector.weight.data.copy_(torch.from_numpy(matrix))
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("scale", scale.detach().clone())

    def forward(self, vectors: Tensor) -> Tensor:
        made: Tensor = self.projector((vectors - self.mean) / self.scale)
        return made
