"""A start for feature prediction that is better than chance: the network taught layer by layer, in closed form.

Tokens carry the numbers that describe a patch, each on several channels and their negatives, beside a workspace: the detail of
the patch and, with position "conv", the coarse look of the eight patches around it. Each layer but the last corrects what is left
of the numbers: its first matrix answers like small filters all over the patch, both ways, or at random; its second one is found by
ridge regression (random feature boosting, Zozoulenko et al. 2024). The last layer takes the workspace away and puts random
saturating mixtures of the numbers there: what a person's classes are is seldom a linear matter of the numbers, and a linear
reading of such mixtures tells them better (random features, Rahimi and Recht 2007). A minute of work gives what gradients need
hours for on a processor.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.features.vit import Layer, Vit, VitConfig
from lithoscope.training.selfsupervised.augment import Augmentation, blurred, toned
from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.described import NUMBERS, WIDTHS, described
from lithoscope.training.selfsupervised.likeness import hear_kinds, look_alike
from lithoscope.training.selfsupervised.probing_filters import probing

if TYPE_CHECKING:
    from lithoscope.training.selfsupervised.foretold import Foretold

FAINT = 0.3
"""How strongly tokens carry what is only to be worked on, where 1 is how strongly they carry numbers."""

SMOOTH = 2.0
"""How wide the Gaussian is, at most, by which every other crop is smoothed, in pixels."""

MIXED = 0.02
"""What attention adds at first, as a share of what it would."""

SHARES = (3, 1, 1) * len(WIDTHS) + (3,)
"""How much each number counts while it is worked on: grey values and roughness more than curvatures."""

BENT = 1.5
"""How strongly the mixtures of numbers saturate."""

MIXTURES = 40
"""How many mixtures the last normalisation lets through: more say little that is new, and outvote the numbers wherever every channel
counts alike. The others are silent, and stay so unless somebody opens them."""

NEAR = ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2))
"""The cosines (down, across) by which a patch knows its neighbours, the first first."""


@dataclass(frozen=True, slots=True)
class Room:
    """How the channels are used: numbers and their negatives, constants, own detail, what lies around."""

    config: VitConfig

    @property
    def shares(self) -> tuple[int, ...]:
        """How many pairs of channels each number has."""
        return SHARES if self.config.hidden >= 128 else (1,) * NUMBERS

    @property
    def constants(self) -> slice:
        return slice(2 * sum(self.shares), 2 * sum(self.shares) + (6 if self.config.hidden >= 128 else 2))

    @property
    def told(self) -> list[int]:
        """What the last normalisation lets through: each number once, so that all count alike, and the mixtures."""
        starts = [2 * sum(self.shares[:number]) for number in range(NUMBERS)]
        return [*starts, *range(self.mixed.start, self.mixed.stop)]

    @property
    def mixed(self) -> slice:
        """Where the mixtures stand in the end."""
        return slice(self.work.start, min(self.work.start + MIXTURES, self.work.stop))

    @property
    def work(self) -> slice:
        """Own detail and what lies around: what the mixtures replace in the end."""
        return slice(self.constants.stop, self.config.hidden)

    @property
    def own(self) -> slice:
        room = self.work.stop - self.work.start
        return slice(self.work.start, self.work.start + min(self.config.patch**2, 2 * room // 3))

    @property
    def around(self) -> slice:
        room = (self.work.stop - self.own.stop) // 8 * 8 if self.config.position == "conv" else 0
        return slice(self.own.stop, self.own.stop + min(room, 8 * len(NEAR)))

    @property
    def kinds(self) -> tuple[tuple[int, ...], ...]:
        """By which numbers the heads of the last layer tell kinds of patches apart: all, grey values, curvatures."""
        grey = tuple(range(0, NUMBERS - 1, 3))
        every = (tuple(range(NUMBERS)), grey, tuple(n for n in range(NUMBERS - 1) if n not in grey))
        wide = self.config.hidden // self.config.heads > NUMBERS
        return every[: min(self.config.heads, (self.work.stop - self.work.start) // (NUMBERS + 1)) if wide else 0]

    @property
    def last(self) -> slice:
        """What attention of the last layer writes to: for each kind its numbers, and the size of the patch's own."""
        return slice(self.config.hidden - len(self.kinds) * (NUMBERS + 1), self.config.hidden)

    @property
    def heard(self) -> Tensor:
        """The channels of each kind's numbers, (kinds, NUMBERS)."""
        return torch.arange(self.last.start, self.last.stop).view(-1, NUMBERS + 1)[:, :NUMBERS]

    @property
    def sizes(self) -> Tensor:
        """The channels that hold how large a patch's numbers of each kind are, (kinds)."""
        return torch.arange(self.last.start, self.last.stop).view(-1, NUMBERS + 1)[:, NUMBERS]

    def ways(self) -> Tensor:
        """How numbers are written to the channels, (NUMBERS, hidden): 1 and -1."""
        made = torch.zeros(NUMBERS, self.config.hidden)
        place = 0
        for number, share in enumerate(self.shares):
            for _ in range(share):
                made[number, place], made[number, place + 1] = 1, -1
                place += 2
        return made


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
    objective: "Foretold", crops: Crops, how: Augmentation, *, seed: int = 0, steps: int = 20, batch: int = 16, strength: float = 1e-4
) -> None:
    """Teach the objective's network in closed form, on `steps` batches of crops; `batch` must not change what fits in memory."""
    network = objective.encoder
    config, room = network.config, Room(network.config)
    ways = room.ways()
    reading = ways / ways.abs().sum(1, keepdim=True)
    with torch.no_grad():
        clean = _gathered(crops, how, seed, steps, batch)
        seen = network.normalised(clean)
        aims = torch.cat([described(part, config.patch) for part in torch.split(clean, batch)]).flatten(0, 1)
        _embed(network, seen, aims, room, ways)
        x, far = torch.cat([network.embeddings(part) for part in torch.split(seen, batch)]), network.far(seen)
        last = len(network.encoder.layer) - 1
        for number, layer in enumerate(cast("list[Layer]", network.encoder.layer)):
            rows = x[:, network.prefix :].flatten(0, 1)
            look_alike(layer, layer.norm1(rows), _told_by(room, reading))
            layer.attention.output.dense.weight.mul_(MIXED)
            if number == last and len(room.heard):
                spread = float(rows.std(-1, correction=0).mean())
                hear_kinds(layer, spread, [reading[list(kind)] for kind in room.kinds], reading, room.heard, room.sizes)
            y = torch.cat([part + layer.layer_scale1(layer.attention(layer.norm1(part), far)) for part in torch.split(x, batch)])
            rows = y[:, network.prefix :].flatten(0, 1)
            inputs = layer.norm2(rows)
            generator = torch.Generator().manual_seed(seed + number)
            if number < last:
                _ask(layer, inputs, clean, number, generator)
                wanted = (aims - rows @ reading.T) @ ways
                if number == last - 1 and len(room.heard):
                    _clear(layer, rows, rows @ reading.T, wanted, room)
            else:
                wanted = _mixing(layer, inputs, rows, reading, room, generator)
                wanted[:, : room.constants.start] = (aims - rows @ reading.T) @ ways[:, : room.constants.start]
            hidden = functional.gelu(layer.mlp.fc1(inputs))
            weight, offset = ridge(hidden, wanted, strength)
            layer.mlp.fc2.weight.copy_(weight)
            layer.mlp.fc2.bias.copy_(offset)
            x = torch.cat([part + layer.layer_scale2(layer.mlp(layer.norm2(part))) for part in torch.split(y, batch)])
        spread = float(x[:, network.prefix :].std(-1, correction=0).mean())
        network.layernorm.weight.zero_()
        network.layernorm.weight[room.told] = spread
        read_off(objective, network.layernorm(x[:, network.prefix :].flatten(0, 1)), aims)


def _told_by(room: Room, reading: Tensor) -> list[Tensor]:
    """What heads tell tokens by: the numbers, what lies around, the detail of the patch."""
    every = torch.eye(room.config.hidden)
    return [reading, *(every[part] for part in (room.around, room.own) if part.stop - part.start > 1)]


def settle_reading(objective: "Foretold", crops: Crops, how: Augmentation, *, seed: int = 0, steps: int = 4, batch: int = 16) -> None:
    """Begin from a network as it is: find the linear map that reads the numbers off its tokens."""
    network = objective.encoder
    with torch.no_grad():
        clean = _gathered(crops, how, seed, steps, batch)
        device = next(network.parameters()).device
        found = [network(network.normalised(part.to(device)))[:, network.prefix :].float().cpu() for part in torch.split(clean, batch)]
        aims = torch.cat([described(part, network.config.patch) for part in torch.split(clean, batch)])
        read_off(objective, torch.cat(found).flatten(0, 1), aims.flatten(0, 1))


def read_off(objective: "Foretold", tokens: Tensor, aims: Tensor) -> None:
    """Have the objective's linear map read the numbers (rows, NUMBERS) off tokens (rows, hidden) as well as can be."""
    weight, offset = ridge(tokens, aims, 1e-4)
    objective.describe.weight.copy_(weight)
    objective.describe.bias.copy_(offset)


def _gathered(crops: Crops, how: Augmentation, seed: int, steps: int, batch: int) -> Tensor:
    """Crops (n, 1, y, x) in other tones, every other one smoothed: scans may be smoother than those that teach."""
    found = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        crop, _ = crops.single(step * crops.pool.refresh, batch)
        sigma = SMOOTH * torch.rand(batch, 1, 1, 1, generator=generator) * (torch.arange(batch) % 2).view(-1, 1, 1, 1)
        found.append(toned(blurred(crop, sigma), generator, how))
    return torch.cat(found)


def _embed(network: Vit, seen: Tensor, aims: Tensor, room: Room, ways: Tensor) -> None:
    """Have the embedding give the best linear guess of the numbers, the detail of the patch, and the look of its neighbours."""
    config, e = network.config, network.embeddings
    pixels = functional.unfold(seen, config.patch, stride=config.patch).transpose(1, 2).flatten(0, 1)
    middle = pixels.mean(0)
    guess, offset = ridge(pixels, aims)
    made, bias = ways.T @ guess, ways.T @ offset
    values, vectors = torch.linalg.eigh(((pixels - middle).T @ (pixels - middle) / len(pixels)).double())
    main = (vectors.flip(1) / values.flip(0).clamp_min(1e-6).sqrt()).T.float()
    own = room.own.stop - room.own.start
    made[room.own] = FAINT * main[:own]
    waves = _waves(config.patch)[: (room.around.stop - room.around.start) // 8]
    if len(waves):
        waves = waves / (pixels @ waves.T).std(0).clamp_min(1e-6)[:, None]
        made[room.around] = FAINT * waves.repeat_interleave(8, 0)
    bias[room.work] = -made[room.work] @ middle
    level = 2 * math.sqrt(config.hidden / (room.constants.stop - room.constants.start))
    same = torch.zeros(config.hidden)
    same[room.constants] = level
    same[room.constants.start : room.constants.stop : 2] *= -1
    projection = e.patch_embeddings.projection
    projection.weight.copy_(made.view_as(projection.weight))
    cast(Tensor, projection.bias).copy_(bias + same)
    for token in (e.mask_token, e.cls_token, *([e.register_tokens] if config.registers else [])):
        cast(Tensor, token).mul_(0.5).add_(same)
    if config.position == "conv":
        conv = e.position_conv
        nn.init.zeros_(cast(Tensor, conv.bias))
        nn.init.zeros_(conv.weight)
        places = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
        for channel in range(room.around.start, room.around.stop):
            i, j = places[(channel - room.around.start) % 8]
            conv.weight[channel, 0, i, j] = 1
            conv.weight[channel, 0, 1, 1] = -1


def _waves(patch: int) -> Tensor:
    """The cosines of `NEAR` over a patch, (n, patch · patch)."""
    places = (torch.arange(patch) + 0.5) * math.pi / patch
    made = [torch.outer(torch.cos(down * places), torch.cos(across * places)).flatten() for down, across in NEAR]
    return torch.stack(made)


def _ask(layer: Layer, inputs: Tensor, clean: Tensor, number: int, generator: torch.Generator) -> None:
    """Set what a layer's hidden units answer to: small filters all over the patch, both ways, then whatever chance gives."""
    inner, patch = layer.mlp.fc1.out_features, round((clean.shape[-1] ** 2 * len(clean) / len(inputs)) ** 0.5)
    rows, offsets = [], []
    for answers, gain in probing(clean, patch, number, inner):
        weight, offset = ridge(inputs, answers, 1e-5)
        said = inputs @ weight.T + offset
        scale = gain / said.std(0).clamp_min(1e-6)
        rows += [weight * scale[:, None], -weight * scale[:, None]]
        offsets += [offset * scale, -offset * scale]
    left = inner - sum(len(r) for r in rows)
    map_, middle = whitening(inputs)
    drawn = torch.randn(left, inputs.shape[1], generator=generator)
    drawn = (1.5 * drawn / drawn.norm(dim=1, keepdim=True).clamp_min(1e-6) * math.sqrt(2)) @ map_
    rows.append(drawn)
    offsets.append(torch.randn(left, generator=generator) - drawn @ middle)
    layer.mlp.fc1.weight.copy_(torch.cat(rows))
    layer.mlp.fc1.bias.copy_(torch.cat(offsets))


def _clear(layer: Layer, rows: Tensor, told: Tensor, wanted: Tensor, room: Room) -> None:
    """Have a layer empty the channels that the next one's attention writes to, and say there how large each kind of number is."""
    places = room.last
    count = places.stop - places.start
    layer.mlp.fc1.weight[-count:] = 0.5 * torch.eye(rows.shape[1])[places]
    layer.mlp.fc1.bias[-count:] = 6.0
    wanted[:, places] = -rows[:, places]
    for kind, channel in zip(room.kinds, room.sizes.tolist(), strict=True):
        wanted[:, channel] += told[:, list(kind)].square().mean(-1)


def _spread_out(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Directions (count, NUMBERS) of length one, square to one another as far as there is room, and shifts (count) that share out a
    normal distribution evenly: so mixtures depend less on the draw (orthogonal random features, Yu et al., NIPS 2016)."""
    turns = [torch.linalg.qr(torch.randn(NUMBERS, NUMBERS, generator=generator))[0] for _ in range(-(-count // NUMBERS))]
    each = min(MIXTURES, count)
    levels = math.sqrt(2) * torch.erfinv((2 * torch.arange(each) + 1) / each - 1)
    shifts = [levels[torch.randperm(each, generator=generator)] for _ in range(-(-count // each))]
    return torch.cat(turns)[:count], torch.cat(shifts)[:count]


def _mixing(layer: Layer, inputs: Tensor, rows: Tensor, reading: Tensor, room: Room, generator: torch.Generator) -> Tensor:
    """Set the last layer's hidden units to what takes the workspace away and mixes the numbers; gives what is wanted of it."""
    inner, hidden = layer.mlp.fc1.out_features, inputs.shape[1]
    count = room.work.stop - room.work.start
    directions, shift = _spread_out(count, generator)
    mixed = BENT * (rows @ reading.T @ directions.T + 0.7 * shift)
    wanted = torch.zeros(len(rows), hidden)
    wanted[:, room.work] = torch.tanh(mixed) - rows[:, room.work]
    weight, offset = ridge(inputs, mixed, 1e-6)
    plain = torch.eye(hidden)[room.work] * 0.5
    parts = [(plain, torch.full((len(plain),), 6.0)), (weight, offset + 1), (weight, offset - 1)]
    units = [torch.cat([p[k] for p in parts])[:inner] for k in (0, 1)]
    left = inner - len(units[0])
    map_, middle = whitening(inputs)
    extra = torch.randn(left, hidden, generator=generator)
    extra = (1.5 * extra / extra.norm(dim=1, keepdim=True).clamp_min(1e-6) * math.sqrt(2)) @ map_
    layer.mlp.fc1.weight.copy_(torch.cat([units[0], extra]))
    layer.mlp.fc1.bias.copy_(torch.cat([units[1], torch.randn(left, generator=generator) - extra @ middle]))
    return wanted
