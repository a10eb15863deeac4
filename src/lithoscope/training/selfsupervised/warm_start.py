"""A start for masked feature prediction that is better than chance: the best linear guess, in closed form.

Of the numbers that describe a patch, much is a linear map of its pixels. Ridge regression finds that map in a minute; it becomes
the patch embedding, turned into orthogonal directions of the tokens, beside a constant that keeps the last normalisation close
to linear. Layers begin at a tenth of their strength, so the training starts from the guess and learns the rest: curvatures,
surroundings, noise.
"""

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.training.selfsupervised.augment import Augmentation, toned
from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.described import described

if TYPE_CHECKING:
    from lithoscope.training.selfsupervised.foretold import Foretold

STRENGTH = 0.1
"""What layers add at first, as a share of what they would."""


def directions(width: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` orthogonal unit directions (count, width) and a constant (width) of norm √width, all without a mean."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(width, count + 2, generator=generator, dtype=torch.float64)
    drawn[:, 0] = 1
    basis = torch.linalg.qr(drawn)[0].T.float()
    return basis[2:], math.sqrt(width) * basis[1]


def ridge(inputs: Tensor, outputs: Tensor, strength: float = 1e-3) -> tuple[Tensor, Tensor]:
    """The map (outputs, inputs) and offset (outputs) that best give rows of outputs from rows of inputs."""
    inputs, outputs = inputs.double(), outputs.double()
    middle, aim = inputs.mean(0), outputs.mean(0)
    a, b = inputs - middle, outputs - aim
    square = a.T @ a
    square += strength * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    weight = torch.linalg.solve(square, a.T @ b).T
    return weight.float(), (aim - weight @ middle).float()


def warm_start(objective: "Foretold", crops: Crops, how: Augmentation, *, seed: int = 0, steps: int = 8, batch: int = 16) -> None:
    """Give the objective's network the best linear guess, fitted over `steps` batches of crops."""
    network = objective.encoder
    config = network.config
    pixels, numbers = [], []
    for step in range(steps):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        clean = toned(crops.single(step * crops.pool.refresh, batch)[0], generator, how)
        seen = network.normalised(clean)
        pixels.append(functional.unfold(seen, config.patch, stride=config.patch).transpose(1, 2).flatten(0, 1))
        numbers.append(described(clean, config.patch).flatten(0, 1))
    weight, offset = ridge(torch.cat(pixels), torch.cat(numbers))
    ways, constant = directions(config.hidden, len(weight), seed)
    device = next(network.parameters()).device
    with torch.no_grad():
        projection = network.embeddings.patch_embeddings.projection
        projection.weight.copy_((ways.T @ weight).view_as(projection.weight).to(device))
        cast(Tensor, projection.bias).copy_((ways.T @ offset + constant).to(device))
        network.embeddings.mask_token.copy_(constant.to(device))
        if config.position == "conv":
            near = cast(nn.Conv2d, network.embeddings.position_conv)
            near.weight.mul_(0.02)
            nn.init.zeros_(cast(Tensor, near.bias))
        for name, parameter in network.encoder.named_parameters():
            if name.endswith("lambda1"):
                parameter.fill_(STRENGTH)
        objective.describe.weight.copy_(ways.to(device))
        objective.describe.bias.zero_()
