"""Low-rank adapters worked into weights: those that were taught here, and those of the published study's checkpoints.

An adapter is a few MB: for every layer that it belongs to, two matrices whose product, times a scale, is added to the layer's own.
"""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from lithoscope.features.vit import Vit

Adapter = Mapping[str, npt.NDArray[np.float16]]
"""The taught matrices by their names in peft: `encoder.layer.0.….query.lora_A.default.weight`."""

DOWN, UP, BASE = ".lora_A.default.weight", ".lora_B.default.weight", ".base_layer"
STUDY_SCALE = 32 / 32**0.5
"""What the published study counts its adapters by: alpha 32 over the root of the rank 32, which its files do not say."""


def scale_of(rank: int, alpha: float, stabilised: bool) -> float:
    """By how much the product of two matrices counts."""
    return float(alpha / (rank**0.5 if stabilised else rank))


def adapter_hash(adapter: Adapter, scale: float) -> str:
    """A checksum of an adapter and of how it counts."""
    digest = hashlib.sha256(f"{scale:.9g}".encode())
    for name, values in sorted(adapter.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def added(down: "Tensor", up: "Tensor", scale: float) -> "Tensor":
    """What an adapter adds to a layer's weights: of a linear layer (out, in) or a convolution (out, in, y, x)."""
    product = up.float().flatten(1) @ down.float().flatten(1)
    return scale * product.reshape(len(up), *down.shape[1:])


def tuned(network: "Vit", adapter: Adapter, scale: float) -> "Vit":
    """A copy of a network with an adapter worked in, as quick as the network itself."""
    import torch

    made = deepcopy(network)
    weights = dict(made.named_parameters())
    names = sorted({n.rpartition(".lora_")[0] for n in adapter})
    for name in names:
        down, up = adapter.get(f"{name}{DOWN}"), adapter.get(f"{name}{UP}")
        weight = weights.get(f"{name}.weight")
        if down is None or up is None or weight is None or (len(up), *down.shape[1:]) != tuple(weight.shape):
            raise InputError(f"the adapter does not fit this backbone ({name}); it was taught on another")
        with torch.no_grad():
            one, two = (torch.from_numpy(np.array(m, order="C")) for m in (down, up))
            weight.add_(added(one, two, scale).to(weight))
    return made.eval().requires_grad_(False)


def of_model(folder: Path) -> tuple[str, dict[str, npt.NDArray[np.float16]], float]:
    """The backbone's name, the adapter and its scale, of a model that was taught with LoRA."""
    from safetensors import safe_open

    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    given: dict[str, Any] = about.get("parameters", {})
    with safe_open(folder / "model.safetensors", framework="np") as file:
        names = [n for n in file.keys() if n.startswith("lora.")]  # noqa: SIM118 - not a mapping
        adapter = {n.removeprefix("lora."): file.get_tensor(n) for n in names}
    if about.get("name") != "dino" or not adapter:
        raise InputError(f"the model in {folder} holds no adapter; only those that were taught with tuning=lora do")
    return str(given["backbone"]), adapter, scale_of(int(given["rank"]), float(given["alpha"]), bool(given["stabilised"]))


def without_adapters(tensors: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """The tensors of a checkpoint of the study, its adapters worked in."""
    made = {}
    for name, value in tensors.items():
        if ".lora_" in name:
            continue
        stem, layer, what = name.partition(BASE)
        if layer and what.startswith(".weight."):
            continue
        plain = stem + what
        if layer and what == ".weight":
            if not value.is_floating_point():
                raise InputError(
                    "the checkpoint holds its backbone in four bits; save it again with the backbone in full precision (quantize=False)"
                )
            if f"{stem}{DOWN}" in tensors:
                value = value.float() + added(tensors[f"{stem}{DOWN}"], tensors[f"{stem}{UP}"], STUDY_SCALE)
        made[plain] = value
    return made
