"""The UNet, in planes and in space, with the shape of the field's published one.

A stem, then levels of max-pool and two convolutions that double the features, then as many of a transposed convolution whose
answer is added to the level's, and two convolutions. With four levels, 32 or 64 features and three classes and channels it has
the published 7,844,483 or 31,356,163 parameters. Unlike there, dropout rests in evaluation, and images of any size are taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

MOMENTUM = 0.1
"""How much of the running means and variances a batch replaces."""


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """`features` of the finest level, `levels` of pooling, `axes` 2 or 3 that it looks along."""

    classes: int
    channels: int = 3
    features: int = 32
    levels: int = 4
    axes: int = 2
    dropout: float = 0.5

    @property
    def stride(self) -> int:
        """The coarsest level's step in voxels: images are laid on a grid of it."""
        return 1 << self.levels

    @property
    def reach(self) -> int:
        """How many voxels around a place its answer depends on, wherever the place lies on the grid of `stride`."""
        return max(max(p - low, high - p) for p in range(self.stride) for low, high in [_seen(p, self.levels)])

    @property
    def voxel_bytes(self) -> int:
        """About what an answer takes a voxel of its input while it is worked out."""
        return 4 * (5 * self.features + 2 * self.classes + self.channels)

    def row(self) -> tuple[float, ...]:
        """As numbers, in the order of the fields."""
        return astuple(self)


def _seen(place: int, levels: int) -> tuple[int, int]:
    """The first and last input voxel (along one axis) that the answer at `place` depends on."""
    low, high = place - 1, place + 1
    found = []
    for level in range(levels + 1):
        if level < levels:
            low, high = low - 2, high + 2
        found.append(_encoded(low, high, level))
        low, high = low // 2, -(-high // 2)
    return min(a for a, _ in found), max(b for _, b in found)


def _encoded(low: int, high: int, level: int) -> tuple[int, int]:
    """What the voxels low … high of an encoder's level depend on."""
    for _ in range(level):
        low, high = 2 * (low - 2), 2 * (high + 2) + 1
    return low - 1, high + 1


class Pair(nn.Module):
    """Two convolutions, each normalised and rectified; (n, inputs, …) → (n, outputs, …)."""

    def __init__(self, inputs: int, outputs: int, axes: int) -> None:
        super().__init__()
        convolution, norm = (nn.Conv2d, nn.BatchNorm2d) if axes == 2 else (nn.Conv3d, nn.BatchNorm3d)
        self.layers = nn.Sequential(
            convolution(inputs, outputs, 3, padding=1), norm(outputs), nn.ReLU(inplace=True),
            convolution(outputs, outputs, 3, padding=1), norm(outputs), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.saving = False

    @property
    def norms(self) -> list[nn.BatchNorm2d | nn.BatchNorm3d]:
        return [m for m in self.layers if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d))]

    def forward(self, x: Tensor) -> Tensor:
        if not (self.saving and self.training and torch.is_grad_enabled()):
            return cast(Tensor, self.layers(x))
        return cast(Tensor, checkpoint(self.layers, x, use_reentrant=False))


class UNet(nn.Module):
    """Logits (n, classes, …) of images (n, channels, …) whose sizes are multiples of `config.stride`."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        convolution = nn.Conv2d if config.axes == 2 else nn.Conv3d
        raised = nn.ConvTranspose2d if config.axes == 2 else nn.ConvTranspose3d
        widths = [config.features << k for k in range(config.levels + 1)]
        self.stem = convolution(config.channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Pair(a, b, config.axes) for a, b in pairwise(widths))
        self.up = nn.ModuleList(raised(b, a, 3, stride=2, padding=1, output_padding=1) for a, b in pairwise(widths))
        self.join = nn.ModuleList(Pair(a, a, config.axes) for a in widths[:-1])
        self.head = convolution(widths[0], config.classes, 3, padding=1)
        self._pool: Callable[[Tensor, int], Tensor] = functional.max_pool2d if config.axes == 2 else functional.max_pool3d

    def save_memory(self, wanted: bool) -> None:
        """Keep little for the way back, and work it out again."""
        for module in self.modules():
            if isinstance(module, Pair):
                module.saving = wanted
                for norm in module.norms:
                    # Checkpointing runs the layers twice on one batch; two steps of this momentum are one of the usual.
                    norm.momentum = 1 - (1 - MOMENTUM) ** 0.5 if wanted else MOMENTUM

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        skips = []
        for pair in self.down:
            skips.append(x)
            x = pair(self._dropped(self._pool(x, 2)))
        for raised, join, skip in zip(reversed(self.up), reversed(self.join), reversed(skips), strict=True):
            x = join(self._dropped(raised(x)) + skip)
        return cast(Tensor, self.head(x))

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.config.dropout, self.training) if self.config.dropout else x


def config_of(row: Sequence[Any]) -> UNetConfig:
    """The configuration that `row` gave; raises `ValueError` for one that no network has."""
    classes, channels, features, levels, axes = (int(v) for v in row[:5])
    if not (1 <= classes <= 254 and 1 <= channels <= 64 and 1 <= features <= 256 and 1 <= levels <= 6 and axes in (2, 3)):
        raise ValueError(f"no network has {classes} classes, {channels} channels, {features} features, {levels} levels and {axes} axes")
    if features * 2**levels > 4096:
        raise ValueError(f"{features} features over {levels} levels are more than any network here has")
    return UNetConfig(classes, channels, features, levels, axes, float(row[5]))
