"""A method taught by strokes: scored on some that are held back, then fitted on all; on one scan or on several."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from lithoscope.classes import MAX_ID, Class, ClassTable, colour_of
from lithoscope.errors import InputError
from lithoscope.features.cache import FeatureCache
from lithoscope.job import Report, silent
from lithoscope.labels.classes_file import load_classes
from lithoscope.labels.given import STROKES
from lithoscope.labels.heldout import too_few
from lithoscope.labels.imports import given_classes
from lithoscope.labels.predict import Lesson, resolved
from lithoscope.labels.samples import StrokeSamples, Taught, score
from lithoscope.labels.strokes import strokes
from lithoscope.segmenters.base import Segmenter
from lithoscope.volume.scan import Scan


def teach(
    taught: Sequence[Taught], method: Segmenter, classes: ClassTable, *, scored: bool = True, report: Report = silent
) -> tuple[Segmenter, Lesson]:
    """Fit `method` on what is painted on the scans; with `scored`, first on a part of it, to score it on the rest."""
    if not taught:
        raise InputError("there is no scan to learn from; name at least one")
    flat = [t for t in taught if t.scan.dimensions()[0] == 2]
    method, notes = resolved((flat or list(taught))[0].scan, copy(method))
    for one in taught:
        resolved(one.scan, method)
    samples = StrokeSamples.of(taught, classes, method)
    scores: dict[str, Any] = {}
    if scored:
        # What a network looks at reaches far, but hardly at its rim: its strokes are held as far apart as those of other methods.
        holding = samples.scored(method.halo() if method.refitted else (0, 0, 0), int(getattr(method, "seed", 0)))
        assert holding.split is not None
        if holding.split.lacking:
            scores = {"held_out": {"missing": holding.split.lacking}}
        else:
            method = method.fit(holding, report=report)
            scores = {"held_out": score(method, holding)}
    if method.refitted or "mean_iou" not in scores.get("held_out", {}):
        method = method.fit(samples, report=report)
    else:
        method = method.finished(samples, report=report)
    counts: Counter[int] = Counter()
    for one in taught:
        counts.update(one.painted.labels.tolist())
    if words := too_few(counts, classes):
        notes = [*notes, words]
    notes = notes + method.remarks()
    return method, Lesson(scores, {f"strokes on {t.scan.name}": t.painted.digest() for t in taught}, notes, *as_named(method, classes))


def taught_by(
    scans: Sequence[Scan],
    where: Sequence[str],
    *,
    image: str | None = None,
    value_map: Mapping[int, int] | None = None,
    cached: bool = True,
    report: Report = silent,
) -> tuple[list[Taught], ClassTable]:
    """What is painted on each scan: a file, or a name that every scan has. Classes of several scans are the same if their names are."""
    if len(where) not in (1, len(scans)):
        raise InputError(f"{len(where)} labels are given for {len(scans)} scans; give one that all have, or one a scan")
    found: list[Taught] = []
    table = ClassTable()
    for number, scan in enumerate(scans):
        name = where[number if len(where) > 1 else 0]
        cache = FeatureCache(scan.sidecar / "cache") if cached and not scan.readonly else None
        with ExitStack() as stack:
            if name == STROKES and not Path(name).exists():
                labels: Any = stack.enter_context(strokes(scan, readonly=True))
            else:
                labels = stack.enter_context(given_classes(scan, name, value_map, kind="strokes", report=report))
            one = Taught.of(scan, labels, image, cache=cache)
        if not len(one.painted):
            raise InputError(f"nothing is painted on {scan.name} inside the field of view; paint strokes of at least two classes")
        known = _named(load_classes(scan), {int(i) for i in one.painted.labels})
        table, ids = merged(table, known)
        found.append(replace(one, painted=one.painted.renamed(ids)))
    return found, table


def merged(table: ClassTable, more: ClassTable) -> tuple[ClassTable, dict[int, int]]:
    """The table with what `more` has beyond it, classes being the same if their names are; and the new id of each of `more`."""
    names = {c.name.casefold(): c.id for c in table}
    ids: dict[int, int] = {}
    for c in more:
        if c.name.casefold() in names:
            ids[c.id] = names[c.name.casefold()]
            continue
        free = c.id if c.id not in table else next(i for i in range(1, MAX_ID + 1) if i not in table and i not in more)
        table = ClassTable.of([*table, Class(free, c.name, c.colour, c.porosity)])
        ids[c.id] = free
    return table, ids


def as_named(method: Segmenter, classes: ClassTable) -> tuple[ClassTable | None, dict[int, int]]:
    """The classes of a result, as they are in `classes`, and which of them each of the method's own is; nothing where they are the same.

    A method numbers what it learns 1…n; what people painted keeps its id. Classes are the same if their names are; those that
    `classes` lacks get ids that are free in it.
    """
    table, ids = merged(classes, method.classes_)
    if all(own == id for own, id in ids.items()) and all(c == table[c.id] for c in method.classes_):
        return None, {}
    return ClassTable.of([c for c in table if c.id in ids.values()]), ids


def matched(model: ClassTable, scan: ClassTable) -> str:
    """Which class of a scan each class of a model is, by name, in words."""
    known = {c.name.casefold(): c for c in scan}
    parts = []
    for c in model:
        own = known.get(c.name.casefold())
        parts.append(f"{c.id} {c.name} is {'new' if own is None else f'its {own.id} {own.name}'}")
    return f"classes of the model in this scan: {', '.join(parts)}"


def _named(known: ClassTable, ids: set[int]) -> ClassTable:
    """The scan's classes of these ids; those it has no name for are named by their number."""
    return ClassTable.of([c for c in known if c.id in ids] + [Class(i, f"class {i}", colour_of(i)) for i in sorted(ids - set(known.ids))])
