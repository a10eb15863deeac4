"""One method by the protocol: taught by the strokes, its clusters named by them, run over the scan, scored where nobody taught it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.compare.apart import PeakMemory
from lithoscope.compare.mapping import clusters_to_classes, thresholds_between
from lithoscope.errors import InputError
from lithoscope.job import Report, silent
from lithoscope.labels.given import AsClasses
from lithoscope.labels.grey_values import GreyValues
from lithoscope.labels.heldout import Split, held_out
from lithoscope.labels.painted import Painted
from lithoscope.labels.predict import Lesson, resolved, segment
from lithoscope.labels.results import open_result
from lithoscope.labels.samples import StrokeSamples, Taught
from lithoscope.labels.teaching import taught_by
from lithoscope.measure.agreement import Agreement, against
from lithoscope.measure.truth import opened_truth
from lithoscope.parameters import configured, parameters, settings
from lithoscope.scores.boundary import Boundary
from lithoscope.segmenters import segmenter
from lithoscope.segmenters.base import Samples, Segmenter
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box
from lithoscope.volume.scan import Scan

_CELL = (64, 256, 256)


@dataclass(frozen=True)
class Protocol:
    """What is the same for all methods: the scan, the strokes, and where they are scored. Plain values, fit for another process.

    With a truth, all strokes teach and every other voxel of the truth scores. Without one, the strokes that `gap` and `seed` hold
    back score, and the others teach. What scores is shown to no method: a network that chooses its weights by strokes it was not
    taught holds back some of those that teach.
    """

    scan: Path
    strokes: str = "strokes"
    truth: str | None = None
    image: str | None = None
    strokes_map: Mapping[int, int] | None = None
    truth_map: Mapping[int, int] | None = None
    gap: int = 0
    seed: int = 0

    def opened(self, report: Report = silent) -> tuple[Scan, Taught, ClassTable]:
        """The scan, what is painted on it, and its classes."""
        scan = Scan.open(self.scan)
        taught, classes = taught_by([scan], [self.strokes], image=self.image, value_map=self.strokes_map, cached=False, report=report)
        if len(np.unique(taught[0].painted.labels)) < 2:
            raise InputError(f"{self.strokes} holds strokes of one class alone; paint at least two classes")
        return scan, taught[0], classes

    def split(self, painted: Painted, classes: ClassTable) -> Split | None:
        """What is held back; None where a truth scores instead."""
        if self.truth is not None:
            return None
        found = held_out([painted], classes, halo=self.gap, seed=self.seed)
        if found.lacking:
            raise InputError(f"too few strokes to keep some for the score: {found.lacking}; or give a truth: --truth LABELS")
        return found


@dataclass(frozen=True)
class Entry:
    """One line of the comparison: a method with some settings of its own, written `forest` or `dino:tuning=lora`."""

    method: str
    given: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Entry":
        name, _, rest = text.strip().partition(":")
        given = {}
        for pair in filter(None, rest.split(":")):
            key, equals, value = pair.partition("=")
            if not key or not equals:
                raise InputError(f"{text!r} is not of the form METHOD or METHOD:key=value:key=value")
            given[key] = value
        if not name:
            raise InputError(f"{text!r} names no method")
        return cls(name, given)

    @property
    def label(self) -> str:
        return ":".join([self.method, *(f"{k}={v}" for k, v in self.given.items())])

    @property
    def output(self) -> str:
        """A name of a result."""
        return self.label.replace(":", " ").replace("/", "-").replace("\\", "-")


def run_method(protocol: Protocol, entry: Entry, output: str, *, report: Report = silent) -> dict[str, Any]:
    """The method's result, made and scored: plain JSON with `mean_iou`, `seconds` and `peak_bytes`."""
    scan, taught, classes = protocol.opened(report)
    split = protocol.split(taught.painted, classes)
    with PeakMemory() as memory:
        start = time.perf_counter()
        teaching = replace(taught, painted=_teaching(taught.painted, split))
        method, every, notes = _prepared(protocol, entry, scan, teaching, classes)
        chosen_by = every if method.refitted else _choosing(every, protocol.seed)
        method = method.fit(chosen_by, report=report)
        if chosen_by is not every:
            method = method.finished(every, report=report)
        mapping = _mapping(method, teaching, classes)
        fitted = time.perf_counter() - start
        inputs = {f"strokes on {scan.name}": taught.painted.digest()}
        if not method.needs_labels:
            notes += _words(mapping, classes)
        lesson = Lesson(inputs=inputs, notes=notes, classes=classes, mapping=mapping)
        record = segment(
            scan, method, output=output, image=protocol.image, lesson=lesson, seed=protocol.seed, overwrite=True, report=report
        )  # fmt: skip
        seconds = time.perf_counter() - start
    with protocol_truth(protocol, scan, taught.painted, split, report) as truth:
        labels = open_result(scan, output).array
        boundary = Boundary(flat=scan.dimensions()[0] == 2) if protocol.truth is not None else None
        agreed = _scored(labels, truth, scan, boundary, taught.painted if split is not None else None, report)
    scores = agreed.to_json()
    return {
        "mean_iou": scores.pop("mean_iou"),
        "seconds": round(seconds, 3),
        "fit_seconds": round(fitted, 3),
        "peak_bytes": memory.bytes,
        "gpu_peak_bytes": memory.gpu_bytes,
        "class_map": {} if method.needs_labels else {str(k): v for k, v in mapping.items()},
        "settings": settings(method),
        "result": output,
        "record": record.to_json(),
        **scores,
    }


def _prepared(protocol: Protocol, entry: Entry, scan: Scan, teaching: Taught, classes: ClassTable) -> tuple[Segmenter, Samples, list[str]]:
    """The method with what the protocol sets for it, and the samples it learns from."""
    kind = segmenter(entry.method)
    known = {p.name for p in parameters(kind)}
    given: dict[str, Any] = dict(entry.given)
    notes = []
    if "classes" in known and not kind.needs_labels:
        given.setdefault("classes", len(classes))
    if "seed" in known:
        given.setdefault("seed", protocol.seed)
    if entry.method == "threshold" and "bounds" not in given:
        given["bounds"] = thresholds_between(*_painted_values(scan, protocol.image, teaching.painted))
        notes.append("bounds put where the strokes that teach are told apart best")
    method, reasons = resolved(scan, configured(kind, given))
    if not kind.needs_labels:
        return method, GreyValues(scan, protocol.image), notes + reasons
    return method, StrokeSamples.of([teaching], classes, method), notes + reasons


def _choosing(samples: Samples, seed: int) -> Samples:
    """The samples with some strokes held, by which a network chooses its weights; all of them where too few are painted."""
    assert isinstance(samples, StrokeSamples)
    held = samples.scored((0, 0, 0), seed)
    return samples if held.split is None or held.split.lacking else held


def _mapping(method: Segmenter, teaching: Taught, classes: ClassTable) -> dict[int, int]:
    """Which painted class each of a method's own is: by name for one that was told, else on the strokes that teach."""
    if method.needs_labels:
        return {own.id: classes.named(own.name).id for own in method.classes_}
    counts = np.zeros((256, 256), np.int64)
    for sample in StrokeSamples([teaching], classes, method.halo(), featured=False):
        assert sample.labels is not None
        said = method.predict(sample)[sample.core]
        np.add.at(counts, (sample.labels[sample.core].ravel(), said.ravel()), 1)
    counts[0] = 0
    return clusters_to_classes(counts[:, : max(method.classes_.ids) + 1], classes.ids)


def _words(mapping: Mapping[int, int], classes: ClassTable) -> list[str]:
    pairs = ", ".join(f"cluster {own} is {id} {classes[id].name}" for own, id in mapping.items())
    return [f"mapped on the strokes that teach: {pairs}"]


def _teaching(painted: Painted, split: Split | None) -> Painted:
    """The strokes that teach: those neither held back nor too near to one that is."""
    if split is None:
        return painted
    kept = ~(split.held[0] | split.aside[0])
    _, strokes = np.unique(painted.strokes[kept], return_inverse=True)
    return Painted(painted.places[kept], painted.labels[kept], strokes.astype(np.int64), painted.flat)


def _painted_values(scan: Scan, image: str | None, painted: Painted) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """The grey value and class of every voxel that teaches."""
    array = scan.array(image)
    values = np.zeros(len(painted))
    for box, chosen in painted.boxes(_CELL):
        at = tuple((painted.places[chosen] - np.array(box.start)).T)
        values[chosen] = np.asarray(array[box.slices])[at]
    return values, painted.labels


@contextmanager
def protocol_truth(protocol: Protocol, scan: Scan, painted: Painted, split: Split | None, report: Report) -> Iterator["Scoring"]:
    """What scores: the truth where nobody painted, or the strokes that are held back."""
    if split is not None:
        yield Scoring(None, scan.shape, painted, np.where(split.held[0], painted.labels, np.uint8(0)))
        return
    with opened_truth(scan, protocol.truth, protocol.truth_map, report) as truth:
        assert truth is not None
        yield Scoring(truth, scan.shape, painted, np.zeros(len(painted), np.uint8))


class Scoring:
    """Labels (z, y, x) that score, all 0 or those of a truth `beneath`, with `values` laid over them at what is painted."""

    dtype = np.dtype(np.uint8)

    def __init__(self, beneath: AsClasses | None, shape: tuple[int, int, int], painted: Painted, values: npt.NDArray[np.uint8]) -> None:
        order = np.argsort(painted.places[:, 0], kind="stable") if len(painted) else np.zeros(0, np.intp)
        self._beneath, self.shape = beneath, shape
        self.notes = () if beneath is None else beneath.given.notes
        self._places, self._values = painted.places[order], values[order]

    def __getitem__(self, key: tuple[slice, slice, slice]) -> npt.NDArray[np.uint8]:
        starts, stops = zip(*(part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True)), strict=True)
        if self._beneath is None:
            labels = np.zeros([b - a for a, b in zip(starts, stops, strict=True)], np.uint8)
        else:
            labels = np.array(self._beneath[key], np.uint8)
        low, high = np.searchsorted(self._places[:, 0], (starts[0], stops[0]))
        places = self._places[low:high]
        within = ((places >= starts) & (places < stops)).all(axis=1)
        labels[tuple((places[within] - np.array(starts)).T)] = self._values[low:high][within]
        return labels


def _scored(labels: Array3D, truth: Array3D, scan: Scan, boundary: Boundary | None, only: Painted | None, report: Report) -> Agreement:
    """The agreement over the whole scan, or only where something is painted."""
    if only is None:
        return against(labels, truth, field_of_view=scan.field_of_view, boundary=boundary, report=report)
    found = Agreement(scan.shape[0])
    for box, _ in only.boxes(_CELL):
        _add(found, box, truth, labels)
    return found


def _add(found: Agreement, box: Box, truth: Array3D, labels: Array3D) -> None:
    real, said = np.asarray(truth[box.slices]), np.asarray(labels[box.slices])
    found.confusion.add(real, said)
    found.slices.add(box.start[0], real, said)
