"""Patches of a library as items that teach: each cut from its scan on the planes that the library sees, at the scale it sees them at."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError
from lithoscope.features.token_grid import windowed
from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.sources import Source, source_at
from lithoscope.retrieval.store import selected
from lithoscope.similarity.items import Items
from lithoscope.similarity.marks import Marks
from lithoscope.similarity.pictures import Pictures, check_size
from lithoscope.similarity.relations import Relation
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope.features.backbones import Backbone

Json = dict[str, Any]
MOST = 3000
"""So many patches teach, at most, the same number of each class."""
PARTS = 5
"""Into so many parts a scan is cut, at most, where scans cannot be held out whole."""
SCAN, MARKS = "scan", "marks"


def library_items(
    library: Library,
    label: str | None,
    backbone: "Backbone",
    *,
    columns: Sequence[str] = (),
    marks: Marks | None = None,
    ids: Sequence[str] | None = None,
    most: int = MOST,
    seed: int = 0,
    report: Report = silent,
) -> Items:
    """Patches of a library. `label` is a column of its metadata, "scan", or "marks"; None where nobody knows (`ids` says which then)."""
    rows = _rows(library, columns, label)
    if not rows:
        raise InputError(f"{library.name} is empty; add a scan: lithoscope library add {library.uri} SCAN")
    notes: tuple[str, ...] = ()
    if label == MARKS:
        relation, rows = _marked(rows, marks or Marks.of(library))
        groups, kept = [str(row["id"]) for row in rows], list(range(len(rows)))
    else:
        if ids is not None:
            wanted = set(ids)
            rows = [row for row in rows if row["id"] in wanted]
        rows = _spread(rows, label, most, seed)
        relation = Relation.of_classes([_class(row, label) for row in rows])
        groups, notes, kept = _groups(rows, relation)
    rows, groups, relation = [rows[i] for i in kept], [groups[i] for i in kept], relation.some(kept)
    pictures = cut(library, rows, backbone, report)
    values = [[float("nan") if row[c] is None else float(row[c]) for c in columns] for row in rows]
    measured = np.array(values, np.float64).reshape(len(rows), len(columns))
    names = tuple(row["id"] for row in rows)
    return Items(names, relation, tuple(groups), pictures, measured, tuple(columns), library.uri, notes)


def _rows(library: Library, columns: Sequence[str], label: str | None) -> list[Json]:
    """What the table says of every patch, without vectors."""
    wanted = [*columns, *([] if label in (None, SCAN, MARKS) else [str(label)])]
    for column in wanted:
        if column not in library.kinds:
            known = ", ".join(library.kinds) or "none"
            raise MissingError(f"{library.name} has no column {column!r}; its columns are {known} (scan and marks are known, too)")
    if words := [column for column in columns if library.kinds[column] == "text"]:
        raise InputError(f"{words[0]} holds words; properties are numbers")
    places = [axis + end for axis in "zyx" for end in "01"]
    found = selected(library.patches, None, ["id", "scan", "name", "scale", *places, *dict.fromkeys(wanted)]).to_pylist()
    return sorted(found, key=lambda row: str(row["id"]))


def _class(row: Json, label: str | None) -> str | None:
    if label is None:
        return None
    value = row["name"] if label == SCAN else row[label]
    return None if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _spread(rows: list[Json], label: str | None, most: int, seed: int) -> list[Json]:
    """At most so many, the same number of each class."""
    by: dict[str | None, list[int]] = {}
    for i, row in enumerate(rows):
        by.setdefault(_class(row, label), []).append(i)
    if label is not None:
        by.pop(None, None)
    if not by:
        raise InputError(f"the library says the {label} of no patch; fill the column in, and add the scans again with the table")
    rng, each = np.random.default_rng(seed), max(2, most // len(by))
    kept = [i for members in by.values() for i in (rng.permutation(members)[:each].tolist() if len(members) > each else members)]
    return [rows[i] for i in sorted(kept)]


def _marked(rows: list[Json], marks: Marks) -> tuple[Relation, list[Json]]:
    at = {row["id"]: i for i, row in enumerate(rows)}
    pairs = [(m.a, m.b, m.alike) for m in marks.pairs if m.a in at and m.b in at]
    if not pairs:
        raise InputError("no places are marked as alike or unlike; mark some among those that were found, or choose another column")
    ids = list(dict.fromkeys(i for a, b, _ in pairs for i in (a, b)))
    number = {id: i for i, id in enumerate(ids)}
    alike, unlike = ([(number[a], number[b]) for a, b, is_ in pairs if is_ == wanted] for wanted in (True, False))
    return Relation.of_marks(len(ids), alike, unlike), [rows[at[i]] for i in ids]


def _groups(rows: list[Json], relation: Relation) -> tuple[list[str], tuple[str, ...], list[int]]:
    """What is held out together: whole scans; where they are too few, parts of scans, without patches across their borders."""
    everything, scans = list(range(len(rows))), [str(row["scan"]) for row in rows]
    of: dict[int, set[str]] = {}
    for kind, scan in zip(relation.kinds.tolist(), scans, strict=True):
        if kind >= 0:
            of.setdefault(kind, set()).add(scan)
    if all(len(having) > 2 for having in of.values()):
        return scans, (), everything
    low, high = (np.array([[row[axis + end] for axis in "zyx"] for row in rows]) for end in "01")
    groups, kept = [""] * len(rows), []
    for scan in set(scans):
        here = np.flatnonzero(np.asarray(scans) == scan)
        axis = int((high[here].max(0) - low[here].min(0)).argmax())
        start, stop, edge = int(low[here, axis].min()), int(high[here, axis].max()), int((high - low)[here, axis].max())
        parts = max(2, min(PARTS, (stop - start) // (2 * edge)))
        borders = np.rint(np.linspace(start, stop, parts + 1)[1:-1])
        first = np.searchsorted(borders, low[here, axis], "right")
        last = np.searchsorted(borders, high[here, axis], "left")
        for i, part, end in zip(here.tolist(), first.tolist(), last.tolist(), strict=True):
            if part == end:
                groups[i] = f"{scan} part {part + 1}"
                kept.append(i)
    if not kept:
        raise InputError("the scans are too few and too small to hold a part of them out; add scans to the library")
    note = "the scans are too few to hold whole ones out: parts of scans are held out, and patches across their borders left out"
    return groups, (note,), sorted(kept)


def cut(library: Library, rows: Sequence[Json], backbone: "Backbone", report: Report = silent) -> Pictures:
    """The pictures of patches: the planes through their middles, windowed and enlarged as the library's recipe says."""
    recipe = library.recipe
    if not recipe.patch:
        raise InputError(f"{library.name} holds whole images; teach on their folder instead")
    side = max(1, round(recipe.patch * recipe.magnify / backbone.patch)) * backbone.patch
    held = {held.uuid: held for held in library.scans()}
    sources: dict[str, Source] = {}
    planes = recipe.planes
    channels = backbone.config.channels
    check_size(len(rows), 2 * len(planes) * channels * side * side)
    found: npt.NDArray[np.float16] = np.empty((len(rows), len(planes), channels, side, side), np.float16)
    for done, row in enumerate(rows):
        if done % 32 == 0:
            report(Progress(done, len(rows), "reading patches"))
        uuid = str(row["scan"])
        if uuid not in sources:
            if uuid not in held or not Path(held[uuid].path).exists():
                raise MissingError(f"{row['name']} no longer lies where the library found it; add it again from where it is")
            sources[uuid] = source_at(Path(held[uuid].path))
        source = sources[uuid]
        box = Box((row["z0"], row["y0"], row["x0"]), (row["z1"], row["y1"], row["x1"]))
        for number, plane in enumerate(planes):
            found[done, number] = _plane(source, box, "z" if source.flat else plane, side)
    return Pictures(found, side)


def _plane(source: Source, box: Box, plane: str, side: int) -> npt.NDArray[np.float32]:
    import torch
    from torch.nn import functional

    axis = "zyx".index(plane)
    middle = (box.start[axis] + box.stop[axis]) // 2
    start, stop = list(box.start), list(box.stop)
    start[axis], stop[axis] = middle, middle + 1
    values = np.take(read(source.array, Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))), 0, axis)
    pixels = torch.from_numpy(np.ascontiguousarray(windowed(values, source.window)))[None, None]
    made: npt.NDArray[np.float32] = functional.interpolate(pixels, size=(side, side), mode="bicubic")[0, 0].clamp(-0.5, 1.5).numpy()
    return made
