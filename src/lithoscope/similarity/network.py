"""A backbone that gives one vector an item, about a fixed mean and at a fixed scale, so that margins mean the same in any backbone."""

from collections.abc import Callable
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lithoscope.job import Progress, Report, silent
from lithoscope.similarity.pictures import Pictures

BATCH = 64


class Embedding(nn.Module):
    """`mean` (channels,) is taken off, and `scale` is how long vectors typically are then; both are of the network before it is taught."""

    mean: Tensor
    scale: Tensor

    def __init__(self, backbone: nn.Module, pooling: Literal["mean", "class"], width: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.prefix = int(cast(Any, backbone).prefix)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, vectors: npt.NDArray[Any]) -> Self:
        """Take mean and scale from these raw vectors (n, channels)."""
        values = torch.from_numpy(np.asarray(vectors, np.float32))
        self.mean.copy_(values.mean(0))
        self.scale.copy_((values - self.mean.cpu()).norm(dim=1).mean().clamp_min(1e-6))
        return self

    def raw(self, pixels: Tensor) -> Tensor:
        """Vectors (n, channels) as the backbone gives them, of pictures (n, channels, y, x) at 0…1."""
        network = cast(Any, self.backbone)
        tokens: Tensor = network(network.normalised(pixels))
        return tokens[:, 0] if self.pooling == "class" and self.prefix else tokens[:, self.prefix :].mean(1)

    def forward(self, pixels: Tensor) -> Tensor:
        return (self.raw(pixels) - self.mean) / self.scale

    def train(self, mode: bool = True) -> Self:
        """As ever; but what a convolutional network learnt of means and variances stays, for batches are small."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def embedded(
    network: Callable[[Tensor], Tensor], pictures: Pictures, device: torch.device | str = "cpu", report: Report = silent, words: str = ""
) -> npt.NDArray[np.float32]:
    """The vectors (n, channels) of pictures, each the mean over its views; `network` is not to be in training mode."""
    found, step = [], max(1, BATCH // pictures.views)
    for start in range(0, len(pictures), step):
        report(Progress(start, len(pictures), words or "looking at the items"))
        pixels = pictures.seen(np.arange(start, min(start + step, len(pictures))))
        with torch.inference_mode():
            each = network(pixels.flatten(0, 1).to(device)).float()
        found.append(each.view(len(pixels), pictures.views, -1).mean(1).cpu().numpy())
    return np.concatenate(found)
