"""How long a training will take, and an answer: one crop and one tile of noise, timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from lithoscope.training.devices import laid_out


@dataclass(frozen=True, slots=True)
class Effort:
    """Seconds of a training of so many `steps`, and of answering for a volume."""

    training: float
    answering: float
    steps: int


def effort(network: nn.Module, crop: tuple[int, ...], *, batch: int, steps: int, voxels: int, device: torch.device) -> Effort:
    """Time `network` on one crop (channels, …), and reckon what batches of `batch` and `voxels` to answer for take."""
    network = laid_out(network.to(device))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        image = laid_out(torch.rand(1, *crop, device=device))
    target = torch.zeros(1, *crop[1:], dtype=torch.long, device=device)

    def learn() -> None:
        torch.autograd.backward(functional.cross_entropy(network.train()(image), target))

    def answer() -> None:
        with torch.inference_mode():
            network.eval()(image).argmax(1).cpu()

    asked = _seconds(answer, device)
    return Effort(_seconds(learn, device) * batch * steps, asked / target.numel() * voxels, steps)


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    """The shorter of two runs."""
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best
