"""A training as it stands, on disk: network, optimiser and best weights in one safetensors file, replaced in one move."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lithoscope.errors import InputError, UnreadableError

SCHEMA = 1
NAME = "training.safetensors"
Weights = dict[str, Tensor]


@dataclass
class Standing:
    """How far a training is: `step` of its steps done, `best` weights so far and what they scored, curves by step.

    `divided`: into how many parts a batch is, for want of memory; `stopped`: somebody had it end early.
    """

    step: int = 0
    best: Weights = field(default_factory=dict)
    best_score: list[float] = field(default_factory=list)
    best_step: int = 0
    waited: int = 0
    divided: int = 1
    stopped: bool = False
    curves: dict[str, list[float]] = field(default_factory=dict)

    def note(self, **values: float) -> None:
        """Add a point to each of these curves."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append(round(float(value), 6))


def curves(standing: Standing, every: int) -> dict[str, list[float]]:
    """The curves to look at: the mean loss over each `every` steps, and the held-out score where it was judged."""
    loss = standing.curves.get("loss", [])
    ends = list(range(every, len(loss) + 1, every)) or [len(loss)]
    found: dict[str, list[float]] = {"step": [float(e) for e in ends]}
    found["loss"] = [round(sum(part) / max(len(part), 1), 5) for part in (loss[max(0, e - every) : e] for e in ends)]
    return found | {name: list(standing.curves[name]) for name in ("held_out_iou", "judged_at") if name in standing.curves}


def save(folder: Path, standing: Standing, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer, about: dict[str, Any]) -> None:
    """Write the state to `folder`. `about` says what is trained, and how; another such training is not gone on with."""
    from safetensors.torch import save_file

    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    tensors |= {f"best.{key}": value for key, value in standing.best.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in vars(standing).items() if key != "best"}
    header = {"schema": str(SCHEMA), "about": _text(about), "standing": json.dumps(kept)}
    partial = folder / f"{NAME}.partial"
    save_file({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}, partial, metadata=header)
    partial.replace(folder / NAME)


def load(folder: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer, about: dict[str, Any]) -> Standing:
    """Take up the state in `folder`; a fresh one when there is none."""
    from safetensors import SafetensorError, safe_open

    path = folder / NAME
    if not path.exists():
        return Standing()
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # Copies: Windows does not let a file be replaced that is still mapped into memory.
            tensors: Weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
        if header.get("about") != _text(about):
            raise InputError(f"{folder} holds a training of other strokes or settings; choose another folder, or --overwrite it")
        standing = Standing(**json.loads(header["standing"]))
        for name, module in modules.items():
            module.load_state_dict(part(tensors, name))
        states: dict[int, Weights] = {}
        for name, tensor in part(tensors, "optimiser").items():
            index, _, key = name.partition(".")
            states.setdefault(int(index), {})[key] = tensor
        whole = optimiser.state_dict()
        whole["state"] = states
        optimiser.load_state_dict(whole)
    except InputError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UnreadableError(f"the unfinished training in {folder} is damaged; delete the folder and train again") from error
    standing.best = part(tensors, "best")
    return standing


def part(tensors: Weights, name: str) -> Weights:
    """Those of one module, under their own names."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _text(about: dict[str, Any]) -> str:
    return json.dumps(about, sort_keys=True)
