"""The loop that teaches a backbone: seeded step by step, logged, and taken up where it was left."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lithoscope.errors import InputError
from lithoscope.features.probes import effective_rank
from lithoscope.features.vit import Vit, VitConfig
from lithoscope.job import Progress, Report, silent
from lithoscope.training.selfsupervised import checkpoint
from lithoscope.training.selfsupervised.augment import Augmentation
from lithoscope.training.selfsupervised.clock import Clock
from lithoscope.training.selfsupervised.crops import Crops, Pool, Source
from lithoscope.training.selfsupervised.described import KIND
from lithoscope.training.selfsupervised.dino import Dino, DinoSettings
from lithoscope.training.selfsupervised.foretold import FeatureSettings, Foretold
from lithoscope.training.selfsupervised.likeness import looked_at
from lithoscope.training.selfsupervised.mae import Mae, MaeSettings
from lithoscope.training.selfsupervised.preview import draw
from lithoscope.training.selfsupervised.schedule import Schedule
from lithoscope.training.selfsupervised.tuning import Tuning, attention_alone, begun, plainly
from lithoscope.training.selfsupervised.warm_start import settle_reading, warm_start

Objective = Dino | Foretold | Mae

WATCH = 100
"""How many steps lie between two looks at the effective rank."""


@dataclass(frozen=True)
class Plan:
    """All that decides how a training goes; two equal plans over equal scans on one kind of device give equal weights."""

    objective: Literal["dino", "mae", "features"] = "dino"
    network: VitConfig = field(
        default_factory=lambda: VitConfig(patch=8, channels=1, image_size=112, position="conv", mean=(0.5,), std=(0.25,))
    )
    schedule: Schedule = field(default_factory=Schedule)
    dino: DinoSettings = field(default_factory=DinoSettings)
    mae: MaeSettings = field(default_factory=MaeSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    side: int = 112
    local_side: int = 48
    locals: int = 4
    zooms: tuple[float, float] = (0.4, 1.4)
    blocks: int = 64
    edge: int = 112
    refresh: int = 25
    seed: int = 0
    tuning: Tuning = "all"

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
    minutes: float | None = None,
    report: Report = silent,
) -> Vit:
    """The backbone that `plan` makes of these scans, also written to `output` with its log and checkpoint.

    A training that lies in `output` already is gone on with. `stop_after` ends this call after so many steps in all.
    `workers`: how many threads work on the shards of a batch; the weights do not depend on it. `minutes`: end after so much
    work, whatever `plan` says of steps. The log tells the effective rank of the tokens every WATCH steps.
    """
    if minutes is not None and minutes <= 0:
        raise InputError(f"a training of {minutes:g} minutes is none; give more minutes, or steps")
    objective = _objective(plan, begun(start, plan.tuning, plan.seed), len(sources)).to(device)
    if plan.tuning == "attention":
        attention_alone(objective.student if isinstance(objective, Dino) else objective.encoder)
    optimiser = torch.optim.AdamW(_groups(objective), lr=plan.schedule.rate, betas=(0.9, 0.999 if plan.objective == "dino" else 0.95))
    crops = crops_of(plan, sources)
    about: dict[str, Any] = {
        "objective": plan.objective,
        "network": _plain(plan.network.to_json()),
        "seed": plan.seed,
        "tuning": plan.tuning,
    }
    if not isinstance(objective, Dino):
        about["numbers"] = KIND
    output.mkdir(parents=True, exist_ok=True)
    folder = output / "checkpoint"
    first = checkpoint.load(folder, objective, optimiser, about)
    fresh = not (folder / checkpoint.NAME).exists()
    if isinstance(objective, Foretold) and fresh:
        (warm_start if start is None else settle_reading)(objective, crops, plan.augmentation, seed=plan.seed)
    (output / "plan.json").write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")
    log = output / "log.jsonl"
    before, clock = _forget(log, first), Clock(output, minutes)
    schedule = clock.settled(plan.schedule, first, before)
    saved = started = time.monotonic()
    done = first

    def keep() -> None:
        checkpoint.save(folder, done, objective, optimiser, about)
        write(output, plainly(objective.backbone, plan.tuning if start is not None else "all"))
        if isinstance(objective, Mae):
            draw(output, objective, crops)

    try:
        with ThreadPoolExecutor(workers) as pool:
            while done < min(schedule.steps, stop_after or schedule.steps):
                said = _step(objective, optimiser, crops, replace(plan, schedule=schedule), done, device, pool)
                if done % WATCH == 0:
                    said |= {"rank": rank_now(objective.backbone, crops, done), "looked": looked_now(objective.backbone, crops, done)}
                done, here = done + 1, time.monotonic() - started
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": done - 1, **said, "seconds": round(before + here, 1)}) + "\n")
                if time.monotonic() - saved > 60 * plan.schedule.minutes_between_checkpoints:
                    keep()
                    saved = time.monotonic()
                schedule = clock.settled(schedule, done, before + here)
                report(Progress(done, clock.total(schedule, done, before + here), f"loss {said['loss']:.3f}"))
    finally:
        if done > first or fresh:
            keep()
    return plainly(objective.backbone, plan.tuning if start is not None else "all")


def crops_of(plan: Plan, sources: Sequence[Source]) -> Crops:
    """The crops of these scans that a plan asks for."""
    return Crops(Pool(sources, plan.seed, plan.blocks, plan.edge, plan.refresh), plan.side, plan.local_side, plan.locals, plan.zooms)


def rank_now(network: Vit, crops: Crops, step: int) -> float:
    """The effective rank of the tokens of eight crops of this step: near 1, everything looks the same to the network."""
    images, _ = crops.single(step, 8)
    with torch.inference_mode():
        tokens = network(network.normalised(images.to(next(network.parameters()).device)))[:, network.prefix :]
    return round(effective_rank(tokens.flatten(0, 1).float().cpu().numpy()), 2)


def looked_now(network: Vit, crops: Crops, step: int) -> list[float]:
    """At how many tokens a patch of eight crops of this step looks, in each layer."""
    return [round(count, 1) for count in looked_at(network, crops.single(step, 8)[0])]


def _forget(log: Path, first: int) -> float:
    """Drop what the log says of steps that no checkpoint kept; gives the seconds that went into those that remain."""
    if not log.exists():
        return 0.0
    known = [(line, _said(line)) for line in log.read_text(encoding="utf-8").splitlines()]
    kept = [(line, said) for line, said in known if said is not None and said["step"] < first]
    log.write_text("".join(line + "\n" for line, _ in kept), encoding="utf-8")
    return float(kept[-1][1]["seconds"]) if kept else 0.0


def _said(line: str) -> dict[str, Any] | None:
    """What a line of the log says; None of one that was torn by a crash or a full disk."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) and {"step", "seconds"} <= set(said) else None


def _objective(plan: Plan, start: Vit | None, sources: int) -> Objective:
    network = start.config if start is not None else plan.network
    if plan.objective == "features":
        return Foretold(network, plan.features, seed=plan.seed, start=start, origins=sources)
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
    objective: Objective, optimiser: torch.optim.Optimizer, crops: Crops, plan: Plan, step: int, device: str, workers: Executor
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
    if isinstance(objective, Dino) and step < objective.settings.freeze_prototypes:
        objective.student_head.prototypes.grad = None
    norm = nn.utils.clip_grad_norm_([p for p in trained if p.grad is not None], schedule.clip)
    optimiser.step()
    objective.after_step(schedule.falling(step))
    return {**said, "rate": schedule.rate_at(step), "gradient": float(norm)}


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
