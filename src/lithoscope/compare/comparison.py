"""The comparison itself: method after method, each in a process of its own, kept as it goes so that it can be taken up again."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.compare.apart import apart
from lithoscope.compare.protocol import Entry, Protocol, protocol_truth, run_method
from lithoscope.errors import InputError, LithoscopeError, MissingError, NewerSchemaError, TakenError, UnreadableError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels.results import delete, results
from lithoscope.labels.samples import Taught
from lithoscope.measure.agreement import flat_edge
from lithoscope.parameters import configured, parameters
from lithoscope.record import now, versions
from lithoscope.segmenters.base import REGISTRY
from lithoscope.volume.blocks import blocks
from lithoscope.volume.scan import Scan
from lithoscope.volume.store import write_json

SCHEMA = 1
METHODS = ("threshold", "otsu", "watershed", "kmeans", "fuzzy", "forest", "unet", "dino", "dino:tuning=lora")
"""What is compared unless told otherwise; a method that this installation lacks is named as missing."""

Runner = Callable[[Protocol, Entry, str, Report], dict[str, Any]]


def compare(
    scan: Scan,
    strokes: str = "strokes",
    *,
    truth: str | None = None,
    methods: Sequence[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    image: str | None = None,
    strokes_map: Mapping[int, int] | None = None,
    truth_map: Mapping[int, int] | None = None,
    seeds: Sequence[int] = (0,),
    name: str = "comparison",
    resume: bool = False,
    overwrite: bool = False,
    processes: bool = True,
    report: Report = silent,
) -> dict[str, Any]:
    """All methods on one scan by one protocol: plain JSON with `methods[].name|mean_iou|seconds|peak_bytes`, best score first.

    With a truth, all strokes teach and every voxel of the truth that nobody painted scores; without one, the strokes that are held
    back score and the others teach. Each method leaves a result named after the comparison and itself, that of the first seed.
    A cancelled comparison goes on with `resume` at the method it was at. A method that fails, or is not installed, is named with
    the reason, and the others go on.
    """
    entries = _entries(methods, settings or {})
    first = Protocol(scan.path, strokes, truth, image, strokes_map, truth_map, seed=int(seeds[0]))
    _, taught, classes = first.opened(report)
    gap = max([0, *(_halo(entry) for entry in entries)])
    protocols = [Protocol(scan.path, strokes, truth, image, strokes_map, truth_map, gap, int(seed)) for seed in seeds]
    about = _about(scan, taught, classes, protocols, report)
    file = comparison_file(scan, name)
    if resume:
        done = _taken_up(open_comparison(scan, name), about)
    elif file.exists() and not overwrite:
        raise TakenError(f"{scan.name} has a comparison {name} already; say --resume to go on with it, --overwrite, or --name another")
    else:
        done = {}
    lines: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        known = done.get(entry.label)
        if known is not None and known.get("mean_iou") is not None and known.get("settings_given") == dict(entry.given):
            lines.append(known)
            continue
        told = _part(report, number, len(entries), entry.label)
        lines.append(_line(scan, entry, protocols, f"{name} {entry.output}", run_apart if processes else run_here, told))
        scan.check_present()
        later = [done[e.label] for e in entries[number + 1 :] if e.label in done]  # still to be taken up, should this one end here
        write_json(file, _whole(about, [*lines, *later], name))
    found = _whole(about, lines, name)
    write_json(file, found)
    report(Progress(len(entries), len(entries), "compared"))
    return found


def run_apart(protocol: Protocol, entry: Entry, output: str, report: Report) -> dict[str, Any]:
    """One method in a process of its own."""
    return apart(run_method, protocol, entry, output, report=report)


def run_here(protocol: Protocol, entry: Entry, output: str, report: Report) -> dict[str, Any]:
    """One method in this process; its peak memory then shows only what is beyond what earlier ones left."""
    return run_method(protocol, entry, output, report=report)


def comparison_file(scan: Scan, name: str) -> Path:
    """Where a comparison is kept."""
    if not name or Path(name).name != name:
        raise InputError(f"comparison name {name!r} cannot be used; give one of letters and digits")
    return scan.sidecar / "comparisons" / f"{name}.json"


def comparisons(scan: Scan) -> list[str]:
    """The names of the comparisons of a scan."""
    return sorted(file.stem for file in (scan.sidecar / "comparisons").glob("*.json"))


def open_comparison(scan: Scan, name: str) -> dict[str, Any]:
    """The comparison of that name."""
    file = comparison_file(scan, name)
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(comparisons(scan)) or "none yet"
        raise MissingError(f"{scan.name} has no comparison {name!r}; its comparisons are {known}") from None
    except ValueError as error:
        raise UnreadableError(f"{file} is damaged: {error}; compare again with --overwrite") from error
    if int(found.get("schema", 0)) > SCHEMA:
        raise NewerSchemaError(f"{file} is of schema {found['schema']}, this Lithoscope reads up to {SCHEMA}; update it")
    return found


def _entries(methods: Sequence[str] | None, settings: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    entries = [Entry.parse(text) for text in methods or METHODS]
    entries = [Entry(e.method, {**settings.get(e.method, {}), **e.given}) for e in entries]
    labels = [e.label for e in entries]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} is named twice; name each method once")
    for e in entries:
        if e.method in REGISTRY:
            configured(REGISTRY[e.method], e.given)
    return entries


def _halo(entry: Entry) -> int:
    """How far a method looks; the strokes that are held back must be farther from all others than any method looks."""
    kind = REGISTRY.get(entry.method)
    if kind is None:
        return 0
    method = configured(kind, entry.given)
    # What a network looks at reaches far, but hardly at its rim; what learns from no strokes cannot learn from near ones.
    return max(method.halo()) if method.needs_labels and method.refitted else 0


def _line(scan: Scan, entry: Entry, protocols: Sequence[Protocol], output: str, run: Runner, report: Report) -> dict[str, Any]:
    """One method, by every seed."""
    line: dict[str, Any] = {"name": entry.label, "mean_iou": None, "seconds": None, "peak_bytes": None}
    if entry.method not in REGISTRY:
        return {**line, "missing": f"this version of Lithoscope has no method {entry.method}; it has {', '.join(REGISTRY)}"}
    kind = REGISTRY[entry.method]
    line |= {"title": kind.title, "needs_labels": kind.needs_labels, "settings_given": dict(entry.given)}
    runs: list[dict[str, Any]] = []
    if protocols[0].truth is not None and "seed" not in {p.name for p in parameters(kind)}:
        protocols = protocols[:1]  # nothing about it is left to chance
    try:
        for number, protocol in enumerate(protocols):
            told = _part(report, number, len(protocols), "" if len(protocols) == 1 else f"seed {protocol.seed}")
            kept = output if not number else f"{output} seed {protocol.seed}"
            runs.append({"seed": protocol.seed, **run(protocol, entry, kept, told)})
            if number and kept in results(scan):
                delete(scan, kept)
    except (LithoscopeError, MemoryError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return {**line, "error": text}
    scores = [r["mean_iou"] for r in runs]
    return {
        **line,
        **runs[0],
        "mean_iou": float(np.mean(scores)),
        "mean_iou_sd": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        "seconds": round(float(np.mean([r["seconds"] for r in runs])), 3),
        "peak_bytes": max(r["peak_bytes"] for r in runs),
        "gpu_peak_bytes": max(r["gpu_peak_bytes"] for r in runs),
        "runs": [{k: r[k] for k in ("seed", "mean_iou", "iou", "seconds", "peak_bytes")} for r in runs],
    }


def _about(scan: Scan, taught: Taught, classes: ClassTable, protocols: Sequence[Protocol], report: Report) -> dict[str, Any]:
    """What the comparison is of; two comparisons of which this is equal can be put together."""
    first, painted = protocols[0], taught.painted
    split = first.split(painted, classes)
    found: dict[str, Any] = {
        "scan": {"name": scan.name, "uuid": scan.uuid, "content_hash": scan.content_hash, "shape": list(scan.shape), "image": first.image},
        "field_of_view": None if scan.field_of_view is None else scan.field_of_view.to_json(),
        "classes": classes.to_json(),
        "strokes": {
            "name": Path(first.strokes).name,
            "digest": painted.digest(),
            "voxels": {str(i): int((painted.labels == i).sum()) for i in classes.ids},
            "held": None if split is None else {str(i): int((painted.labels[split.held[0]] == i).sum()) for i in classes.ids},
            "apart": None if split is None else first.gap,
        },
        "seeds": [p.seed for p in protocols],
        "truth": None,
    }
    if first.truth is not None:
        found["truth"] = {"name": Path(first.truth).name, **_truth_classes(first, scan, taught, classes, report)}
    return found


def _truth_classes(protocol: Protocol, scan: Scan, taught: Taught, classes: ClassTable, report: Report) -> dict[str, Any]:
    """How many voxels of each class score; a truth that has nothing in common with the strokes is refused."""
    counts = np.zeros(256, np.int64)
    with protocol_truth(protocol, scan, taught.painted, None, report) as truth:
        notes = list(truth.notes)
        for box in blocks(scan.box, flat_edge(scan.shape)):
            block, inside = truth[box.slices], scan.inside(box)
            counts += np.bincount((block if inside is None else block * inside).ravel(), minlength=256)
    there = [int(i) for i in np.flatnonzero(counts) if i]
    if not there:
        raise InputError(
            f"the truth {protocol.truth} says nothing inside the field of view but where strokes are; there is nothing to score"
        )
    if not set(there) & set(classes.ids):
        raise InputError(f"the truth holds the classes {there}, the strokes {list(classes.ids)}; map them to the same: --map VALUE=CLASS …")
    if never := [i for i in there if i not in classes]:
        notes.append(f"class {', '.join(map(str, never))} of the truth was never painted, so no method can find it")
    if lacking := [c.name for c in classes if c.id not in there]:
        notes.append(f"{', '.join(lacking)}: painted, but not in the truth; every voxel said to be of it counts as wrong")
    return {"voxels": {str(i): int(counts[i]) for i in there}, "notes": notes}


def _taken_up(before: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    other = [key for key in about if before.get(key) != json.loads(json.dumps(about[key]))]
    if other:
        raise InputError(f"the comparison was begun with another {', '.join(other)}; leave out --resume, or give it another --name")
    return {line["name"]: line for line in before["methods"]}


def _whole(about: Mapping[str, Any], lines: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """The whole as it is kept and answered: best score first, those without one at the end."""
    ordered = sorted(lines, key=lambda line: -np.inf if line["mean_iou"] is None else line["mean_iou"], reverse=True)
    best = next((line["name"] for line in ordered if line["mean_iou"] is not None), None)
    return {"schema": SCHEMA, "name": name, **about, "methods": ordered, "best": best, "created": now(), "versions": dict(versions())}


def _part(report: Report, number: int, count: int, name: str) -> Report:
    """The report of one method among several."""

    def told(p: Progress) -> None:
        words = ": ".join(filter(None, (name, p.message)))
        report(Progress(round(1000 * (number + p.fraction)), 1000 * count, words))

    return told
