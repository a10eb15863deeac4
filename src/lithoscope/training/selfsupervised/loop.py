"""The loop that teaches a backbone: seeded step by step, logged, and taken up where it was left."""

import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lithoscope.features.vit import Vit, VitConfig
from lithoscope.job import Progress, Report, silent
from lithoscope.training.selfsupervised import checkpoint
from lithoscope.training.selfsupervised.augment import Augmentation
from lithoscope.training.selfsupervised.crops import Crops, Pool, Source
from lithoscope.training.selfsupervised.dino import Dino, DinoSettings
from lithoscope.training.selfsupervised.mae import Mae, MaeSettings


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast. The rate rises over `warmup`, stays, and falls to nothing over the last `decay` of the steps, so
    that a training may be given more steps later without having wasted any. Weight decay rises to `weight_decay_end`."""

    steps: int = 2000
    batch: int = 32
    rate: float = 5e-4
    warmup: float = 0.05
    decay: float = 0.25
    weight_decay: float = 0.04
    weight_decay_end: float = 0.1
    clip: float = 3.0
    minutes_between_checkpoints: float = 3.0

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        done = step / max(1, self.steps)
        rising = min(1.0, (step + 1) / max(1.0, self.warmup * self.steps))
        falling = min(1.0, (1 - done) / self.decay) if self.decay else 1.0
        return self.rate * rising * falling

    def weight_decay_at(self, step: int) -> float:
        return self.weight_decay + (self.weight_decay_end - self.weight_decay) * (1 - math.cos(math.pi * step / max(1, self.steps))) / 2


@dataclass(frozen=True)
class Plan:
    """All that decides how a training goes; two equal plans over equal scans on one kind of device give equal weights."""

    objective: Literal["dino", "mae"] = "dino"
    network: VitConfig = field(
        default_factory=lambda: VitConfig(patch=8, channels=1, image_size=112, position="conv", mean=(0.5,), std=(0.25,))
    )
    schedule: Schedule = field(default_factory=Schedule)
    dino: DinoSettings = field(default_factory=DinoSettings)
    mae: MaeSettings = field(default_factory=MaeSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    side: int = 112
    local_side: int = 48
    locals: int = 4
    zooms: tuple[float, float] = (0.4, 1.4)
    blocks: int = 64
    edge: int = 112
    refresh: int = 25
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "network": self.network.to_json()}


def pretrain(
    sources: Sequence[Source],
    output: Path,
    plan: Plan,
    *,
    start: Vit | None = None,
    device: str = "cpu",
    workers: int = 1,
    stop_after: int | None = None,
    report: Report = silent,
) -> Vit:
    """The backbone that `plan` makes of these scans, also written to `output` with its log and checkpoint.

    A training that lies in `output` already is gone on with. `stop_after` ends this call after so many steps in all.
    `workers`: how many threads work on the shards of a batch; the weights do not depend on it.
    """
    objective = _objective(plan, start, len(sources)).to(device)
    optimiser = torch.optim.AdamW(_groups(objective), lr=plan.schedule.rate, betas=(0.9, 0.95 if plan.objective == "mae" else 0.999))
    crops = crops_of(plan, sources)
    about = {"objective": plan.objective, "network": _plain(plan.network.to_json()), "seed": plan.seed}
    output.mkdir(parents=True, exist_ok=True)
    folder = output / "checkpoint"
    first = checkpoint.load(folder, objective, optimiser, about)
    (output / "plan.json").write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")
    log = output / "log.jsonl"
    _forget(log, first)
    last = min(plan.schedule.steps, stop_after or plan.schedule.steps)
    saved = started = time.monotonic()
    done = first
    try:
        with ThreadPoolExecutor(workers) as pool:
            for step in range(first, last):
                said = _step(objective, optimiser, crops, plan, step, device, pool)
                done, seconds = step + 1, time.monotonic() - started
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": step, **said, "seconds": round(seconds, 1)}) + "\n")
                if time.monotonic() - saved > 60 * plan.schedule.minutes_between_checkpoints:
                    _keep(output, done, objective, optimiser, about)
                    saved = time.monotonic()
                left = seconds / (done - first) * (plan.schedule.steps - done)
                report(Progress(done, plan.schedule.steps, f"loss {said['loss']:.3f}, {left / 60:.0f} min left"))
    finally:
        if done > first:
            _keep(output, done, objective, optimiser, about)
    return objective.backbone


def crops_of(plan: Plan, sources: Sequence[Source]) -> Crops:
    """The crops of these scans that a plan asks for."""
    return Crops(Pool(sources, plan.seed, plan.blocks, plan.edge, plan.refresh), plan.side, plan.local_side, plan.locals, plan.zooms)


def _forget(log: Path, first: int) -> None:
    """Drop what the log says of steps that no checkpoint kept."""
    if log.exists():
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip() and json.loads(line)["step"] < first]
        log.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _objective(plan: Plan, start: Vit | None, sources: int) -> Dino | Mae:
    network = start.config if start is not None else plan.network
    if plan.objective == "mae":
        return Mae(network, plan.mae, seed=plan.seed, start=start, origins=sources)
    return Dino(network, plan.dino, seed=plan.seed, start=start)


def _groups(objective: nn.Module) -> list[dict[str, Any]]:
    """What is trained: matrices with weight decay, vectors and tokens without."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim > 1 and min(p.shape[0], p.shape[1]) > 1]
    known = {id(p) for p in matrices}
    return [
        {"params": matrices, "decays": True},
        {"params": [p for p in trained if id(p) not in known], "weight_decay": 0.0, "decays": False},
    ]


def _step(
    objective: Dino | Mae, optimiser: torch.optim.Optimizer, crops: Crops, plan: Plan, step: int, device: str, workers: Executor
) -> dict[str, Any]:
    schedule = plan.schedule
    generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
    torch.manual_seed(plan.seed * 1_000_003 + step)
    for group in optimiser.param_groups:
        group["lr"] = schedule.rate_at(step)
        if group["decays"]:
            group["weight_decay"] = schedule.weight_decay_at(step)
    objective.train()
    trained = [p for p in objective.parameters() if p.requires_grad]

    def worked(shard: tuple[Tensor, ...]) -> tuple[float, dict[str, Any], Sequence[Tensor | None]]:
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
            loss, parts = objective.loss(shard, device)
        return float(loss.detach()), parts, torch.autograd.grad(loss, trained, allow_unused=True)

    shards = objective.draw(crops, step, schedule.batch, generator, plan.augmentation)
    shares = [len(shard[1]) / sum(len(s[1]) for s in shards) for shard in shards]
    said: dict[str, float] = {}
    for parameter in trained:
        parameter.grad = None
    for share, (loss, parts, gradients) in zip(shares, workers.map(worked, shards), strict=True):
        for parameter, gradient in zip(trained, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient * share if parameter.grad is None else parameter.grad.add_(gradient, alpha=share)
        for name, value in {"loss": loss, **parts}.items():
            said[name] = said.get(name, 0.0) + share * value
    if isinstance(objective, Dino) and step < objective.settings.freeze_prototypes * schedule.steps:
        objective.student_head.prototypes.grad = None
    norm = nn.utils.clip_grad_norm_([p for p in trained if p.grad is not None], schedule.clip)
    optimiser.step()
    objective.after_step(step / max(1, schedule.steps))
    return {**said, "rate": schedule.rate_at(step), "gradient": float(norm)}


def _keep(output: Path, step: int, objective: Dino | Mae, optimiser: torch.optim.Optimizer, about: dict[str, Any]) -> None:
    checkpoint.save(output / "checkpoint", step, objective, optimiser, about)
    write(output, objective.backbone)


def write(folder: Path, network: Vit, *, half: bool = False) -> None:
    """A backbone as a folder: model.safetensors and config.json, which `backbone` opens."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    kind = torch.float16 if half else torch.float32
    tensors: dict[str, Tensor] = {n: t.detach().to("cpu", kind).clone().contiguous() for n, t in network.state_dict().items()}
    partial = folder / "model.safetensors.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(folder / "model.safetensors")
    config = {"model_type": "lithoscope-vit", **network.config.to_json()}
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain


def longer(plan: Plan, steps: int) -> Plan:
    """The same plan over another number of steps."""
    return replace(plan, schedule=replace(plan.schedule, steps=steps))
