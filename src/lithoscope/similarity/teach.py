"""Teaching a backbone by triplets or supervised contrast, and keeping the frozen one when what is held out finds its like no better."""

import shutil
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn

from lithoscope.errors import InputError
from lithoscope.features import adapters
from lithoscope.features.backbones import Backbone, open_backbone
from lithoscope.features.vit import Vit
from lithoscope.job import Report, silent
from lithoscope.record import RunRecord
from lithoscope.similarity.items import Items
from lithoscope.similarity.loop import Course, Step, curves, learn
from lithoscope.similarity.losses import contrastive_loss, distances, triplet_loss
from lithoscope.similarity.mining import mined
from lithoscope.similarity.network import Embedding, embedded
from lithoscope.similarity.readout import Readout, fitted, projected, views_of
from lithoscope.similarity.relations import Relation
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
    setting = Setting.begun(lessons, output, device, overwrite=overwrite)
    backbone, place = setting.backbone, setting.place
    notes = [*items.notes, *items.relation.check()]
    apart, said = chosen(items, lessons, held)
    notes += [*said, *leaks(items.thumbnails(), items.relation, items.groups, items.names)]
    judge = HeldOut(items.relation, items.groups, apart)
    lesson = _lesson(items, lessons, backbone, apart, place, judge, report)
    course = Course(
        lesson.module, lesson.loss, lesson.judge, round(lesson.before, 6), plan_of(lessons), about(items, lessons, backbone, apart),
        started=lesson.started,
    )  # fmt: skip
    standing = learn(course, device=place, folder=setting.training, report=report)
    better = bool(standing.best)
    write_backbone(output, lesson.kept() if better else backbone.network)
    if not better:
        notes.append(f"what is held out found its like no better than before ({lesson.before:.3f}): the frozen network is kept")
    scores = {"frozen": course.before, "taught": standing.best_score[0]}
    return setting.ended(items, lessons, course, standing, apart, scores, notes, kept=better)


@dataclass(frozen=True)
class Setting:
    """What every teaching begins with, and leaves behind."""

    output: Path
    training: Path
    backbone: Backbone
    place: torch.device
    since: float

    @classmethod
    def begun(cls, lessons: Lessons, output: Path, device: str, *, overwrite: bool) -> Self:
        """Refuse to teach over what is finished, and open the backbone."""
        since, training = time.monotonic(), begin(output, overwrite=overwrite)
        return cls(output, training, opened(lessons.backbone, device), torch.device(device), since)

    def ended(
        self, items: Items, lessons: Lessons, course: Course, standing: "Standing", apart: Bools, scores: dict[str, float],
        notes: Sequence[str], *, kept: bool, more: Json | None = None,
    ) -> Taught:  # fmt: skip
        """Write what came of it, with its record, and forget the checkpoint."""
        pooling = "mean" if lessons.method == "siamese" else lessons.pooling
        view = {"side": items.pictures.side, "pooling": pooling, "views": items.pictures.views, "backbone": self.backbone.name}
        told = record(items, lessons, self.backbone, standing, course, notes, str(self.place), time.monotonic() - self.since)
        names = tuple(np.asarray(items.names)[apart].tolist())
        taught = Taught(
            self.output, lessons.method, "taught" if kept else "frozen", scores, view, items.relation.sizes(), names, tuple(notes), told,
            more or {},
        )  # fmt: skip
        taught.write()
        shutil.rmtree(self.training, ignore_errors=True)
        return taught


@dataclass(frozen=True)
class _Lesson:
    """What learns, by which loss, and how it is judged; `kept` is the backbone that comes of it, `started` whether it begins otherwise
    than untaught."""

    module: nn.Module
    loss: Step
    judge: Callable[[], float]
    before: float
    kept: Callable[[], nn.Module]
    started: bool


def _lesson(
    items: Items, lessons: Lessons, backbone: Backbone, apart: Bools, place: torch.device, judge: HeldOut, report: Report
) -> _Lesson:
    """The matrix behind the network is fitted first, as far as the network has a place for one; then it learns alone, or all of it."""
    rows, network = np.flatnonzero(~apart), Embedding(backbone.network, lessons.pooling, backbone.width).to(place).eval()
    seen = embedded(network.raw, items.pictures, place, report, "looking at the items")
    network.fit(seen[rows]).to(place)
    before = judge.score(seen - network.mean.cpu().numpy())
    if not isinstance(cast(nn.Module, backbone.network), Vit):
        if lessons.tuning == "frozen":
            raise InputError(f"{backbone.name} is convolutional and has no place for a taught matrix; use tuning=lora or all")
        start, matrix = backbone, None
    else:
        views = views_of(network, items.pictures.with_zoom(lessons.zoom), rows, place, lessons.seed, report)
        matrix = fitted(seen[rows], views, items.relation.some(rows))
        start = replace(backbone, network=cast(Vit, projected(backbone.network, matrix)))
    if lessons.tuning == "frozen" and matrix is not None:
        readout = Readout(matrix, network.mean, network.scale).to(place)
        known = torch.from_numpy(seen).to(place)

        def alone() -> float:
            with torch.inference_mode():
                return judge.score(readout(known).cpu().numpy())

        return _Lesson(
            readout, remembered_loss(readout, views, items.relation, rows, lessons, place), alone, before,
            lambda: projected(backbone.network, readout.projector.weight.detach().cpu().numpy()), True,
        )  # fmt: skip
    whole = Embedding(trainable(start, lessons, place), lessons.pooling, backbone.width)
    whole = whole.fit(seen[rows] if matrix is None else seen[rows] @ matrix.T).to(place).eval()
    return _Lesson(
        whole, batch_loss(whole, items, rows, lessons, place), lambda: judge.score(embedded(whole, items.pictures, place)), before,
        lambda: merged(start, whole.backbone, lessons), matrix is not None,
    )  # fmt: skip


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
        made = adapted(backbone.network, LoraSettings(rank=lessons.rank, alpha=float(lessons.rank)), device=device, seed=lessons.seed)
        for name, parameter in made.named_parameters():
            if name.startswith("projector."):
                parameter.requires_grad_(True)
        return made
    return deepcopy(backbone.network).requires_grad_(lessons.tuning == "all")


def merged(backbone: Backbone, taught: nn.Module, lessons: Lessons) -> nn.Module:
    """What was taught as a network like any other: small matrices worked into the weights."""
    if lessons.tuning != "lora":
        return taught
    matrices: Any = {n: p.detach().float().cpu().numpy() for n, p in taught.named_parameters() if "lora_" in n}
    scale = adapters.scale_of(lessons.rank, float(lessons.rank), True)
    made: nn.Module = adapters.tuned(backbone.network.cpu(), matrices, scale)
    if isinstance(made, Vit) and made.config.projected:
        made = made.with_projector(cast(Any, taught).projector.weight)
    return made


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
        return asked_of(vectors, items.relation, chosen_rows, lessons, generator)

    return loss


def remembered_loss(
    readout: Readout, views: npt.NDArray[np.float32], relation: Relation, rows: npt.NDArray[np.intp], lessons: Lessons, device: torch.device
) -> Step:
    """The same of a network that does not change: `views` (rows, views, channels) of the items that teach are known, and one of each is
    drawn."""
    batches = Batches(relation, rows, lessons.classes, lessons.each)
    known = torch.from_numpy(views).to(device)

    def loss(step: int, generator: Generator) -> Tensor:
        chosen_rows = batches(generator)
        drawn = torch.randint(known.shape[1], (len(chosen_rows),), generator=generator)
        vectors: Tensor = readout(known[torch.from_numpy(np.searchsorted(rows, chosen_rows)), drawn])
        return asked_of(vectors, relation, chosen_rows, lessons, generator)

    return loss


def asked_of(vectors: Tensor, relation: Relation, rows: npt.NDArray[np.intp], lessons: Lessons, generator: Generator) -> Tensor:
    """The loss of the vectors (n, channels) of some items, by the method that was chosen."""
    same, other = (torch.from_numpy(mask).to(vectors.device) for mask in relation.masks(rows))
    if lessons.method == "contrastive":
        return contrastive_loss(vectors, same, other, lessons.temperature)
    with torch.no_grad():
        triplets = mined(distances(vectors, lessons.distance), same, other, lessons.mining, generator)
    if not len(triplets):
        nothing: Tensor = vectors.sum() * 0
        return nothing
    return triplet_loss(vectors, triplets, kind=lessons.distance, margin=lessons.margin, swap=lessons.swap)


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
