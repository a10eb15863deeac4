"""Teaching a backbone by triplets or supervised contrast, and keeping the frozen one when what is held out finds its like no better."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch

from lithoscope.features.backbones import Backbone, open_backbone
from lithoscope.job import Report, silent
from lithoscope.record import RunRecord
from lithoscope.similarity.items import Items
from lithoscope.similarity.lesson import Looked, plan_of
from lithoscope.similarity.loop import Course, curves, learn, refuse_another
from lithoscope.similarity.readout import blended
from lithoscope.similarity.scoring import HeldOut
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.split import held_out, leaks
from lithoscope.similarity.taught import Taught, begin, write_backbone
from lithoscope.similarity.unseen import LeftOut
from lithoscope.similarity.verdict import kept, verdict

if TYPE_CHECKING:
    from lithoscope.training.progress import Standing

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


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

    `held` names the items that are held out, and then no classes are left out; without it groups are drawn.
    """
    setting = Setting.begun(lessons, output, device, overwrite=overwrite)
    backbone, place = setting.backbone, setting.place
    notes = [*items.notes, *items.relation.check()]
    apart, said = chosen(items, lessons, held)
    notes += [*said, *leaks(items.thumbnails(), items.relation, items.groups, items.names)]
    rows, what = np.flatnonzero(~apart), about(items, lessons, backbone, apart)
    refuse_another(setting.training, what)
    looked, judge = Looked.at(items, lessons, backbone, rows, place, report), HeldOut(items.relation, items.groups, apart)
    matrix, vectors, share = looked.matrix(rows), looked.about_mean(rows), None
    classes, single = (None, None) if held is not None else (LeftOut.classes(looked, report), LeftOut.items(looked, report))
    before = judge.score(vectors)
    if matrix is not None:
        share = share_of(matrix, vectors, judge, lessons, classes, single)
        matrix = blended(matrix, share)
    fared = None if classes is None else classes.taught(share, setting.training, what, report)
    turns = None
    if single is not None and share is not None:
        turns = single.taught(share, setting.training, what, report) if lessons.tuning == "frozen" else single.begun([share])
    lesson = looked.lesson(rows, matrix)
    course = Course(
        lesson.module, lesson.loss, lambda: judge.score(lesson.vectors()),
        (before if turns is None else before.beside(turns.before)).rounded(), plan_of(lessons), what, started=lesson.started,
        tolerance=lessons.tolerance, fared=fared, turns=turns,
    )  # fmt: skip
    standing = learn(course, device=place, folder=setting.training, report=report)
    better = bool(standing.best)
    write_backbone(output, lesson.kept() if better else backbone.network)
    notes += verdict(course, standing)
    end = kept(course, standing)
    scores = {"frozen": course.first.items, "taught": end.items}
    if course.first.classes is not None and end.classes is not None:
        scores |= {"frozen_classes": course.first.classes, "taught_classes": end.classes}
    more: Json = {"left_out": list(fared.classes) if fared else [], "left_out_error": end.error, "blend": share}
    return setting.ended(items, lessons, course, standing, apart, scores, notes, kept=better, more=more)


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


def share_of(
    matrix: Floats, vectors: Floats, judge: HeldOut, lessons: Lessons, classes: LeftOut | None = None, single: LeftOut | None = None
) -> float:
    """How much of a matrix it begins with: all that is wished, or two thirds or a third of it where more harms held-out items, by vectors
    (n, channels) about their mean, items that were left out in turn, or classes that were; where each harms, the least."""
    shares = [round(lessons.blend * part, 6) for part in (1.0, 2 / 3, 1 / 3)]
    fared, turns = (None if out is None else out.begun(shares) for out in (classes, single))
    before = judge.score(vectors)
    before = before if turns is None else before.beside(turns.before)
    for number, share in enumerate(shares):
        score = judge.score(vectors @ blended(matrix, share).T)
        score = score if turns is None else score.beside(turns.state(number))
        lost = 0.0 if fared is None else fared.untaught - fared.at(number)[0]
        if score.items >= before.items and lost <= lessons.tolerance:
            return share
    return shares[-1]


def opened(name: str, device: str) -> Backbone:
    """A backbone by name, folder or file."""
    return open_backbone(Path(name) if Path(name).exists() else name, device=device)


def chosen(items: Items, lessons: Lessons, held: Sequence[str] | None) -> tuple[Bools, tuple[str, ...]]:
    """Which items are held out: those named, or drawn from each class."""
    if held is not None:
        return np.isin(np.asarray(items.names), np.asarray(held)), ()
    return held_out(items.relation, items.groups, lessons.hold, lessons.seed)


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
        "curves": curves(standing, course.first, course.plan.every),
    }
    source = {"path": items.source, "items": len(items), "hash": items.hash(), "columns": list(items.columns)}
    found = RunRecord(
        kind="similarity", method=lessons.method, parameters=lessons.to_json(), source=source, seed=lessons.seed, device=device,
        learnt=learnt, inputs={backbone.name: backbone.sha256}, notes=list(notes), seconds=round(seconds, 2),
    )  # fmt: skip
    return found.to_json()
