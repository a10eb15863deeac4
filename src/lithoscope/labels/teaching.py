"""A method taught by strokes: scored on some that are held back, then fitted on all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Report, silent
from lithoscope.labels.predict import resolved
from lithoscope.labels.samples import StrokeSamples, Taught, score
from lithoscope.segmenters.base import Segmenter


@dataclass(frozen=True)
class Lesson:
    """A method fitted on all strokes, how it did on held-out ones (`scores`, plain JSON) and the reasons of choices made."""

    method: Segmenter
    scores: dict[str, Any]
    notes: list[str]


def teach(
    taught: Sequence[Taught], method: Segmenter, classes: ClassTable, *, seed: int | None = None, scored: bool = True, report: Report = silent
) -> Lesson:
    """Fit `method` on what is painted on the scans; with `scored`, first on a part of it, to score it on the rest."""
    if not taught:
        raise InputError("there is no scan to learn from; name at least one")
    method, notes = for_scans(taught, method, seed)
    samples = StrokeSamples.of(taught, classes, method)
    found: dict[str, Any] = {}
    if scored:
        holding = samples.scored(method.halo(), int(getattr(method, "seed", 0)))
        assert holding.split is not None
        if holding.split.lacking:
            found = {"missing": holding.split.lacking}
        else:
            found = score(method.fit(holding, report=report), holding)
    return Lesson(method.fit(samples, report=report), found, notes)


def for_scans(taught: Sequence[Taught], method: Segmenter, seed: int | None) -> tuple[Segmenter, list[str]]:
    """The method with what was left open chosen so that it suits every scan, and the reasons."""
    flat = [t for t in taught if t.scan.dimensions()[0] == 2]
    return resolved((flat or list(taught))[0].scan, method, seed)


def matched(model: ClassTable, scan: ClassTable) -> str:
    """Which class of a scan each class of a model is, by name, in words."""
    known = {c.name.casefold(): c for c in scan}
    parts = [
        f"{c.id} {c.name} is {known[c.name.casefold()].id} {known[c.name.casefold()].name}" if c.name.casefold() in known else f"{c.id} {c.name} is new"
        for c in model
    ]
    return f"the model's classes in this scan: {', '.join(parts)}"
