"""Teaching a backbone by triplets or supervised contrast, and keeping the frozen one when what is held out finds its like no better."""

import shutil
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn

from lithoscope.features import adapters
from lithoscope.features.backbones import Backbone, open_backbone
from lithoscope.job import Report, silent
from lithoscope.record import RunRecord
from lithoscope.similarity.items import Items
from lithoscope.similarity.loop import Course, Step, curves, learn
from lithoscope.similarity.losses import contrastive_loss, distances, triplet_loss
from lithoscope.similarity.mining import mined
from lithoscope.similarity.network import Embedding, embedded
from lithoscope.similarity.sampling import Batches
from lithoscope.similarity.scoring import HeldOut
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.split import held_out, leaks
from lithoscope.similarity.taught import Taught, begin, write_backbone
from lithoscope.training.loop import Plan
from lithoscope.training.lora import LoraSettings, adapted

if TYPE_CHECKING:
    from lithoscope.training.progress import Standing

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]


def teach(
    items: Items,
    lessons: Lessons,
    output: Path,
    *,
    held: Sequence[str] | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    report: Report = silent,
) -> Taught:
    """Teach what is alike among `items` into `output`, a folder that opens as a backbone; goes on with what was begun there.

    `held` names the items that are held out; without it groups are drawn.
    """
    started = time.monotonic()
    training = begin(output, overwrite=overwrite)
    notes = [*items.notes, *items.relation.check()]
    place = torch.device(device)
    backbone = opened(lessons.backbone, device)
    apart, said = chosen(items, lessons, held)
    notes += [*said, *leaks(items.thumbnails(), items.relation, items.groups, items.names)]
    judge = HeldOut(items.relation, items.groups, apart)
    network = Embedding(trainable(backbone, lessons, place), lessons.pooling, backbone.width).to(place).eval()
    frozen = embedded(network.raw, items.pictures, place, report, "looking at the items")
    network.fit(frozen[~apart]).to(place)
    before = judge.score(frozen - network.mean.cpu().numpy())
    course = Course(
        network,
        batch_loss(network, items, np.flatnonzero(~apart), lessons, place),
        lambda: judge.score(embedded(network, items.pictures, place)),
        round(before, 6),
        plan_of(lessons),
        about(items, lessons, backbone, apart),
    )
    standing = learn(course, device=place, folder=training, report=report)
    better = bool(standing.best_step)
    kept = merged(backbone, network.backbone, lessons) if better else backbone.network
    write_backbone(output, kept)
    if not better:
        notes.append(f"what is held out found its like no better than before ({before:.3f}): the frozen network is kept")
    taught = Taught(
        output, lessons.method, "taught" if better else "frozen", {"frozen": course.before, "taught": standing.best_score[0]},
        {"side": items.pictures.side, "pooling": lessons.pooling, "views": items.pictures.views, "backbone": backbone.name},
        items.relation.sizes(), tuple(np.asarray(items.names)[apart].tolist()), tuple(notes),
        record(items, lessons, backbone, standing, course, notes, device, time.monotonic() - started),
    )  # fmt: skip
    taught.write()
    shutil.rmtree(training, ignore_errors=True)
    return taught


def opened(name: str, device: str) -> Backbone:
    """A backbone by name, folder or file."""
    return open_backbone(Path(name) if Path(name).exists() else name, device=device)


def chosen(items: Items, lessons: Lessons, held: Sequence[str] | None) -> tuple[Bools, tuple[str, ...]]:
    """Which items are held out."""
    if held is not None:
        return np.isin(np.asarray(items.names), np.asarray(held)), ()
    return held_out(items.relation, items.groups, lessons.hold, lessons.seed)


def trainable(backbone: Backbone, lessons: Lessons, device: torch.device) -> nn.Module:
    """A copy of the backbone of which that is taught which is to be."""
    if lessons.tuning == "lora":
        return adapted(backbone.network, LoraSettings(rank=lessons.rank, alpha=float(lessons.rank)), device=device, seed=lessons.seed)
    return deepcopy(backbone.network).requires_grad_(lessons.tuning == "all")


def merged(backbone: Backbone, taught: nn.Module, lessons: Lessons) -> nn.Module:
    """What was taught as a network like any other: small matrices worked into the weights."""
    if lessons.tuning != "lora":
        return taught
    matrices: Any = {n: p.detach().float().cpu().numpy() for n, p in taught.named_parameters() if "lora_" in n}
    scale = adapters.scale_of(lessons.rank, float(lessons.rank), True)
    return adapters.tuned(backbone.network.cpu(), matrices, scale)


def plan_of(lessons: Lessons) -> Plan:
    """How long and how fast."""
    rate = lessons.rate * (0.1 if lessons.tuning == "all" else 1)
    return Plan(steps=lessons.steps, rate=rate, weight_decay=0.01, every=min(lessons.every, lessons.steps), patience=lessons.patience,
                seed=lessons.seed)  # fmt: skip


def batch_loss(network: Embedding, items: Items, rows: npt.NDArray[np.intp], lessons: Lessons, device: torch.device) -> Step:
    """The loss of one batch of the items that teach."""
    batches = Batches(items.relation, rows, lessons.classes, lessons.each)
    pictures = items.pictures.with_zoom(lessons.zoom)

    def loss(step: int, generator: Generator) -> Tensor:
        chosen_rows = batches(generator)
        vectors: Tensor = network(pictures.drawn(chosen_rows, generator).to(device))
        same, other = (torch.from_numpy(mask).to(device) for mask in items.relation.masks(chosen_rows))
        if lessons.method == "contrastive":
            return contrastive_loss(vectors, same, other, lessons.temperature)
        with torch.no_grad():
            triplets = mined(distances(vectors, lessons.distance), same, other, lessons.mining, generator)
        if not len(triplets):
            nothing: Tensor = vectors.sum() * 0
            return nothing
        return triplet_loss(vectors, triplets, kind=lessons.distance, margin=lessons.margin, swap=lessons.swap)

    return loss


def about(items: Items, lessons: Lessons, backbone: Backbone, apart: Bools) -> Json:
    """What two runs must have in common for one to go on with the other."""
    told = lessons.to_json()
    told.pop("backbone")
    return {
        "classes": list(items.relation.names),
        "settings": told,
        "items": items.hash(),
        "backbone": backbone.sha256,
        "held out": [int(i) for i in np.flatnonzero(apart)],
    }


def record(
    items: Items, lessons: Lessons, backbone: Backbone, standing: "Standing", course: Course, notes: Sequence[str], device: str,
    seconds: float,
) -> Json:  # fmt: skip
    """The run record: what was done, to what, with what."""
    learnt: Json = {
        "steps": standing.step,
        "best_step": standing.best_step,
        "ended_early": standing.stopped,
        "curves": curves(standing, course.before, course.plan.every),
    }
    source = {"path": items.source, "items": len(items), "hash": items.hash(), "columns": list(items.columns)}
    found = RunRecord(
        kind="similarity", method=lessons.method, parameters=lessons.to_json(), source=source, seed=lessons.seed, device=device,
        learnt=learnt, inputs={backbone.name: backbone.sha256}, notes=list(notes), seconds=round(seconds, 2),
    )  # fmt: skip
    return found.to_json()
