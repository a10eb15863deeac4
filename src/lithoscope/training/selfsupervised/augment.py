"""What may differ between two looks at the same place of a scan: window, gamma, sharpness and noise.

Grey values carry meaning in CT, so they move a little only; there is no hue to jitter, and nothing is solarised.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lithoscope.training.selfsupervised.crops import HIGH, LOW


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far each property moves: `contrast` and `gamma` as logarithms, the others in units of the window or pixels."""

    contrast: float = 0.25
    shift: float = 0.08
    gamma: float = 0.25
    blur: float = 1.2
    blur_chance: float = 0.4
    noise: float = 0.12
    noise_chance: float = 0.6


def spread(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform numbers (n, 1, 1, 1), one an image."""
    return torch.rand(n, 1, 1, 1, generator=generator) * (high - low) + low


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Each image (n, 1, y, x) under a Gaussian of its own σ (n, 1, 1, 1); σ near 0 leaves it as it is."""
    radius = 3
    places = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (places / sigma.view(-1, 1).clamp_min(1e-2)) ** 2)
    kernels = kernels / kernels.sum(1, keepdim=True)
    n = len(images)
    stacked = functional.pad(images.transpose(0, 1), (radius,) * 4, mode="reflect")
    stacked = functional.conv2d(stacked, kernels.view(n, 1, 1, -1), groups=n)
    return functional.conv2d(stacked, kernels.view(n, 1, -1, 1), groups=n).transpose(0, 1)


def toned(images: Tensor, generator: torch.Generator, how: Augmentation) -> Tensor:
    """The images (n, 1, y, x) under another window and gamma, free of added noise."""
    n = len(images)
    made = (images - 0.5) * torch.exp(spread(n, -how.contrast, how.contrast, generator)) + 0.5 + spread(n, -how.shift, how.shift, generator)
    within = made.clamp(0, 1)
    return within ** torch.exp(spread(n, -how.gamma, how.gamma, generator)) + (made - within)


def degraded(images: Tensor, generator: torch.Generator, how: Augmentation) -> Tensor:
    """The images (n, 1, y, x) a little blurred and noisier: white noise or, as reconstruction leaves it, correlated."""
    n = len(images)
    chosen = (torch.rand(n, 1, 1, 1, generator=generator) < how.blur_chance).to(images.dtype)
    made = blurred(images, chosen * spread(n, 0.2, how.blur, generator))
    noise = torch.randn(images.shape, generator=generator)
    correlated = blurred(noise, spread(n, 0.0, 1.2, generator))
    correlated = correlated / correlated.std((1, 2, 3), keepdim=True).clamp_min(1e-6)
    chosen = (torch.rand(n, 1, 1, 1, generator=generator) < how.noise_chance).to(images.dtype)
    return (made + correlated * chosen * spread(n, 0.0, how.noise, generator)).clamp(LOW, HIGH)
