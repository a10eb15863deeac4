"""What may differ between two looks at the same place of a scan, for crops in planes (n, c, y, x) and in space (n, c, z, y, x).

Brightness, contrast and gamma are the same for all channels of a crop, and there is no hue. They move by a third, so that a network
does not lean on exact grey values, which other scans do not share; less where what is painted differs in little else (`toning`).
Turning and bending resample the image, which smooths its noise, so most crops are flipped and turned by right angles alone.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

LOW, HIGH = -0.5, 1.5
"""Where networks cut an image whose window lies at 0…1."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far each property moves: `contrast` and `gamma` as logarithms, shift and noise in windows, blur and bend in voxels."""

    contrast: float = 0.35
    shift: float = 0.15
    gamma: float = 0.35
    blur: float = 1.0
    blur_chance: float = 0.4
    noise: float = 0.15
    noise_chance: float = 0.6
    warp_chance: float = 0.3
    zoom: float = 0.2
    bend: float = 3.0

    def toned_by(self, strength: float) -> "Augmentation":
        """The same with contrast, shift and gamma multiplied."""
        return replace(self, contrast=self.contrast * strength, shift=self.shift * strength, gamma=self.gamma * strength)


def spread(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform numbers, one a crop, fit to be multiplied with `images`."""
    drawn = torch.rand(len(images), generator=generator, device=generator.device) * (high - low) + low
    return drawn.to(images.device).view(-1, *[1] * (images.ndim - 1))


def chance(images: Tensor, how_often: float, generator: torch.Generator) -> Tensor:
    """1 for the crops that are drawn, 0 for the others; fit to be multiplied with `images`."""
    return (spread(images, 0, 1, generator) < how_often).to(images.dtype)


def toned(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """The images under another contrast, brightness and gamma."""
    made = (images - 0.5) * torch.exp(spread(images, -how.contrast, how.contrast, generator)) + 0.5
    made = made + spread(images, -how.shift, how.shift, generator)
    within = made.clamp(0, 1)
    return within ** torch.exp(spread(images, -how.gamma, how.gamma, generator)) + (made - within)


def degraded(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """The images, some a little blurred and some noisier: white noise or, as reconstruction leaves it, correlated."""
    made = blurred(images, chance(images, how.blur_chance, generator) * spread(images, 0.3, max(0.3, how.blur), generator))
    noise = torch.randn(images.shape, generator=generator, device=generator.device).to(images)
    noise = blurred(noise, spread(images, 0.0, 1.2, generator))
    noise = noise / noise.flatten(1).std(1).clamp_min(1e-6).view(-1, *[1] * (images.ndim - 1))
    amount = chance(images, how.noise_chance, generator) * spread(images, 0.0, how.noise, generator)
    return (made + noise * amount).clamp(LOW, HIGH)


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Each crop under a Gaussian of its own σ (n, 1, …) along every axis of space; σ near 0 leaves it as it is."""
    radius = 3
    places = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernels = torch.exp(-0.5 * (places / sigma.reshape(-1, 1).clamp_min(1e-2)) ** 2)
    kernels = kernels / kernels.sum(1, keepdim=True)
    for axis in range(2, images.ndim):
        moved = images.movedim(axis, -1)
        rows = moved.reshape(len(images), -1, moved.shape[-1])
        padded = functional.pad(rows, (radius, radius), mode="replicate").transpose(0, 1)
        summed = functional.conv1d(padded, kernels[:, None], groups=len(images)).transpose(0, 1)
        images = summed.reshape(moved.shape).movedim(-1, axis)
    return images


def flipped(image: Tensor, labels: Tensor, axes: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A crop (c, …) and its labels (…) mirrored along some of `axes`, of space, and turned by right angles in the last two."""
    mirrored = [a for a in axes if torch.rand((), generator=generator) < 0.5]
    image, labels = image.flip([a + 1 for a in mirrored]), labels.flip(mirrored)
    if image.shape[-1] == image.shape[-2] and torch.rand((), generator=generator) < 0.5:
        image, labels = image.transpose(-1, -2), labels.transpose(-1, -2)
    return image, labels


def warped(image: Tensor, labels: Tensor, how: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A crop (c, …) and its labels (…) turned by any angle in the last two axes, zoomed and bent; labels stay whole."""

    def draw(low: float, high: float) -> float:
        return float(torch.rand((), generator=generator)) * (high - low) + low

    sizes = labels.shape
    angle, zoom = torch.tensor(draw(-torch.pi, torch.pi)), float(torch.exp(torch.tensor(draw(-how.zoom, how.zoom))))
    steps = [torch.arange(s, dtype=torch.float32) - (s - 1) / 2 for s in sizes]
    *planes, y, x = torch.meshgrid(*steps, indexing="ij")
    places = [*planes, zoom * (torch.cos(angle) * y + torch.sin(angle) * x), zoom * (torch.cos(angle) * x - torch.sin(angle) * y)]
    coarse = torch.randn(1, len(sizes), *[4] * len(sizes), generator=generator) * draw(0, how.bend)
    bends = functional.interpolate(coarse, sizes, mode="bicubic" if len(sizes) == 2 else "trilinear", align_corners=True)[0]
    scaled = [2 * (p + b) / s for p, b, s in zip(places, bends, sizes, strict=True)]
    grid = torch.stack(scaled[::-1], -1)[None]
    turned = functional.grid_sample(
        image[None], grid, mode="bicubic" if len(sizes) == 2 else "bilinear", padding_mode="reflection", align_corners=False
    )[0]
    # Beyond the crop nobody said anything: labels are not reflected.
    said = functional.grid_sample(labels[None, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)[0, 0]
    return turned.clamp(LOW, HIGH), said.to(labels.dtype)
