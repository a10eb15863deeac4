"""DINO: a student looks at parts of a place and must say what its teacher, a slow copy of it, says of the whole.

Student and teacher heads start alike, both of the student's parts are trained, the student has its own temperature, and
KoLeo spreads the backbone's class tokens, not the head's output. iBOT asks the same of single patches that the student
could not see.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.features.vit import Vit, VitConfig
from lithoscope.training.selfsupervised.augment import Augmentation, degraded, toned
from lithoscope.training.selfsupervised.crops import Crops


@dataclass(frozen=True, slots=True)
class DinoSettings:
    """The published values, save `prototypes`, `head_hidden` and `momentum`, which suit small sets and short runs."""

    prototypes: int = 4096
    head_hidden: int = 1024
    bottleneck: int = 256
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    centre_momentum: float = 0.9
    momentum: float = 0.99
    drop_path: float = 0.1
    freeze_prototypes: int = 40
    ibot: float = 1.0
    masked: tuple[float, float] = (0.1, 0.5)
    koleo: float = 0.1


class Head(nn.Module):
    """Three layers, a unit vector, and its agreement with unit prototypes."""

    def __init__(self, width: int, settings: DinoSettings) -> None:
        super().__init__()
        hidden = settings.head_hidden
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, settings.bottleneck)
        )
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.prototypes = nn.Parameter(torch.randn(settings.prototypes, settings.bottleneck))

    def forward(self, x: Tensor) -> Tensor:
        unit = functional.normalize(self.mlp(x).float(), dim=-1).to(x.dtype)
        return functional.linear(unit, functional.normalize(self.prototypes, dim=-1).to(x.dtype))


def cross_entropy(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """The mean cross-entropy of the student's logits under the teacher's probabilities."""
    return -(teacher * functional.log_softmax(student.float() / temperature, -1)).sum(-1).mean()


def koleo(tokens: Tensor) -> Tensor:
    """How close each unit vector (n, channels) lies to its nearest neighbour, −log; small when they are spread."""
    unit = functional.normalize(tokens.float(), dim=-1)
    with torch.no_grad():
        likeness = unit @ unit.T
        likeness.fill_diagonal_(-2)
        nearest = likeness.argmax(1)
    return -torch.log((unit - unit[nearest]).norm(dim=-1) + 1e-8).mean()


class Dino(nn.Module):
    """Student, teacher, their heads and centres. `backbone` is the teacher."""

    centre: Tensor
    patch_centre: Tensor

    def __init__(self, config: VitConfig, settings: DinoSettings | None = None, *, seed: int = 0, start: Vit | None = None) -> None:
        super().__init__()
        self.settings = settings or DinoSettings()
        self.student = start or Vit.random(config, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.student_head = Head(config.hidden, self.settings)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.teacher_head = copy.deepcopy(self.student_head).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(self.settings.prototypes))
        self.register_buffer("patch_centre", torch.zeros(self.settings.prototypes))

    @property
    def backbone(self) -> Vit:
        return self.teacher

    def draw(self, crops: Crops, step: int, batch: int, generator: torch.Generator, how: Augmentation) -> list[tuple[Tensor, ...]]:
        """What a step learns from, in one shard, for centres and KoLeo want the whole batch: which patches of the global views
        to hide, then the views, the two global ones first."""
        views = [degraded(toned(v, generator, how), generator, how) for v in crops.multiple(step, batch)]
        patches = (crops.side // self.student.config.patch) ** 2
        return [(self._masks(2 * batch, patches, generator), *views)]

    def loss(self, drawn: tuple[Tensor, ...], device: str) -> tuple[Tensor, dict[str, Any]]:
        """DINO between all pairs of different views, with iBOT and KoLeo as asked, and the parts."""
        s = self.settings
        views = [self.student.normalised(view.to(device)) for view in drawn[1:]]
        whole, parts_of = torch.cat(views[:2]), views[2:]
        with torch.no_grad():
            seen = self.teacher(whole)
            logits = self.teacher_head(seen[:, 0]).float()
            answers = functional.softmax((logits - self.centre) / s.teacher_temperature, -1).chunk(2)
        masked = drawn[0].to(device) if s.ibot else None
        tokens = self.student(whole, masked, drop_path=s.drop_path)
        words = list(self.student_head(tokens[:, 0]).chunk(2))
        if parts_of:
            words += list(self.student_head(self.student(torch.cat(parts_of), drop_path=s.drop_path)[:, 0]).chunk(len(parts_of)))
        pairs = [cross_entropy(a, w, s.student_temperature) for i, a in enumerate(answers) for j, w in enumerate(words) if i != j]
        losses = {"dino": torch.stack(pairs).mean()}
        if masked is not None:
            with torch.no_grad():
                patches = self.teacher_head(seen[:, self.teacher.prefix :][masked]).float()
                wanted = functional.softmax((patches - self.patch_centre) / s.teacher_temperature, -1)
            said = self.student_head(tokens[:, self.student.prefix :][masked])
            losses["ibot"] = cross_entropy(wanted, said, s.student_temperature)
            self._move(self.patch_centre, patches)
        if s.koleo:
            losses["koleo"] = torch.stack([koleo(t) for t in tokens[:, 0].chunk(2)]).mean()
        self._move(self.centre, logits)
        total = losses["dino"] + s.ibot * losses.get("ibot", torch.zeros(())) + s.koleo * losses.get("koleo", torch.zeros(()))
        said_of = {name: float(value.detach()) for name, value in losses.items()}
        mean = torch.cat(answers).mean(0)
        said_of["used"] = float(torch.exp(-(mean * mean.clamp_min(1e-12).log()).sum()))
        return total, said_of

    def after_step(self, fraction: float) -> None:
        """Move the teacher towards the student; `fraction` is how much of the fall of the rate is done."""
        momentum = 1 - (1 - self.settings.momentum) * (math.cos(math.pi * fraction) + 1) / 2
        with torch.no_grad():
            for slow, fast in ((self.teacher, self.student), (self.teacher_head, self.student_head)):
                for a, b in zip(slow.parameters(), fast.parameters(), strict=True):
                    a.lerp_(b, 1 - momentum)

    def _masks(self, n: int, count: int, generator: torch.Generator) -> Tensor:
        low, high = self.settings.masked
        share = torch.rand(n, 1, generator=generator) * (high - low) + low
        share[torch.rand(n, 1, generator=generator) < 0.5] = 0.0
        share[0] = high
        return torch.rand(n, count, generator=generator) < share

    def _move(self, centre: Tensor, logits: Tensor) -> None:
        with torch.no_grad():
            centre.lerp_(logits.mean(0), 1 - self.settings.centre_momentum)
