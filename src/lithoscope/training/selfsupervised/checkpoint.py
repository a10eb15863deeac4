"""A training as it stands, on disk: every tensor in one safetensors file, the step beside it, replaced in one move."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lithoscope.errors import InputError, UnreadableError

SCHEMA = 1
NAME = "state.safetensors"


def save(folder: Path, step: int, objective: nn.Module, optimiser: torch.optim.Optimizer, about: dict[str, Any]) -> None:
    """Write the state after `step` steps."""
    from safetensors.torch import save_file

    tensors = {f"objective.{name}": value for name, value in objective.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{NAME}.partial"
    header = {"about": json.dumps({"schema": SCHEMA, "step": step, **about}, sort_keys=True)}
    save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, partial, metadata=header)
    partial.replace(folder / NAME)


def load(folder: Path, objective: nn.Module, optimiser: torch.optim.Optimizer, about: dict[str, Any]) -> int:
    """Take up the state in `folder`; gives the steps done, 0 when there is none. Another objective or network is refused."""
    from safetensors import SafetensorError, safe_open

    path = folder / NAME
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            saved = json.loads((file.metadata() or {}).get("about", "{}"))
            # Copies: Windows does not let a file be replaced that is still mapped into memory.
            tensors: dict[str, Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableError(f"the unfinished training in {folder} is damaged; delete the folder and teach again") from error
    for key, value in about.items():
        if saved.get(key) != value:
            raise InputError(
                f"{folder} holds a training with {key} {saved.get(key)}, not {value}; choose another folder or the same settings"
            )
    objective.load_state_dict({n.removeprefix("objective."): t for n, t in tensors.items() if n.startswith("objective.")})
    whole = optimiser.state_dict()
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, field = name.split(".")
            states.setdefault(int(index), {})[field] = tensor
    whole["state"] = states
    optimiser.load_state_dict(whole)
    return int(saved["step"])
