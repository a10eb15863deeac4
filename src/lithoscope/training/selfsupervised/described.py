"""What a patch looks like in plain numbers, taken from the crop before noise was added: something better to foretell than
pixels (Wei et al., Masked Feature Prediction, CVPR 2022, foretell histograms of gradients).

The smoothed value and both curvatures at several widths, as random forests for microscopy see them: a spot, a ridge, a valley,
a flank. Fifteen numbers, and no more: what is read off few smooth numbers by a linear map holds on the next slice. Measured on
simulated scans, finer pictures of the patch, logarithms, local spread and histograms all made the reading worse.
"""

import torch
from torch import Tensor
from torch.nn import functional

WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""The Gaussians' widths in pixels of the crop."""

NUMBERS = 3 * len(WIDTHS)
"""How many numbers describe a patch."""


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


def looks(images: Tensor, sigma: float) -> Tensor:
    """The smoothed value and the curvatures across and along, (n, 3, y, x), at one width and scaled by it."""
    smooth = smoothed(images, sigma)
    y, x = slopes(smooth)
    (yy, yx), (_, xx) = slopes(y), slopes(x)
    middle, half = (yy + xx) / 2, torch.hypot((yy - xx) / 2, yx)
    return torch.cat([smooth, sigma**2 * (middle + half), sigma**2 * (middle - half)], 1)


def described(images: Tensor, patch: int) -> Tensor:
    """Numbers (n, patches, NUMBERS) for each patch of images (n, 1, y, x), around 0; each varies by about 1 within a crop."""
    with torch.no_grad():
        channels = torch.cat([looks(images, sigma) for sigma in WIDTHS], 1)
        numbers = functional.avg_pool2d(channels, patch).flatten(2).transpose(1, 2)
        within = numbers.var(1).mean(0).sqrt().clamp_min(1e-4)
        return (numbers - numbers.mean((0, 1))) / within
