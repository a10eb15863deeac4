"""A start for masked feature prediction that is better than chance: the network taught layer by layer, in closed form.

Of the numbers that describe a patch, much is a linear map of its pixels: ridge regression finds it, and it becomes the patch
embedding, turned into orthogonal directions of half of the channels, with a constant that keeps the normalisations close to
linear. The other half is a workspace, which the last normalisation leaves out: the detail of the patch and, with position
"conv", what lies around it. Each layer corrects what is left: its first matrix is random, its second one is found by ridge
regression (random feature boosting, Zozoulenko et al. 2024). A minute of work gives what gradients need hours for on a
processor; gradients then go on from here. Which scan a crop is from is left to them: foretold here as well, and told to every
token, it changed from window to window and made what is read off the tokens worse.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.features.vit import Layer, Vit
from lithoscope.training.selfsupervised.augment import Augmentation, degraded, toned
from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.described import NUMBERS, described

if TYPE_CHECKING:
    from lithoscope.training.selfsupervised.foretold import Foretold

FAINT = 0.3
"""How strongly tokens carry what is only to be worked on, where 1 is how strongly they carry numbers."""

MIXED = 0.02
"""What attention adds at first, as a share of what it would."""


@dataclass(frozen=True, slots=True)
class Room:
    """How the channels are used: numbers, own detail, what lies around, in this order."""

    hidden: int
    pixels: int

    @property
    def half(self) -> int:
        return self.hidden // 2

    @property
    def own(self) -> slice:
        return slice(self.half, self.half + min(self.pixels, 3 * self.half // 5))

    @property
    def around(self) -> slice:
        return slice(self.own.stop, self.hidden)


def directions(width: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` orthogonal unit directions (count, width) and one more (width), all without a mean."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(width, count + 2, generator=generator, dtype=torch.float64)
    drawn[:, 0] = 1
    basis = torch.linalg.qr(drawn)[0].T.float()
    return basis[2:], basis[1]


def ridge(inputs: Tensor, outputs: Tensor, strength: float = 1e-3) -> tuple[Tensor, Tensor]:
    """The map (outputs, inputs) and offset (outputs) that best give rows of outputs from rows of inputs."""
    middle, aim = inputs.mean(0), outputs.mean(0)
    a, b = inputs - middle, outputs - aim
    square, mixed = (a.T @ a).double(), (a.T @ b).double()
    square += strength * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    weight = torch.linalg.solve(square, mixed).T.float()
    return weight, aim - weight @ middle


def whitening(rows: Tensor, floor: float = 1e-4) -> tuple[Tensor, Tensor]:
    """The symmetric map (n, n) and the mean after which rows vary by one in every direction that they use."""
    middle = rows.mean(0)
    values, vectors = torch.linalg.eigh(((rows - middle).T @ (rows - middle)).double() / len(rows))
    used = values > floor * values.max()
    scales = torch.where(used, values.clamp_min(1e-12).rsqrt(), torch.zeros_like(values))
    return ((vectors * scales) @ vectors.T).float(), middle


def warm_start(
    objective: "Foretold", crops: Crops, how: Augmentation, *, seed: int = 0, steps: int = 40, batch: int = 16, strength: float = 1e-3
) -> None:
    """Teach the objective's network in closed form, on `steps` batches of crops; `batch` must not change what fits in memory."""
    network = objective.encoder
    config = network.config
    seen, numbers = _gathered(network, crops, how, seed, steps, batch)
    room, aims = Room(config.hidden, config.patch**2), numbers.flatten(0, 1)
    with torch.no_grad():
        ways = _embed(network, seen, aims, room, seed)
        x, far = torch.cat([network.embeddings(part) for part in torch.split(seen, batch)]), network.far(seen)
        for number, layer in enumerate(cast("list[Layer]", network.encoder.layer)):
            layer.layer_scale1.lambda1.fill_(MIXED)  # type: ignore[operator]
            _settle(layer, x[:, network.prefix :], aims, ways, strength, seed + number)
            x = torch.cat([layer(part, None, far) for part in torch.split(x, batch)])
        network.layernorm.weight[room.half :] = 0
        objective.describe.weight.copy_(ways)
        objective.describe.bias.zero_()


def _gathered(network: Vit, crops: Crops, how: Augmentation, seed: int, steps: int, batch: int) -> tuple[Tensor, Tensor]:
    """Crops as the network sees them, and the numbers of their patches."""
    seen, numbers = [], []
    for step in range(steps):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        crop, _ = crops.single(step * crops.pool.refresh, batch)
        clean = toned(crop, generator, how)
        seen.append(network.normalised(degraded(clean, generator, how)))
        numbers.append(described(clean, network.config.patch))
    return torch.cat(seen), torch.cat(numbers)


def _embed(network: Vit, seen: Tensor, aims: Tensor, room: Room, seed: int) -> Tensor:
    """Make the best linear guess the embedding; gives the directions (aims, hidden) in which tokens hold it."""
    config, e = network.config, network.embeddings
    pixels = functional.unfold(seen, config.patch, stride=config.patch).transpose(1, 2).flatten(0, 1)
    guess, offset = ridge(pixels, aims)
    middle = pixels.mean(0)
    values, vectors = torch.linalg.eigh(((pixels - middle).T @ (pixels - middle) / len(pixels)).double())
    main = (vectors.flip(1) / values.flip(0).clamp_min(1e-6).sqrt()).T.float()
    detail = torch.cat([main, -main @ middle[:, None]], 1)
    told = torch.cat([guess, offset[:, None]], 1)
    numbers, constant = directions(room.half, NUMBERS, seed)
    ways = torch.zeros(NUMBERS, config.hidden)
    ways[:, : room.half] = numbers
    made = ways.T @ told
    made[room.own] = FAINT * detail[: room.own.stop - room.own.start]
    around = torch.cat([told, detail])[: room.around.stop - room.around.start]
    made[room.around][: len(around)] = FAINT * around
    level = math.sqrt(max(config.hidden - 2 * NUMBERS, config.hidden / 2))
    same = torch.zeros(config.hidden)
    same[: room.half] = level * constant
    projection = e.patch_embeddings.projection
    projection.weight.copy_(made[:, :-1].view_as(projection.weight))
    cast(Tensor, projection.bias).copy_(made[:, -1] + same)
    for token in (e.mask_token, e.cls_token, *([e.register_tokens] if config.registers else [])):
        cast(Tensor, token).mul_(0.5).add_(same)
    if config.position == "conv":
        conv = e.position_conv
        nn.init.zeros_(cast(Tensor, conv.bias))
        nn.init.zeros_(conv.weight)
        conv.weight[room.around] = 1 / 8
        conv.weight[room.around, :, 1, 1] = -1
    return ways


def _settle(layer: Layer, tokens: Tensor, aims: Tensor, ways: Tensor, strength: float, seed: int) -> None:
    """Have one layer foretell what is left of the aims."""
    rows = tokens.flatten(0, 1)
    inputs = layer.norm2(rows)
    map_, middle = whitening(inputs)
    generator = torch.Generator().manual_seed(seed)
    inner = layer.mlp.fc1.out_features
    drawn = torch.randn(inner, inputs.shape[1], generator=generator)
    drawn = (1.5 * drawn / drawn.norm(dim=1, keepdim=True) * math.sqrt(2)) @ map_
    layer.mlp.fc1.weight.copy_(drawn)
    layer.mlp.fc1.bias.copy_(torch.randn(inner, generator=generator) - drawn @ middle)
    weight, offset = ridge(functional.gelu(layer.mlp.fc1(inputs)), aims - rows @ ways.T, strength)
    layer.mlp.fc2.weight.copy_(ways.T @ weight)
    layer.mlp.fc2.bias.copy_(ways.T @ offset)
