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
from lithoscope.similarity.readout import Readout, blended, fitted, projected, views_of
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.sampling import Batches
from lithoscope.similarity.scoring import HeldOut, Score
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.split import classes_held_out, held_out, leaks
from lithoscope.similarity.taught import Taught, begin, write_backbone
from lithoscope.similarity.verdict import kept, verdict
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
    whole = np.zeros(len(items), bool) if held is not None else _whole(items, lessons)
    names = tuple(sorted({name for name, own in zip(items.relation.named(), whole, strict=True) if own}))
    apart, said = chosen(items, lessons, held, whole)
    notes += [*said, *leaks(items.thumbnails(), items.relation, items.groups, items.names)]
    judge = HeldOut(items.relation, items.groups, apart, whole)
    lesson = _lesson(items, lessons, backbone, apart, place, judge, report)
    course = Course(
        lesson.module, lesson.loss, lesson.judge, lesson.before.rounded(), plan_of(lessons), about(items, lessons, backbone, apart),
        started=lesson.started, tolerance=lessons.tolerance,
    )  # fmt: skip
    standing = learn(course, device=place, folder=setting.training, report=report)
    better = bool(standing.best)
    write_backbone(output, lesson.kept() if better else backbone.network)
    notes += verdict(course, standing, names)
    end = kept(course, standing)
    scores = {"frozen": course.before.items, "taught": end.items}
    if course.before.classes is not None and end.classes is not None:
        scores |= {"frozen_classes": course.before.classes, "taught_classes": end.classes}
    more: Json = {"held_classes": list(names), "blend": lesson.blend}
    return setting.ended(items, lessons, course, standing, apart, scores, notes, kept=better, more=more)


def _whole(items: Items, lessons: Lessons) -> Bools:
    """Which items are of classes that are held out whole."""
    return classes_held_out(items.relation, items.groups, lessons.hold_classes, lessons.seed)


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
    than untaught, and `blend` how much of the fitted matrix it begins with, None where there is none."""

    module: nn.Module
    loss: Step
    judge: Callable[[], Score]
    before: Score
    kept: Callable[[], nn.Module]
    started: bool
    blend: float | None


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
        start, matrix, blend = backbone, None, None
    else:
        views = views_of(network, items.pictures.with_zoom(lessons.zoom), rows, place, lessons.seed, report)
        about_mean = seen - network.mean.cpu().numpy()
        matrix, blend = begun_with(fitted(seen[rows], views, items.relation.some(rows)), about_mean, judge, before, lessons)
        start = replace(backbone, network=cast(Vit, projected(backbone.network, matrix)))
    if lessons.tuning == "frozen" and matrix is not None:
        readout = Readout(matrix, network.mean, network.scale).to(place)
        known = torch.from_numpy(seen).to(place)

        def alone() -> Score:
            with torch.inference_mode():
                return judge.score(readout(known).cpu().numpy())

        return _Lesson(
            readout, remembered_loss(readout, views, items.relation, rows, lessons, place), alone, before,
            lambda: projected(backbone.network, readout.projector.weight.detach().cpu().numpy()), True, blend,
        )  # fmt: skip
    whole = Embedding(trainable(start, lessons, place), lessons.pooling, backbone.width)
    whole = whole.fit(seen[rows] if matrix is None else seen[rows] @ matrix.T).to(place).eval()
    return _Lesson(
        whole, batch_loss(whole, items, rows, lessons, place), lambda: judge.score(embedded(whole, items.pictures, place)), before,
        lambda: merged(start, whole.backbone, lessons), matrix is not None, blend,
    )  # fmt: skip


def begun_with(
    matrix: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32], judge: HeldOut, before: Score, lessons: Lessons
) -> tuple[npt.NDArray[np.float32], float]:
    """So much of a matrix as harms neither held-out items nor classes that are held out whole, by vectors (n, channels) about their mean:
    all that is wished, two thirds or a third of it; where each harms, all."""
    for part in (1.0, 2 / 3, 1 / 3):
        share = round(lessons.blend * part, 6)
        made = blended(matrix, share)
        score = judge.score(vectors @ made.T)
        if score.items >= before.items and score.lost(before) <= lessons.tolerance:
            return made, share
    return blended(matrix, lessons.blend), lessons.blend


def opened(name: str, device: str) -> Backbone:
    """A backbone by name, folder or file."""
    return open_backbone(Path(name) if Path(name).exists() else name, device=device)


def chosen(items: Items, lessons: Lessons, held: Sequence[str] | None, whole: Bools | None = None) -> tuple[Bools, tuple[str, ...]]:
    """Which items are held out: those named, or drawn from each class, beside `whole` (n,), those of classes that are held out whole."""
    if held is not None:
        return np.isin(np.asarray(items.names), np.asarray(held)), ()
    if whole is None or not whole.any():
        return held_out(items.relation, items.groups, lessons.hold, lessons.seed)
    found, said = held_out(items.relation.without(whole), items.groups, lessons.hold, lessons.seed)
    return found | whole, said


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
