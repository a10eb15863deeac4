"""What a teaching does to what did not teach, found out before it begins: the same is taught without some of it, in turn."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.similarity.leaving_out import FEW, MOST, Fared, Fold, class_folds, item_folds, pooled, precisions
from lithoscope.similarity.lesson import Looked, plan_of
from lithoscope.similarity.loop import Course, learn
from lithoscope.similarity.readout import blended
from lithoscope.similarity.scoring import Score
from lithoscope.similarity.taught import read_json, write_json

Json = dict[str, Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Items as they were looked at, `what` is left out of them in turn, and the matrix fitted without it each time."""

    looked: Looked
    what: str
    folds: tuple[Fold, ...]
    matrices: tuple[Floats | None, ...]

    @classmethod
    def classes(cls, looked: Looked, report: Report = silent) -> "LeftOut":
        """Leave classes out, as often as the tuning allows, of the items that may teach."""
        items, lessons = looked.items, looked.lessons
        most = MOST if lessons.tuning == "frozen" else FEW
        found = class_folds(items.relation, items.groups, _teaching(looked), lessons.hold_classes, most, lessons.seed)
        return cls._fitted(looked, "classes", found, report)

    @classmethod
    def items(cls, looked: Looked, report: Report = silent) -> "LeftOut":
        """Leave each group that may teach out once, of each class about as much as is held out."""
        items, lessons = looked.items, looked.lessons
        found = item_folds(items.relation, items.groups, _teaching(looked), lessons.hold, lessons.seed)
        return cls._fitted(looked, "items", found if looked.views is not None else [], report)

    @classmethod
    def _fitted(cls, looked: Looked, what: str, found: Sequence[Fold], report: Report) -> "LeftOut":
        matrices = []
        for number, fold in enumerate(found):
            report(Progress(number, len(found), f"fitting without some {what}, {number + 1} of {len(found)}"))
            matrices.append(looked.matrix(fold.teach))
        return cls(looked, what, tuple(found), tuple(matrices))

    def begun(self, shares: Sequence[float]) -> Fared | None:
        """How they fare before the first step with such shares of the matrix, which stand for steps; None where nothing is left out, or
        there is no matrix."""
        if not self.folds or self.matrices[0] is None:
            return None
        told = []
        for fold, matrix in zip(self.folds, self.matrices, strict=True):
            assert matrix is not None
            vectors = self.looked.about_mean(fold.teach)[fold.among]
            made = [vectors, *(vectors @ blended(matrix, share).T for share in shares)]
            told.append(np.stack([self._asked(fold, one) for one in made]))
        return pooled(self.looked.items.relation, [fold.asked for fold in self.folds], range(len(shares)), told)

    def taught(self, share: float | None, folder: Path, about: Json, report: Report = silent) -> Fared | None:
        """How they fare as the others are taught, beginning with this share of the matrix. What was found out is kept in a folder, and
        read from there when it is asked again; `about` says of what."""
        if not self.folds:
            return None
        plain = hashlib.sha256(json.dumps([about, share], sort_keys=True).encode()).hexdigest()
        path = folder / f"{self.what}-in-turn.json"
        kept = read_json(path) if path.is_file() else {}
        told, steps = (kept["told"], kept["steps"]) if kept.get("about") == plain else ([], [])
        for number in range(len(told), len(self.folds)):
            values, steps = self._one(number, share, report)
            told.append(values.tolist())
            write_json(path, {"about": plain, "told": told, "steps": steps})
        found = [np.array(one) for one in told]
        return pooled(self.looked.items.relation, [fold.asked for fold in self.folds], steps, found)

    def _one(self, number: int, share: float | None, report: Report) -> tuple[npt.NDArray[np.float64], list[int]]:
        """Teach without what is left out this time: precisions (1 + states, asked) and the steps of the states."""
        fold, matrix, looked = self.folds[number], self.matrices[number], self.looked
        lesson = looked.lesson(fold.teach, None if matrix is None or share is None else blended(matrix, share), fold.among)
        found = [self._asked(fold, looked.about_mean(fold.teach)[fold.among])]

        def judge() -> Score:
            found.append(self._asked(fold, lesson.vectors()))
            return Score(float(np.nanmean(found[-1])))

        def told(progress: Progress) -> None:
            done, each = number * plan.steps + progress.done, f"{number + 1} of {len(self.folds)}"
            report(
                Progress(done, len(self.folds) * plan.steps, f"{self.what} left out in turn, {each}: step {progress.done} of {plan.steps}")
            )

        plan = plan_of(looked.lessons, patient=True)
        before = Score(float(np.nanmean(found[0])))
        standing = learn(
            Course(lesson.module, lesson.loss, judge, before, plan, {}, started=lesson.started), device=looked.place, report=told
        )
        return np.stack(found), [int(step) for step in standing.curves["judged_at"]]

    def _asked(self, fold: Fold, vectors: Floats) -> npt.NDArray[np.float64]:
        """The precisions (asked,) by vectors (among, channels)."""
        items = self.looked.items
        found = precisions(items.relation.some(fold.among), [items.groups[i] for i in fold.among], vectors)
        return found[np.searchsorted(fold.among, fold.asked)]


def _teaching(looked: Looked) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(looked.items), bool)
    found[looked.rows] = True
    return found
