"""Masked feature prediction: every patch is to be described in plain numbers, the hidden ones from their surroundings.

The numbers (`described`) are those of the crop before a little noise was added; a hidden patch asks what usually goes on beside
what is seen (MaskFeat, Wei et al., CVPR 2022). A linear map reads the numbers off the tokens, so that whoever probes the tokens
later can do the same; with `tight` its transpose must also give the tokens' differences within a crop back, so that tokens hold
little else. A crop is also to say which scan it is from, whatever its tone and zoom: by its class token, and by the mean and
spread of its patches, as those who look for similar places pool them (one class a scan, as Dosovitskiy et al. 2014 take one
class an image). One view and no teacher: a step costs one pass of the network, which is what a processor can afford.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.features.vit import Vit, VitConfig
from lithoscope.training.selfsupervised.augment import Augmentation, degraded, toned
from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.described import NUMBERS, described


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """`masked`: the range of hidden shares, one drawn a crop. `hidden`: the weight of hidden patches beside the seen ones.
    `tight`: the weight of tokens being a linear map of the numbers. `origin`: the weight of naming the scan, where there are
    several; `smoothing`: how sure it need not be; `pooled`: by the mean and spread of the patches as well as by the class token, which
    has every token say a little of the scan as a whole."""

    masked: tuple[float, float] = (0.0, 0.3)
    hidden: float = 0.25
    tight: float = 0.0
    origin: float = 0.1
    smoothing: float = 0.1
    pooled: bool = True


class Foretold(nn.Module):
    """The network and the two linear maps that read it. `backbone` is the network."""

    def __init__(
        self, config: VitConfig, settings: FeatureSettings | None = None, *, seed: int = 0, start: Vit | None = None, origins: int = 1
    ) -> None:
        super().__init__()
        self.settings = settings or FeatureSettings()
        self.encoder = start or Vit.random(config, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.describe = nn.Linear(config.hidden, NUMBERS)
            nn.init.orthogonal_(self.describe.weight)
            self.name_scan = nn.Linear((3 if self.settings.pooled else 1) * config.hidden, origins)

    @property
    def backbone(self) -> Vit:
        return self.encoder

    def draw(self, crops: Crops, step: int, batch: int, generator: torch.Generator, how: Augmentation) -> list[tuple[Tensor, ...]]:
        """What a step learns from, in shards of eight crops: as they are seen, which patches are hidden, the numbers that describe
        them, and the scans they are from."""
        crop, origins = crops.single(step, batch)
        clean = toned(crop, generator, how)
        low, high = self.settings.masked
        patches = (crops.side // self.encoder.config.patch) ** 2
        share = low + (high - low) * torch.rand(batch, 1, generator=generator)
        masked = torch.rand(batch, patches, generator=generator) < share
        numbers = described(clean, self.encoder.config.patch)
        return list(zip(*(torch.split(t, 8) for t in (degraded(clean, generator, how), masked, numbers, origins)), strict=True))

    def loss(self, drawn: tuple[Tensor, ...], device: str) -> tuple[Tensor, dict[str, Any]]:
        """How far the numbers read off the tokens are from the true ones (Huber's loss), with naming the scan, and the parts."""
        s = self.settings
        noisy, masked, numbers, origins = (t.to(device) for t in drawn)
        encoded = self.encoder(self.encoder.normalised(noisy), masked)
        tokens = encoded[:, self.encoder.prefix :]
        error = functional.smooth_l1_loss(self.describe(tokens).float(), numbers, reduction="none").mean(-1)
        count = masked.sum().clamp_min(1)
        parts = {"seen": (error * ~masked).sum() / (~masked).sum().clamp_min(1), "hidden": (error * masked).sum() / count}
        total = parts["seen"] + s.hidden * parts["hidden"]
        if s.tight:
            given = numbers @ self.describe.weight.float()
            apart = (tokens.float() - tokens.float().mean(1, keepdim=True)) - (given - given.mean(1, keepdim=True))
            parts["tight"] = (apart.square().sum(-1) * ~masked).sum() / (~masked).sum().clamp_min(1) / NUMBERS
            total = total + s.tight * parts["tight"]
        if s.origin and self.name_scan.out_features > 1:
            told = [encoded[:, 0], *([tokens.mean(1), tokens.float().std(1).to(tokens.dtype)] if s.pooled else [])]
            named = self.name_scan(torch.cat(told, -1)).float()
            parts["origin"] = functional.cross_entropy(named, origins, label_smoothing=s.smoothing)
            total = total + s.origin * parts["origin"]
        return total, {name: float(value.detach()) for name, value in parts.items()}

    def after_step(self, fraction: float) -> None:
        """Nothing follows a step here."""
