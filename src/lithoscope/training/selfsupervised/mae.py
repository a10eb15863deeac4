"""Masked autoencoding: most patches are hidden from the encoder, a small decoder paints them in from the rest.

The target is the crop before noise was added, for noise cannot be foretold; what is seen is painted too, at a small weight,
which teaches tokens to see through noise at the places they cover. Two more tasks, each a linear map of the encoder's tokens
and each to be left out by a weight of 0: to describe the patch and its surroundings in plain numbers, and to say which scan a
crop is from, in the class token and in the mean of the others, whatever its tone and zoom.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.features.vit import Layer, Vit, VitConfig
from lithoscope.training.selfsupervised.augment import Augmentation, degraded, toned
from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.described import NUMBERS, described


@dataclass(frozen=True, slots=True)
class MaeSettings:
    """`masked`: the range of hidden shares, one drawn a step. `seen`: the weight of the patches that were not hidden.
    `described`, `origin`: the weights of the two further tasks. Describing is what teaches energies (edges, spread) rather than
    mere averages; naming the scan is noisy, and off unless asked for."""

    masked: tuple[float, float] = (0.3, 0.7)
    decoder_hidden: int = 96
    decoder_depth: int = 2
    seen: float = 0.25
    described: float = 2.0
    origin: float = 0.0


def waves(rows: int, columns: int, width: int) -> Tensor:
    """Fixed places (rows · columns, width): sines and cosines of the row, then of the column."""
    frequencies = 1.0 / 10000 ** (torch.arange(width // 4, dtype=torch.float32) / (width // 4))
    y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequencies for axis in (y, x)]
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], 1)


class Mae(nn.Module):
    """Encoder and decoder. `backbone` is the encoder."""

    def __init__(
        self, config: VitConfig, settings: MaeSettings | None = None, *, seed: int = 0, start: Vit | None = None, origins: int = 1
    ) -> None:
        super().__init__()
        self.settings = settings or MaeSettings()
        self.encoder = start or Vit.random(config, seed)
        width = self.settings.decoder_hidden
        narrow = VitConfig(hidden=width, heads=3, depth=self.settings.decoder_depth, layer_scale=False, position="none")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.narrow = nn.Linear(config.hidden, width)
            self.decoder = nn.ModuleList(Layer(narrow) for _ in range(narrow.depth))
            self.paint = nn.Linear(width, config.patch**2)
            self.describe = nn.Linear(config.hidden, NUMBERS)
            self.name_scan = nn.Linear(2 * config.hidden, origins)
            self.hidden_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)

    @property
    def backbone(self) -> Vit:
        return self.encoder

    def encode(self, pixels: Tensor, shown: Tensor) -> Tensor:
        """The class token, the registers, and the tokens of the shown patches only; `shown` (batch, k) holds their numbers."""
        e = self.encoder.embeddings
        config = self.encoder.config
        square = e.patch_embeddings.projection(pixels)
        n, width, rows, columns = square.shape
        tokens = square.flatten(2).transpose(1, 2)
        if config.position == "conv":
            seen = torch.zeros(n, rows * columns, 1, dtype=tokens.dtype, device=tokens.device).scatter_(1, shown[..., None], 1)
            near = (tokens * seen).transpose(1, 2).reshape(n, width, rows, columns)
            near = e.position_conv(functional.pad(near, (1, 1, 1, 1), mode="replicate"))
            tokens = tokens + near.flatten(2).transpose(1, 2)
        prefix = [e.cls_token.to(tokens.dtype).expand(n, -1, -1)]
        if config.position == "learned":
            places = e.places(rows, columns).to(tokens.dtype)
            tokens, prefix[0] = tokens + places[:, 1:], prefix[0] + places[:, :1]
        if config.registers:
            prefix.append(e.register_tokens.to(tokens.dtype).expand(n, -1, -1))
        x = torch.cat([*prefix, tokens.gather(1, shown[..., None].expand(-1, -1, width))], 1)
        far = self._far(pixels, shown)
        for layer in self.encoder.encoder.layer:
            x = layer(x, None, far)
        return cast(Tensor, self.encoder.layernorm(x))

    def _far(self, pixels: Tensor, shown: Tensor) -> Tensor | None:
        """As the network's own, between the tokens that are shown: (batch, heads, tokens, tokens)."""
        far = self.encoder.far(pixels)
        if far is None:
            return None
        first = torch.arange(self.encoder.prefix, device=shown.device).expand(len(shown), -1)
        kept = torch.cat([first, shown + self.encoder.prefix], 1)
        return torch.stack([far[:, k][:, :, k] for k in kept])

    def painted(self, pixels: Tensor, share: float, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All patches as painted (batch, patches, patch²), which were shown (batch, k), the first of `order`, and the encoder's tokens."""
        n, _, height, breadth = pixels.shape
        rows, columns = height // self.encoder.config.patch, breadth // self.encoder.config.patch
        count = rows * columns
        shown = order[:, : max(1, round(count * (1 - share)))].to(pixels.device)
        encoded = self.encode(pixels, shown)
        tokens = self.narrow(encoded[:, self.encoder.prefix :])
        width = self.settings.decoder_hidden
        full = self.hidden_token.to(tokens.dtype).expand(n, count, -1).scatter(1, shown[..., None].expand(-1, -1, width), tokens)
        x = full + waves(rows, columns, width).to(full)
        for layer in self.decoder:
            x = layer(x)
        return self.paint(x), shown, encoded

    def draw(self, crops: Crops, step: int, batch: int, generator: torch.Generator, how: Augmentation) -> list[tuple[Tensor, ...]]:
        """What a step learns from, in shards of eight crops that can be worked on apart: crops as they are seen and as they should
        be painted, an order of their patches, and the share of it to hide."""
        crop, origins = crops.single(step, batch)
        clean = toned(crop, generator, how)
        low, high = self.settings.masked
        share = low + (high - low) * torch.rand(1, generator=generator)
        patch = self.encoder.config.patch
        order = torch.rand(batch, (crops.side // patch) ** 2, generator=generator).argsort(1)
        noisy = degraded(clean, generator, how)
        numbers = described(clean, patch) if self.settings.described else torch.zeros(batch, 0)
        shards = zip(*(torch.split(t, 8) for t in (noisy, clean, order, numbers, origins)), strict=True)
        return [(*shard, share) for shard in shards]

    def loss(self, drawn: tuple[Tensor, ...], device: str) -> tuple[Tensor, dict[str, Any]]:
        """The mean squared error of the painted patches of one shard with the further tasks, and the parts."""
        s = self.settings
        noisy, clean, order, numbers, origins, share = drawn
        painted, shown, encoded = self.painted(self.encoder.normalised(noisy.to(device)), float(share), order)
        patch = self.encoder.config.patch
        target = functional.unfold(clean.to(device), patch, stride=patch).transpose(1, 2)
        error = (painted.float() - target).square().mean(-1)
        hidden = torch.ones_like(error, dtype=torch.bool).scatter_(1, shown, False)
        parts = {"hidden": error[hidden].mean(), "seen": error[~hidden].mean()}
        total = parts["hidden"] + s.seen * parts["seen"]
        tokens = encoded[:, self.encoder.prefix :]
        if s.described:
            wanted = numbers.to(device).gather(1, shown[..., None].expand(-1, -1, NUMBERS))
            parts["described"] = (self.describe(tokens).float() - wanted).square().mean()
            total = total + s.described * parts["described"]
        if s.origin:
            both = torch.cat([encoded[:, 0], tokens.mean(1)], -1)
            parts["origin"] = functional.cross_entropy(self.name_scan(both).float(), origins.to(device))
            total = total + s.origin * parts["origin"]
        return total, {name: float(value.detach()) for name, value in parts.items()}

    def after_step(self, fraction: float) -> None:
        """Nothing follows a step here."""
