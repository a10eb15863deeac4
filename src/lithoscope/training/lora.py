"""Low-rank adapters: small matrices beside a backbone's own, which alone are taught (E. J. Hu and others, 2021; D. Kalajdzievski, 2023).

Here they are taught, with peft; what is kept of them, and how they are worked in, is in `features.adapters`.
"""

from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lithoscope.errors import InputError
from lithoscope.features.adapters import scale_of

LAYERS = ("query", "key", "value", "dense", "fc1", "fc2")
"""The linear layers of a transformer's blocks: all there are."""


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """`rank` of the matrices, `alpha` by which they count, `dropout` of what they see; the defaults are the published ones.

    `stabilised` divides alpha by the root of the rank (rsLoRA) instead of the rank. `four_bit` keeps the backbone in NF4.
    """

    rank: int = 32
    alpha: float = 32
    dropout: float = 0.1
    stabilised: bool = True
    four_bit: bool = False

    @property
    def scale(self) -> float:
        """By how much the matrices count."""
        return scale_of(self.rank, self.alpha, self.stabilised)


def check_peft() -> None:
    """Refuse in one line where peft is missing."""
    if find_spec("peft") is None:
        raise InputError("LoRA needs peft, which is not installed: pip install 'lithoscope[networks]'; or use tuning=frozen")


def check_four_bit(device: torch.device) -> None:
    """Refuse four bits in one line where they cannot be."""
    if device.type != "cuda":
        raise InputError("four_bit=true needs an NVIDIA GPU (CUDA); leave it out")
    if find_spec("bitsandbytes") is None:
        raise InputError("four_bit=true needs bitsandbytes, which is not installed: pip install 'lithoscope[4bit]'")


def adapted(network: nn.Module, how: LoraSettings, *, device: torch.device | None = None, seed: int = 0) -> nn.Module:
    """A copy of a backbone with fresh adapters, which change nothing until they are taught; nothing else of it can be."""
    check_peft()
    from peft import LoraConfig, inject_adapter_in_model

    made = deepcopy(network).requires_grad_(False)
    if how.four_bit:
        check_four_bit(device or torch.device("cpu"))
        made = _in_four_bits(made)
    present = {name.rpartition(".")[2] for name, module in made.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))}
    wanted = [name for name in LAYERS if name in present] or ["convolution"]
    config = LoraConfig(
        r=how.rank, lora_alpha=how.alpha, lora_dropout=how.dropout, target_modules=wanted, use_rslora=how.stabilised  # type: ignore[arg-type]
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return inject_adapter_in_model(config, made)


def adapter_of(network: nn.Module) -> dict[str, npt.NDArray[np.float16]]:
    """What was taught of an adapted backbone, in half precision."""
    taught = {n: p.detach().float().cpu().numpy() for n, p in network.named_parameters() if "lora_" in n}
    return {n: np.ascontiguousarray(a, np.float16) for n, a in taught.items()}


def taught_parameters(network: nn.Module) -> int:
    """How many parameters of a network are taught."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _in_four_bits(network: nn.Module) -> nn.Module:
    """The linear layers in NF4 with doubly quantised constants, computing in bfloat16; the rest as it is."""
    import bitsandbytes as bnb

    def replaced(linear: nn.Linear) -> Any:
        made = bnb.nn.Linear4bit(
            linear.in_features, linear.out_features, linear.bias is not None,
            compute_dtype=torch.bfloat16, compress_statistics=True, quant_type="nf4",
        )  # fmt: skip
        made.load_state_dict(linear.state_dict())
        return made

    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, replaced(child))
    setattr(network, "is_loaded_in_4bit", True)  # noqa: B010 - peft asks for it
    return network
