"""Scans on disk as sources of crops, and the plan that a person's few choices amount to."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from lithoscope.errors import InputError
from lithoscope.features.vit import VitConfig
from lithoscope.training.selfsupervised.augment import Augmentation
from lithoscope.training.selfsupervised.crops import Source
from lithoscope.training.selfsupervised.foretold import FeatureSettings
from lithoscope.training.selfsupervised.loop import Plan
from lithoscope.training.selfsupervised.schedule import Schedule
from lithoscope.training.selfsupervised.tuning import Tuning
from lithoscope.volume.scan import Scan

SIZES = {"test": (48, 2, 3), "tiny": (192, 12, 3), "small": (384, 12, 6)}
"""Channels, layers and heads of the networks that can be taught here."""


def source_of(scan: Scan) -> Source:
    """Crops come from the full resolution, across z only where slices are no volume."""
    anisotropic = scan.dimensions()[0] == 2
    return Source(scan.name, scan.array(), scan.window, separate_slices=scan.separate_slices or anisotropic)


def sources_of(paths: Sequence[Path | str]) -> list[Source]:
    """The scans at these paths."""
    if not paths:
        raise InputError("name at least one scan to learn from")
    return [source_of(Scan.open(Path(path), readonly=True)) for path in paths]


def plan_of(
    objective: Literal["dino", "mae", "features"] = "dino",
    *,
    size: str = "tiny",
    patch: int = 8,
    position: Literal["conv", "alibi", "none", "learned"] = "conv",
    steps: int = 2000,
    batch: int | None = None,
    rate: float | None = None,
    ibot: bool = True,
    koleo: bool = True,
    tuning: Tuning = "all",
    seed: int = 0,
) -> Plan:
    """The plan of these choices; a global view is 12 patches wide, a local one 6."""
    if size not in SIZES:
        raise InputError(f"size {size!r} is not one of {', '.join(SIZES)}")
    if patch not in (8, 14, 16):
        raise InputError(f"patch {patch} is not one of 8, 14, 16")
    if steps < (0 if objective == "features" else 1) or (batch is not None and batch < 2):
        raise InputError("a training wants at least one step (features: none, for its start alone) and a batch of two")
    hidden, depth, heads = SIZES[size]
    network = VitConfig(
        hidden=hidden, depth=depth, heads=heads, patch=patch, channels=1, image_size=12 * patch, position=position, mean=(0.5,), std=(0.25,)
    )
    dino = objective == "dino"
    schedule = Schedule(steps=steps, batch=batch or (16 if dino else 32), rate=rate or (3e-4 if dino else 8e-4))
    plan = Plan(objective=objective, network=network, schedule=schedule, side=12 * patch, local_side=6 * patch, seed=seed, tuning=tuning)
    if objective == "features":
        plan = replace(plan, augmentation=Augmentation(blur=0.8, blur_chance=0.2, noise=0.06, noise_chance=0.4))
    if tuning == "attention":
        plan = replace(plan, features=FeatureSettings(masked=(0.0, 0.6), hidden=1.0, pooled=False))
    return replace(plan, dino=replace(plan.dino, ibot=1.0 if ibot else 0.0, koleo=0.1 if koleo else 0.0))
