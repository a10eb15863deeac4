"""Teaching a backbone by triplets or supervised contrast, and keeping the frozen one when what is held out finds its like no better."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch

from lithoscope.features.backbones import Backbone, open_backbone
from lithoscope.job import Report, silent
from lithoscope.record import RunRecord
from lithoscope.similarity.items import Items
from lithoscope.similarity.leaving_out import Fared
from lithoscope.similarity.lesson import Looked, plan_of
from lithoscope.similarity.loop import Course, curves, learn, refuse_another
from lithoscope.similarity.readout import blended
from lithoscope.similarity.scoring import HeldOut, Score
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
    without = LeftOut.of(looked if held is None else replace(looked, rows=rows[:0]), report)
    matrix, vectors, share = looked.matrix(rows), looked.about_mean(rows), None
    before = judge.score(vectors)
    if matrix is not None:
        shares = shares_of(lessons)
        matrix, share = begun_with(matrix, vectors, judge, before, lessons, shares, without.begun(shares))
    fared = without.taught(share, setting.training, what, report)
    lesson = looked.lesson(rows, matrix)
    course = Course(
        lesson.module, lesson.loss, lambda: judge.score(lesson.vectors()), before.rounded(), plan_of(lessons), what,
        started=lesson.started, tolerance=lessons.tolerance, fared=fared,
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


def shares_of(lessons: Lessons) -> list[float]:
    """How much of the matrix it may begin with: all that is wished, two thirds or a third of it."""
    return [round(lessons.blend * part, 6) for part in (1.0, 2 / 3, 1 / 3)]


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


def begun_with(
    matrix: Floats, vectors: Floats, judge: HeldOut, before: Score, lessons: Lessons, shares: Sequence[float], begun: Fared | None
) -> tuple[Floats, float]:
    """The greatest of these shares of a matrix that harms neither held-out items, by vectors (n, channels) about their mean, nor classes
    that did not teach, by how they fared with each; where each harms, the least."""
    for number, share in enumerate(shares):
        made = blended(matrix, share)
        lost = 0.0 if begun is None else begun.untaught - begun.at(number)[0]
        if judge.score(vectors @ made.T).items >= before.items and lost <= lessons.tolerance:
            return made, share
    return blended(matrix, shares[-1]), shares[-1]


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
