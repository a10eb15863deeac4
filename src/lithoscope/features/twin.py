"""Two trunks that look at one picture as one backbone: its tokens are those of both, side by side.

A double Siamese network is used like any other backbone by way of this: libraries are embedded with it, and the first half of
each vector is what it looks like, the second what was learnt of its properties. A file of network modules: import it in functions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from lithoscope.errors import UnreadableError
from lithoscope.features.convnet import ConvConfig, Convnet
from lithoscope.features.vit import Vit, VitConfig

NAME = "siamese.json"
FILE = "model.safetensors"


@dataclass(frozen=True, slots=True)
class TwinConfig:
    """The shape of both together."""

    hidden: int
    patch: int
    channels: int
    depth: int = 1


class Twin(nn.Module):
    """`image` and `rock` are the trunks; where they are shared it is one, and its tokens stand once."""

    def __init__(self, image: nn.Module, rock: nn.Module | None) -> None:
        super().__init__()
        self.image = image
        if rock is not None:
            self.rock = rock
        self.shared = rock is None
        own = cast(Any, image).config
        self.prefix = int(cast(Any, image).prefix)
        self.config = TwinConfig(own.hidden * (1 if self.shared else 2), own.patch, own.channels)

    def normalised(self, pixels: Tensor) -> Tensor:
        """As the trunks want them."""
        made: Tensor = cast(Any, self.image).normalised(pixels)
        return made

    def forward(self, pixels: Tensor) -> Tensor:
        seen: Tensor = self.image(pixels)
        return seen if self.shared else torch.cat([seen, self.rock(pixels)], -1)

    def layers(self, pixels: Tensor, wanted: tuple[int, ...], *, norm: bool = True) -> list[Tensor]:
        """The last tokens, whichever layer is wanted."""
        return [self.forward(pixels)] * len(wanted)

    def size(self) -> int:
        """How many parameters it has."""
        return sum(p.numel() for p in self.parameters())


def trunk_of(shape: Mapping[str, Any]) -> nn.Module:
    """A trunk of this shape, with weights of no meaning."""
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in shape.items() if k != "kind"}
    return Convnet(ConvConfig(**told)) if shape["kind"] == "resnet" else Vit(VitConfig(**told))


def shape_of(trunk: nn.Module) -> dict[str, Any]:
    """The shape of a trunk as plain JSON."""
    from dataclasses import asdict

    kind = "resnet" if isinstance(trunk, Convnet) else "vit"
    return {"kind": kind, **asdict(cast(Any, trunk).config)}


def about(folder: Path) -> dict[str, Any]:
    """What a folder says of the double Siamese network in it."""
    try:
        found: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableError(f"the double Siamese network in {folder} cannot be read ({type(error).__name__}); teach it again") from error
    return found


def tensors_of(folder: Path, part: str) -> dict[str, Tensor]:
    """The tensors of one part of it: image, rock or heads."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / FILE, framework="pt") as file:
            names = [n for n in file.keys() if n.startswith(f"{part}.")]  # noqa: SIM118 - not a mapping
            return {n.removeprefix(f"{part}."): file.get_tensor(n) for n in names}
    except (SafetensorError, OSError) as error:
        raise UnreadableError(f"the weights in {folder} cannot be read ({type(error).__name__}); teach it again") from error


def opened(folder: Path) -> Twin:
    """The trunks of a taught double Siamese network, ready to look."""
    shape = about(folder)["trunk"]
    trunks = []
    for part in ("image", "rock"):
        tensors = tensors_of(folder, part)
        if tensors or part == "image":
            trunk = trunk_of(shape)
            trunk.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in tensors.items()})
            trunks.append(trunk)
    made = Twin(trunks[0], trunks[1] if len(trunks) > 1 else None)
    return made.eval().requires_grad_(False)
