"""The published heads on a backbone's tokens: a linear one, and convolutions that end at the network's own pixels.

Both have the published numbers of parameters; unlike there, dropout rests in evaluation.
"""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDE = 512
"""Channels of the convolutional head's first layers."""


class LinearHead(nn.Module):
    """Batch norm and one linear map: 3,843 parameters for 768 channels and three classes. Logits at the tokens."""

    margin = 0
    """Tokens around a place that its answer depends on."""
    align = 1
    """Token maps begin at multiples of this."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.map = nn.Conv2d(channels, classes, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (n, classes, rows, columns) of tokens (n, channels, rows, columns)."""
        return self.map(self.norm(tokens))  # type: ignore[no-any-return]


class _Residual(nn.Module):
    """Enlarged `factor` times, then a normalised convolution is added."""

    def __init__(self, channels: int, factor: float, *, rough: bool) -> None:
        super().__init__()
        self.factor = factor
        self.rough = rough
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.factor != 1:
            x = functional.interpolate(x, scale_factor=self.factor, mode="bicubic", recompute_scale_factor=False)
        x = x + self.conv(self.norm(x))
        return functional.leaky_relu(functional.dropout(x, 0.2, self.training)) if self.rough else x


class _Shuffle(nn.Module):
    """Twice as fine with a quarter of the channels, then a convolution is added."""

    def __init__(self, channels: int, *, rough: bool) -> None:
        super().__init__()
        self.rough = rough
        self.conv = nn.Conv2d(channels // 4, channels // 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pixel_shuffle(x, 2)
        x = x + self.conv(x)
        return functional.leaky_relu(functional.dropout(x, 0.2, self.training)) if self.rough else x


class CnnHead(nn.Module):
    """Convolutions between steps of enlargement, `patch` times in all: 8,418,819 parameters for 768 channels and three classes.

    Logits at the network's pixels.
    """

    margin = 8
    align = 8

    def __init__(self, channels: int, classes: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.begin = nn.Conv2d(channels, WIDE, 3, padding=1)
        self.steps = nn.Sequential(
            _Residual(WIDE, patch / 8, rough=False),
            _Residual(WIDE, 2, rough=True),
            _Shuffle(WIDE, rough=False),
            _Shuffle(WIDE // 4, rough=True),
        )
        self.end = nn.Conv2d(WIDE // 16, classes, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (n, classes, rows · patch, columns · patch) of tokens (n, channels, rows, columns)."""
        made = self.end(self.steps(self.begin(tokens)))
        wanted = (tokens.shape[2] * self.patch, tokens.shape[3] * self.patch)
        if made.shape[2:] != wanted:  # a step of enlargement that is not whole rounds down
            made = functional.interpolate(made, size=wanted, mode="bilinear", align_corners=False)
        return cast(Tensor, made)


Head = LinearHead | CnnHead


def head_of(kind: Literal["linear", "cnn"], channels: int, classes: int, patch: int) -> Head:
    """A fresh head."""
    return LinearHead(channels, classes) if kind == "linear" else CnnHead(channels, classes, patch)


def at_pixels(logits: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Logits (classes, y, x) at fractional places along both axes, between the nearest; beyond the last, the last."""

    def along(values: Tensor, places: Tensor, axis: int) -> Tensor:
        places = places.clamp(0, values.shape[axis] - 1)
        low = places.floor().long().clamp(max=max(values.shape[axis] - 2, 0))
        high = (low + 1).clamp(max=values.shape[axis] - 1)
        share = (places - low).to(values.dtype)
        share = share[:, None] if axis == 1 else share
        return torch.lerp(values.index_select(axis, low), values.index_select(axis, high), share)

    return along(along(logits, rows, 1), columns, 2)
