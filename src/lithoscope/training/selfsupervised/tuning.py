"""What of a backbone is taught: all of it, low-rank matrices beside its weights, or its attention alone.

The matrices (E. J. Hu and others, LoRA, 2021) begin at nothing and are worked into the weights in the end, so that what comes out
is a backbone like any other. Where attention alone is taught, what each token says of its own patch stays as it was found, and only
what tokens say to each other changes.
"""

import copy
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lithoscope.features.vit import Layer, Vit

Tuning = Literal["all", "lora", "attention"]

RANK = 16


class LowRank(nn.Module):
    """A weight (rows, columns) with the product of two small matrices added."""

    def __init__(self, rows: int, columns: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(RANK, columns, generator=generator) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, RANK))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def begun(start: Vit | None, tuning: Tuning, seed: int) -> Vit | None:
    """The network that is taught, from the one to begin from, which stays as it is when small matrices are taught."""
    if start is None or tuning != "lora":
        return start
    made = copy.deepcopy(start).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for layer in made.encoder.layer.modules():
        if isinstance(layer, nn.Linear):
            parametrize.register_parametrization(layer, "weight", LowRank(layer.out_features, layer.in_features, generator))
    return made


def attention_alone(network: Vit) -> None:
    """Leave all of a network as it is but its attention, and the tokens that stand for no patch or for a hidden one."""
    network.requires_grad_(False)
    for layer in network.encoder.layer:
        cast(Layer, layer).attention.requires_grad_(True)
    for token in network.embeddings.parameters(recurse=False):
        token.requires_grad_(True)


def plainly(taught: Vit, tuning: Tuning) -> Vit:
    """The taught network as a backbone like any other."""
    if tuning != "lora":
        return taught
    with torch.no_grad():
        made = Vit(taught.config)
        places = {name: name.rpartition(".") for name in made.state_dict()}
        made.load_state_dict({n: getattr(taught.get_submodule(path), end).detach() for n, (path, _, end) in places.items()})
    return made.eval().requires_grad_(False)
