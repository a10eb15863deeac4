"""The second half of the recipe: the last layer learns what makes a few labels enough.

Each step asks what a person asks: from a few labelled pixels of one slice of a simulated scan, which phase lies where on another? It is
answered from the tokens twice, by ridge regression in closed form (Bertinetto et al., Meta-learning with differentiable
closed-form solvers, ICLR 2019) and by neighbours (Vinyals et al., Matching networks, NIPS 2016), and the last layer follows the
gradient of both. Crops, of real scans too, are to find
those of their own scan again, by the mean and spread of their tokens and by the class token (Khosla et al., Supervised contrastive
learning, NeurIPS 2020).
`FREE` channels that said nothing before are taught so; the others are held where they were. All layers before the last stay as they
are, so their outputs are computed once.
"""

import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))
from lithoscope.errors import InputError
from lithoscope.features.vit import Layer, Vit
from lithoscope.training.selfsupervised.augment import Augmentation, degraded, toned
from lithoscope.training.selfsupervised.crops import Crops, Pool, Source
from pretrain_episodes import CROPS, Episode, Places, episodes, geometries

FREE = 30
"""How many channels, the last ones, are taught anew."""


@dataclass(frozen=True)
class Lessons:
    """How the last layer is taught. `held`: the weight of the other channels staying as they are; `found`: of crops finding those of
    their scan; `tasks` and `crops`: how many of each a step sees; `bank` and `real`: how many are made in all."""

    steps: int = 1200
    rate: float = 2e-4
    held: float = 50.0
    found: float = 0.5
    tasks: int = 4
    crops: int = 8
    bank: int = 2000
    real: int = 1280
    volumes: int = 252
    seed: int = 0


class Answers(nn.Module):
    """What is learnt beside the layer, each as a logarithm: the ridge's strength, how sure it is, and how near neighbours are, and
    crops of one scan."""

    def __init__(self) -> None:
        super().__init__()
        self.strength, self.sure, self.near, self.alike = (nn.Parameter(torch.tensor(math.log(v))) for v in (30.0, 6.0, 6.0, 8.0))

    def phases(self, tokens: Tensor, task: Episode, places: tuple[Places, Places]) -> tuple[Tensor, Tensor, float]:
        """How wrong the ridge and the neighbours are on the other slice, and the share that the ridge has right, of the tokens
        (CROPS, rows, columns, channels) of a task."""
        told, asked = (sampled(part, p, task.crops.shape[-1]) for part, p in zip((tokens[:2], tokens[2:]), places, strict=True))
        middle, spread = told.mean(0), told.std(0).clamp_min(1e-3)
        told, asked = (told - middle) / spread, (asked - middle) / spread
        truth = torch.from_numpy(places[1].phase)
        said = functional.one_hot(torch.from_numpy(places[0].phase), task.phases).float()
        usual = said.mean(0)
        ridge = torch.linalg.solve(told @ told.T + self.strength.exp() * torch.eye(len(told)), said - usual)
        by_ridge = asked @ (told.T @ ridge) + usual
        far = torch.cdist(asked, told).square() / told.shape[1]
        by_near = torch.softmax(-self.near.exp() * far, 1) @ said
        wrong = functional.cross_entropy(by_ridge * self.sure.exp(), truth)
        wrong_near = -by_near.gather(1, truth[:, None]).clamp_min(1e-4).log().mean()
        return wrong, wrong_near, float((by_ridge.argmax(1) == truth).float().mean())

    def scans(self, vectors: Tensor, scans: Tensor) -> Tensor:
        """How badly crops, by their vectors (n, length), find the others of their scan (n)."""
        apart = functional.normalize((vectors - vectors.mean(0)) / vectors.std(0).clamp_min(1e-4), dim=1)
        itself = torch.eye(len(apart), dtype=torch.bool)
        likely = torch.log_softmax((apart @ apart.T * self.alike.exp()).masked_fill(itself, -1e9), 1)
        same = (scans[:, None] == scans) & ~itself
        some = same.any(1)
        return -((likely * same).sum(1)[some] / same.sum(1)[some]).mean()


def pooled(patches: Tensor) -> Tensor:
    """The mean and spread of the tokens (n, patches, channels) of each crop, (n, 2 · channels)."""
    return torch.cat([patches.mean(1), patches.std(1)], 1)


def sampled(tokens: Tensor, places: Places, side: int) -> Tensor:
    """The tokens (crops, rows, columns, channels) between patch centres at pixels of crops of this side: (n, channels)."""
    where = torch.from_numpy((places.where[:, :0:-1] + 0.5) / side * 2 - 1).float()
    found = tokens.new_zeros(len(where), tokens.shape[-1])
    for crop in range(len(tokens)):
        chosen = torch.from_numpy(places.where[:, 0] == crop)
        image = tokens[crop].permute(2, 0, 1)[None]
        drawn = functional.grid_sample(image, where[chosen][None, None], padding_mode="border", align_corners=False)
        found = found.index_put((chosen.nonzero()[:, 0],), drawn[0, :, 0].T)
    return found


@dataclass(frozen=True)
class Bank:
    """Tasks and crops of real scans, and what comes before the last layer for each: `of_tasks` (n, CROPS, tokens, channels),
    `of_crops` (n, tokens, channels), `origins` (n) the scans of the crops."""

    tasks: list[Episode]
    of_tasks: Tensor
    of_crops: Tensor
    origins: Tensor

    def drawn(self, how: Lessons, rng: np.random.Generator) -> tuple[list[Episode], Tensor, Tensor]:
        """The tasks of a step, the inputs of all its crops, theirs first, and which scan each crop is from."""
        chosen = rng.choice(len(self.tasks), how.tasks, replace=False)
        beside = rng.choice(len(self.of_crops), how.crops, replace=False)
        simulated = -1 - torch.arange(how.tasks).repeat_interleave(CROPS)
        inputs = torch.cat([self.of_tasks[chosen].flatten(0, 1), self.of_crops[beside]])
        return [self.tasks[i] for i in chosen], inputs, torch.cat([simulated, self.origins[beside]])


def teach_last(network: Vit, scans: Sequence[Source], how: Lessons) -> Vit:
    """A copy of a network (started in closed form) whose last layer was taught on simulated tasks and on crops of these scans.

    Raises InputError where the last `FREE` channels say something already.
    """
    if network.layernorm.weight[-FREE:].any():
        raise InputError(f"the last {FREE} channels of this network are in use; give one that was started in closed form")
    made = copy.deepcopy(network).float().eval().requires_grad_(False)
    side, rows = made.config.image_size, made.config.image_size // made.config.patch
    volumes = geometries(how.volumes, 77)
    kept = how.volumes // 9
    bank = _bank(made, episodes(volumes[kept:], how.bank, side, how.seed + 1), *_crops(scans, how, side))
    unseen = episodes(volumes[:kept], 48, side, 1000)
    of_unseen = torch.stack([_before_last(made, task.crops) for task in unseen])
    was, layer, norm = copy.deepcopy(made), cast(Layer, made.encoder.layer[-1]), made.layernorm
    held = was.layernorm.weight != 0
    held[-FREE:] = False
    norm.weight[-FREE:] = 1.0
    silent = norm.weight == 0
    answers = Answers()
    taught = [*layer.requires_grad_(True).parameters(), *norm.requires_grad_(True).parameters()]
    optimiser = _optimiser(taught, answers, how)
    with torch.no_grad():
        spread = _last(was, bank.of_crops[:256])[:, was.prefix :].std((0, 1)).clamp_min(1e-3)
    rng = np.random.default_rng(how.seed)
    for step in range(how.steps):
        for group in optimiser.param_groups:
            group["lr"] = how.rate * group["times"] * _pace(step, how.steps)
        tasks, inputs, origins = bank.drawn(how, rng)
        whole = _last(made, inputs)
        flat = whole[:, made.prefix :]
        tokens = flat.unflatten(1, (rows, rows))
        found = answers.scans(pooled(flat), origins) + answers.scans(whole[:, 0], origins)
        with torch.no_grad():
            aim = _last(was, inputs)[:, was.prefix :]
        moved = ((flat - aim) / spread)[..., held].square().mean()
        parts = [answers.phases(tokens[CROPS * i : CROPS * i + CROPS], task, task.places(rng)) for i, task in enumerate(tasks)]
        wrong = torch.stack([ridge + near for ridge, near, _ in parts]).mean()
        optimiser.zero_grad()
        (wrong + how.found * found + how.held * moved).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(taught, 1.0)
        optimiser.step()
        with torch.no_grad():
            norm.weight[silent] = 0
            norm.bias[silent] = 0
        if step % 200 == 0 or step == how.steps - 1:
            right = _right(made, answers, unseen, of_unseen, rows)
            told = {"wrong": float(wrong.detach()), "scans": float(found.detach()), "moved": float(moved.detach()), "right": right}
            print(f"strokes, step {step}:", ", ".join(f"{name} {value:.3f}" for name, value in told.items()), flush=True)
    return made.requires_grad_(False)


def _bank(network: Vit, tasks: list[Episode], crops: Tensor, origins: Tensor) -> Bank:
    of_tasks = torch.stack([_before_last(network, task.crops) for task in tasks])
    return Bank(tasks, of_tasks, torch.cat([_before_last(network, part) for part in torch.split(crops, 16)]), origins)


def _optimiser(taught: list[nn.Parameter], answers: Answers, how: Lessons) -> torch.optim.Optimizer:
    """Matrices with weight decay, vectors without, and what is learnt beside the layer ten times as fast."""
    groups = [
        {"params": [p for p in taught if p.ndim > 1], "weight_decay": 0.02, "times": 1},
        {"params": [p for p in taught if p.ndim == 1], "weight_decay": 0.0, "times": 1},
        {"params": list(answers.parameters()), "weight_decay": 0.0, "times": 10},
    ]
    return torch.optim.AdamW(groups, lr=how.rate)


def _pace(step: int, steps: int) -> float:
    """The share of the full rate: up over 100 steps, level, and down along a cosine from three tenths of the way."""
    late = max(0.0, (step / steps - 0.3) / 0.7)
    return min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * late))


def _before_last(network: Vit, crops: Tensor) -> Tensor:
    with torch.no_grad():
        x, far = network.embeddings(network.normalised(crops)), network.far(crops)
        for layer in network.encoder.layer[:-1]:
            x = layer(x, None, far)
    return x


def _last(network: Vit, before: Tensor) -> Tensor:
    """What the last layer makes of what comes before it: (n, tokens, channels)."""
    side = network.config.image_size
    far = network.far(torch.empty(1, 1, side, side))
    return network.layernorm(network.encoder.layer[-1](before, None, far))  # type: ignore[no-any-return]


def _crops(scans: Sequence[Source], how: Lessons, side: int) -> tuple[Tensor, Tensor]:
    """Crops (n, 1, side, side) of scans under other tones, a little degraded, and the numbers of their scans (n)."""
    drawn = Crops(Pool(scans, how.seed, 24, 112, 20), side, side // 2)
    tone, found, origins = Augmentation(blur=0.8, blur_chance=0.2, noise=0.06, noise_chance=0.3), [], []
    for step in range(how.real // 16):
        generator = torch.Generator().manual_seed(how.seed * 1_000_003 + step)
        crops, numbers = drawn.single(step, 16)
        found.append(degraded(toned(crops, generator, tone), generator, tone))
        origins.append(numbers)
    return torch.cat(found), torch.cat(origins)


def _right(network: Vit, answers: Answers, tasks: list[Episode], before: Tensor, rows: int) -> float:
    """The share of places on the other slices that the ridge names rightly."""
    rng = np.random.default_rng(5)
    with torch.no_grad():
        tokens = [_last(network, part)[:, network.prefix :].unflatten(1, (rows, rows)) for part in before]
        return float(np.mean([answers.phases(found, task, task.places(rng))[2] for found, task in zip(tokens, tasks, strict=True)]))
