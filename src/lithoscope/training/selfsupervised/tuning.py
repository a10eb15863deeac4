"""What of a backbone is taught when a training goes on from one: all of it, or low-rank matrices beside its weights.

The matrices (E. J. Hu and others, LoRA, 2021) begin at nothing and are worked into the weights in the end, so that what comes out
is a backbone like any other.
"""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lithoscope.features.vit import Vit

Tuning = Literal["all", "lora"]

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
    if start is None or tuning == "all":
        return start
    made = copy.deepcopy(start).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for layer in made.encoder.layer.modules():
        if isinstance(layer, nn.Linear):
            parametrize.register_parametrization(layer, "weight", LowRank(layer.out_features, layer.in_features, generator))
    return made


def plainly(taught: Vit, tuning: Tuning) -> Vit:
    """The taught network as a backbone like any other."""
    if tuning == "all":
        return taught
    with torch.no_grad():
        made = Vit(taught.config)
        places = {name: name.rpartition(".") for name in made.state_dict()}
        made.load_state_dict({n: getattr(taught.get_submodule(path), end).detach() for n, (path, _, end) in places.items()})
    return made.eval().requires_grad_(False)
