"""What a patch looks like in plain numbers, taken from the crop before noise was added: something better to foretell than
pixels. Smoothed values, edges, spots and spread at several widths, and the patch itself at a quarter of its resolution.

Widths are in pixels of the crop, and all of them are measured around the patch's centre.
"""

import torch
from torch import Tensor
from torch.nn import functional

WIDTHS = (1.0, 2.0, 4.0, 8.0)
POOLED = 4
"""The side of the small picture of each patch."""

NUMBERS = 4 * len(WIDTHS) + POOLED**2
"""How many numbers describe a patch."""


def smoothed(images: Tensor, sigma: float) -> Tensor:
    """Images (n, 1, y, x) under one Gaussian."""
    radius = min(int(3 * sigma + 0.5), images.shape[-1] - 1, images.shape[-2] - 1)
    places = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = functional.pad(images, (radius,) * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel), kernel.transpose(2, 3))


def described(images: Tensor, patch: int) -> Tensor:
    """Numbers (n, patches, NUMBERS) for each patch of images (n, 1, y, x), each of unit spread over the batch."""
    with torch.no_grad():
        channels = []
        for sigma in WIDTHS:
            smooth = smoothed(images, sigma)
            spread = (smoothed((images - smooth).square(), sigma)).clamp_min(0).sqrt()
            down = functional.pad(smooth, (0, 0, 1, 1), mode="replicate")
            across = functional.pad(smooth, (1, 1, 0, 0), mode="replicate")
            edge = torch.hypot(down[:, :, 2:] - down[:, :, :-2], across[..., 2:] - across[..., :-2])
            spot = down[:, :, 2:] + down[:, :, :-2] + across[..., 2:] + across[..., :-2] - 4 * smooth
            channels += [smooth, edge, spot, spread]
        stacked = torch.cat(channels, 1)
        cut = (patch - 2) // 2
        centres = functional.avg_pool2d(stacked[:, :, cut:, cut:], 2, patch, ceil_mode=False)
        rows, columns = images.shape[2] // patch, images.shape[3] // patch
        centres = centres[:, :, :rows, :columns].flatten(2).transpose(1, 2)
        small = functional.adaptive_avg_pool2d(images, (rows * POOLED, columns * POOLED))
        small = functional.unfold(small, POOLED, stride=POOLED).transpose(1, 2)
        numbers = torch.cat([centres, small], -1)
        flat = numbers.flatten(0, 1)
        return (numbers - flat.mean(0)) / flat.std(0).clamp_min(1e-3)
