"""ResNets as backbones, the convolutional baselines: one token for every 32 × 32 pixels, from the last stage.

The network is that of transformers (`microsoft/resnet-18`, `-50`, `-152`); files of torchvision and timm hold the same under other
names. It has no attention to show. This file defines a network module: import it inside functions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lithoscope.errors import InputError

_TORCHVISION = (
    (r"^conv1\.", "embedder.embedder.convolution."),
    (r"^bn1\.", "embedder.embedder.normalization."),
    (r"^layer(\d)\.(\d+)\.downsample\.0\.", r"encoder.stages.@\1.layers.\2.shortcut.convolution."),
    (r"^layer(\d)\.(\d+)\.downsample\.1\.", r"encoder.stages.@\1.layers.\2.shortcut.normalization."),
    (r"^layer(\d)\.(\d+)\.conv(\d)\.", r"encoder.stages.@\1.layers.\2.layer.@\3.convolution."),
    (r"^layer(\d)\.(\d+)\.bn(\d)\.", r"encoder.stages.@\1.layers.\2.layer.@\3.normalization."),
)


@dataclass(frozen=True, slots=True)
class ConvConfig:
    """The shape of a ResNet: features and layers of its four stages, with three convolutions a layer when `deep`."""

    stem: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    deep: bool
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def hidden(self) -> int:
        """The channels of a token."""
        return self.widths[-1]

    @property
    def patch(self) -> int:
        """Pixels from one token to the next."""
        return 1 << (len(self.widths) + 1)

    @property
    def depth(self) -> int:
        """Layers that tokens are taken from: the last stage alone."""
        return 1


class Convnet(nn.Module):
    """A ResNet that gives tokens as a ViT does; there is nothing before the patches."""

    prefix = 0

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        from transformers import ResNetConfig, ResNetModel

        self.config = config
        kind = "bottleneck" if config.deep else "basic"
        self.net = ResNetModel(
            ResNetConfig(
                num_channels=config.channels, embedding_size=config.stem, hidden_sizes=list(config.widths), depths=list(config.depths),
                layer_type=kind,
            )
        )  # fmt: skip

    def normalised(self, pixels: Tensor) -> Tensor:
        """Grey images (batch, 1, y, x) whose window lies at 0…1, as this network wants them."""
        mean, std = (
            torch.tensor(v, dtype=pixels.dtype, device=pixels.device).view(1, -1, 1, 1) for v in (self.config.mean, self.config.std)
        )
        return (pixels.expand(-1, self.config.channels, -1, -1) - mean) / std

    def forward(self, pixels: Tensor) -> Tensor:
        """Tokens (batch, patches, channels), row by row."""
        found: Tensor = self.net(pixels).last_hidden_state
        return found.flatten(2).transpose(1, 2)

    def layers(self, pixels: Tensor, wanted: tuple[int, ...], *, norm: bool = True) -> list[Tensor]:
        """The same for each of the wanted layers, of which there is the last alone."""
        if any(w not in (1, -1) for w in wanted):
            raise InputError(f"layers {wanted}: of a convolutional network there is the last alone")
        return [self.forward(pixels)] * len(wanted)

    def attention(self, pixels: Tensor, block: int = -1) -> Tensor:
        """Not to be had."""
        raise InputError("a convolutional network has no attention; choose a vision transformer")

    def size(self) -> int:
        """How many parameters it has."""
        return sum(p.numel() for p in self.parameters())


def fits(tensors: Mapping[str, Any]) -> bool:
    """Whether these are a ResNet's."""
    return any(re.match(r"^(resnet\.)?embedder\.embedder\.convolution\.weight$|^layer1\.0\.conv1\.weight$", n) for n in tensors)


def loaded(tensors: Mapping[str, Tensor], name: str) -> tuple[ConvConfig, dict[str, Tensor], tuple[str, ...]]:
    """The shape, the weights in this network's names, and what the file holds beside them; refused unless they fit exactly."""
    given = {n.removeprefix("resnet."): t for n, t in tensors.items()}
    left_out = tuple(n for n in given if re.match(r"^(classifier|fc)\.", n))
    made = {_renamed(n): t for n, t in given.items() if n not in left_out}
    stages = 1 + max(int(m.group(1)) for n in made if (m := re.match(r"encoder\.stages\.(\d+)\.", n)))
    depths = tuple(
        1 + max(int(m.group(1)) for n in made if (m := re.match(rf"encoder\.stages\.{s}\.layers\.(\d+)\.", n))) for s in range(stages)
    )
    deep = any(".layer.2." in n for n in made)
    last = "2" if deep else "1"
    try:
        widths = tuple(int(made[f"encoder.stages.{s}.layers.0.layer.{last}.convolution.weight"].shape[0]) for s in range(stages))
        stem = made["embedder.embedder.convolution.weight"]
    except KeyError as error:
        raise InputError(f"{name} lacks {error.args[0]}; it is not a whole ResNet") from error
    config = ConvConfig(int(stem.shape[0]), widths, depths, deep, int(stem.shape[1]))
    with torch.device("meta"):
        wanted = {n: tuple(t.shape) for n, t in Convnet(config).net.state_dict().items()}
    missing = sorted(n for n in wanted.keys() - made.keys() if not n.endswith("num_batches_tracked"))
    unexpected = sorted(made.keys() - wanted.keys())
    wrong = sorted(n for n in wanted.keys() & made.keys() if tuple(made[n].shape) != wanted[n])
    if missing or unexpected or wrong:
        parts = [
            f"{len(k)} {what} keys: {', '.join(k[:5])}"
            for what, k in (("missing", missing), ("unexpected", unexpected), ("wrong", wrong))
            if k
        ]
        raise InputError(f"{name} does not fit its network, {'; '.join(parts)}")
    made |= {n: torch.tensor(0) for n in wanted.keys() - made.keys()}
    return config, {f"net.{n}": t for n, t in made.items()}, left_out


def _renamed(name: str) -> str:
    for pattern, replacement in _TORCHVISION:
        name = re.sub(pattern, replacement, name)
    return re.sub(r"@(\d)", lambda m: str(int(m.group(1)) - 1), name)
