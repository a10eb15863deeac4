"""What a patch looks like in plain numbers: something better to foretell than pixels (Wei et al., Masked Feature Prediction, CVPR
2022, foretell histograms of gradients).

The smoothed value and both curvatures at several widths, as random forests for microscopy see them: a spot, a ridge, a valley,
a flank; and how rough the patch is at the scale of a pixel. Curvatures and roughness are told as logarithms, which become linear
near nought: between a smooth scan and a noisy one they differ tenfold, and what tells the phases of the smooth one apart would be
nothing beside what tells the noisy one's. Thirteen numbers, and no more: what is read off few smooth numbers by a linear map holds
on the next slice. Their middle and spread are fixed, so that a number means the same in every crop.
"""

import torch
from torch import Tensor
from torch.nn import functional

WIDTHS = (1.0, 2.0, 4.0, 8.0)
"""The Gaussians' widths in pixels of the crop."""

NUMBERS = 3 * len(WIDTHS) + 1
"""How many numbers describe a patch."""

KIND = "curvatures and roughness as logarithms"
"""What a training that was told these numbers says of them: one that was told others is not gone on with."""

LEAST = 0.01
"""Roughness, in windows, below which its logarithm becomes linear."""

FLAT = (0.006, 0.01, 0.02, 0.03)
"""Curvature at each width, in windows, below which its logarithm becomes linear."""

MIDDLE = (0.478, 1.367, -1.371, 0.478, 1.333, -1.343, 0.478, 0.946, -0.956, 0.478, 0.715, -0.717, 1.727)
SPREAD = (0.2333, 0.6261, 0.6155, 0.2281, 0.8016, 0.7762, 0.2154, 0.9146, 0.8877, 0.1962, 0.8683, 0.8559, 0.7916)
"""What the numbers are on average over the shipped backbone's crops, and how far they spread."""


def smoothed(images: Tensor, sigma: float) -> Tensor:
    """Images (n, 1, y, x) under one Gaussian."""
    radius = min(int(3 * sigma + 0.5), images.shape[-1] - 1, images.shape[-2] - 1)
    places = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = functional.pad(images, (radius,) * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel), kernel.transpose(2, 3))


def slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives down and across of images (n, 1, y, x), by central differences."""
    down = functional.pad(images, (0, 0, 1, 1), mode="replicate")
    across = functional.pad(images, (1, 1, 0, 0), mode="replicate")
    return (down[:, :, 2:] - down[:, :, :-2]) / 2, (across[..., 2:] - across[..., :-2]) / 2


def bends(images: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """How images (n, 1, y, x) smoothed by one width bend: on the whole, and the two parts of how unevenly, at 0 and at 45 degrees."""
    y, x = slopes(smoothed(images, sigma))
    (yy, yx), (_, xx) = slopes(y), slopes(x)
    return sigma**2 * (yy + xx) / 2, sigma**2 * (yy - xx) / 2, sigma**2 * yx


def looks(images: Tensor, sigma: float) -> Tensor:
    """The smoothed value and the curvatures across and along, (n, 3, y, x), at one width and scaled by it."""
    middle, even, odd = bends(images, sigma)
    half = torch.hypot(even, odd)
    return torch.cat([smoothed(images, sigma), middle + half, middle - half], 1)


def roughness(images: Tensor) -> Tensor:
    """The deviation of images (n, 1, y, x) from themselves at the least width, around each pixel."""
    apart = images - smoothed(images, WIDTHS[0])
    return smoothed(apart.square(), WIDTHS[0]).clamp_min(0).sqrt()


def plain(images: Tensor, patch: int) -> Tensor:
    """The numbers (n, patches, NUMBERS) of each patch of images (n, 1, y, x), as they are."""
    with torch.no_grad():
        seen = []
        for sigma, flat in zip(WIDTHS, FLAT, strict=True):
            grey, *curved = torch.split(functional.avg_pool2d(looks(images, sigma), patch), 1, 1)
            seen += [grey, *(torch.asinh(c / flat) for c in curved)]
        rough = torch.asinh(functional.avg_pool2d(roughness(images), patch) / LEAST)
        return torch.cat([*seen, rough], 1).flatten(2).transpose(1, 2)


def described(images: Tensor, patch: int) -> Tensor:
    """The same, each number less its middle and divided by its spread."""
    return (plain(images, patch) - torch.tensor(MIDDLE)) / torch.tensor(SPREAD)
