"""The command that teaches a backbone on scans without labels, or adapts one to them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lithoscope.cli.commands.backbones import device_of
from lithoscope.errors import InputError
from lithoscope.job import Report, silent

Json = dict[str, Any]


def pretrain(
    scans: Sequence[str],
    *,
    output: str,
    objective: Literal["dino", "mae", "features"] = "dino",
    size: str = "tiny",
    patch: int = 8,
    position: Literal["conv", "alibi", "none", "learned"] = "conv",
    steps: int = 2000,
    minutes: float | None = None,
    batch: int | None = None,
    rate: float | None = None,
    ibot: bool = True,
    koleo: bool = True,
    start: str | None = None,
    tuning: Literal["all", "lora", "attention"] = "all",
    seed: int = 0,
    device: str = "auto",
    workers: int = 1,
    report: Report = silent,
) -> Json:
    """Teach a backbone on scans without labels; a training that lies in `output` already is gone on with."""
    from lithoscope.features.backbones import open_backbone
    from lithoscope.training.selfsupervised.finish import finish, ranks
    from lithoscope.training.selfsupervised.loop import crops_of
    from lithoscope.training.selfsupervised.loop import pretrain as teach
    from lithoscope.training.selfsupervised.sources import plan_of, sources_of

    if tuning == "lora" and not start:
        raise InputError("tuning=lora goes on from a backbone; name one with --start")
    if tuning == "attention" and not start and objective != "features":
        raise InputError("attention alone is taught in a network that tells something: name one with --start, or objective=features")
    sources = sources_of(scans)
    plan = plan_of(
        objective, size=size, patch=patch, position=position, steps=steps, batch=batch, rate=rate, ibot=ibot, koleo=koleo,
        tuning=tuning, seed=seed,
    )  # fmt: skip
    begun = None
    if start:
        begun = open_backbone(Path(start) if Path(start).exists() else start).network.requires_grad_(True)
        side = begun.config.patch
        plan = replace(plan, network=begun.config, side=12 * side, local_side=6 * side)
    folder = Path(output)
    network = teach(sources, folder, plan, start=begun, device=device_of(device), workers=workers, minutes=minutes, report=report)
    crops = crops_of(plan, sources)
    finish(folder, crops, half=False)
    opened = open_backbone(folder)
    depth = opened.config.depth
    picture = folder / "reconstructions.png"
    return {
        "backbone": str(folder),
        "sha256": opened.sha256,
        "parameters": network.size(),
        "steps": sum(1 for _ in (folder / "log.jsonl").open(encoding="utf-8")),
        "log": str(folder / "log.jsonl"),
        "preview": str(picture) if picture.exists() else None,
        "effective_rank": {str(k): v for k, v in ranks(opened.network, crops, (depth,), steps=2).items()},
    }
