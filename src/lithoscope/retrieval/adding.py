"""Jobs that write to a library: scans added, added again, removed, embedded anew. Killed at any time, they go on where they were.

Patches are appended some layers at a time, each time whole; what is in is found by looking, so that no row is lost or doubled.
"""

import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, LithoscopeError, MissingError
from lithoscope.features.backbones import Backbone, open_backbone
from lithoscope.job import Progress, Report, silent
from lithoscope.picture import grey
from lithoscope.retrieval import store
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.library import Held, Library, table_of
from lithoscope.retrieval.metadata import Metadata, Value
from lithoscope.retrieval.patches import Cubes, cut_from
from lithoscope.retrieval.recipe import Recipe
from lithoscope.retrieval.sources import ImageSource, Source, source_at, sources_of
from lithoscope.retrieval.statistics import refresh
from lithoscope.retrieval.store import quoted
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box

THUMBNAIL = 48
Json = dict[str, Any]


def opened(name: str | Path, device: str) -> Backbone:
    """A backbone by name, folder or file."""
    place = Path(name)
    return open_backbone(place if place.exists() else name, device=device)


def begun(uri: str, backbone: str | None, wishes: Json, device: str) -> tuple[Library, Embedder]:
    """The library at a place, made if there is none, and the backbone for it; wishes that it does not fulfil are refused."""
    library = Library.find(uri)
    if library is None:
        found = opened(backbone or Recipe.backbone, device)
        recipe = replace(Recipe().changed(wishes), backbone=_name(found), sha256=found.sha256, width=found.width)
        library = Library.create(uri, recipe)
    else:
        found = opened(backbone or library.recipe.backbone, device)
    library.check_backbone(found.name, found.sha256)
    for key, wish in wishes.items():
        if wish is not None and (there := getattr(library.recipe, key)) != wish:
            raise InputError(f"{library.name} was made with {key} {_said(there)}, not {_said(wish)}; leave it out, or make another library")
    return library, Embedder(library.recipe, found, device)


def add(
    uri: str, paths: Sequence[Path], *, backbone: str | None = None, metadata: Metadata | None = None, device: str = "cpu",
    report: Report = silent, **wishes: Any,
) -> Json:  # fmt: skip
    """Put scans and folders of images into a library. What is in already is only told anew what the table says of it."""
    sources = [source for path in paths for source in sources_of(path)]
    if not sources:
        raise InputError("no scan was named; name scans or folders of images")
    table, notes = metadata or Metadata(), []
    rows = [table.of(source.names) for source in sources]
    if table.rows and not any(rows):
        raise InputError(f"{table.source} names none of these scans ({', '.join(s.name for s in sources[:4])}); its rows are "
                         f"{', '.join(list(table.rows)[:4])}")  # fmt: skip
    library, embedder = begun(uri, backbone, wishes, device)
    with closing(library), library.writing():
        library.take_columns(table)
        kinds = {k: "text" if isinstance(v, str) else "number" for source in sources for k, v in source.facts.items()}
        library.widen({k: kind for k, kind in kinds.items() if k not in library.kinds and k not in library.patches.schema.names})
        known = {held.uuid: held for held in library.scans()}
        done: list[Json] = []
        for number, (source, row) in enumerate(zip(sources, rows, strict=True)):
            if table.rows and row is None:
                notes.append(f"{table.source} has no row for {source.name}")
            done.append(_add_one(library, embedder, source, row, known.get(source.uuid), report, (number, len(sources))))
        refresh(library, report)
        store.tidy(library.patches)
        count = library.patches.count_rows()
    unknown = [key for key in table.rows if not any(key in source.names for source in sources)]
    if unknown and table.rows:
        notes.append(f"{table.source} also names {len(unknown)} that were not added: {', '.join(unknown[:4])}")
    return {"library": library.uri, "scans": done, "rows": count, "notes": notes}


def _add_one(
    library: Library,
    embedder: Embedder,
    source: Source,
    row: dict[str, Value] | None,
    known: Held | None,
    report: Report,
    at: tuple[int, int],
) -> Json:
    recipe = embedder.recipe
    if not recipe.patch and not source.flat:
        raise InputError(f"{library.name} holds whole images, and {source.name} is a volume; add it to a library of patches")
    values = _facts(library, source, row)
    if known is not None and known.content_hash != cut_from(source, recipe):
        values = {**_values(library, known), **values}  # what was told of it holds on
        library.forget(known)
        known = None
    if known is not None and known.done:
        library.describe(source.uuid, values)
        library.remember(source, done=True, rows=known.rows)
        return {"name": source.name, "uuid": source.uuid, "rows": known.rows, "added": 0}
    if not isinstance(source, ImageSource):
        library.remember(source, done=False, rows=0)
    table = library.patches
    before, added = fill(table, embedder, source, values, report, at)
    if before and values:
        library.describe(source.uuid, values)
    library.remember(source, done=True, rows=before + added)
    return {"name": source.name, "uuid": source.uuid, "rows": before + added, "added": added}


def _facts(library: Library, source: Source, row: dict[str, Value] | None) -> dict[str, Value]:
    """What a scan's patches are told: what the table says, and what the scan's own header says in columns of that name."""
    own = {k: v for k, v in source.facts.items() if k in library.kinds and isinstance(v, str) == (library.kinds[k] == "text")}
    return {**own, **{k: v for k, v in (row or {}).items() if k in library.kinds and (v is not None or k not in own)}}


def fill(table: Any, embedder: Embedder, source: Source, values: dict[str, Value], report: Report, at: tuple[int, int]) -> tuple[int, int]:
    """Append the patches of a scan that are not in a table yet; how many were there, and how many came."""
    there = store.selected(table, f"scan = {quoted(source.uuid)}", ["z0", "scale"])
    layers = set(zip(there["z0"].to_pylist(), (round(s, 4) for s in there["scale"].to_pylist()), strict=True))
    slabs = [slab for scale in embedder.recipe.scales for slab in Cubes.of(source, embedder.recipe, scale).slabs()]
    steps = [sum(len(s) for i, s in enumerate(slab.starts) if "zyx"[i] in embedder.recipe.planes) for slab in slabs]
    done, added = 0, 0
    for slab, count in zip(slabs, steps, strict=True):
        seen = 0

        def said() -> None:
            nonlocal seen
            report(Progress(int(1000 * (at[0] + (done + seen) / max(sum(steps), 1))), 1000 * at[1], f"looking at {source.name}"))  # noqa: B023 - called in this turn
            seen += 1

        if not any((z, round(slab.scale, 4)) in layers for z in slab.starts[0]):
            said()
            shown = slab.shown(source)
            if shown.any():
                vectors = embedder.rows(source, slab, shown, said)
                said()
                table.add(_batch(table.schema, source, slab, shown, vectors, values))
                added += int(shown.sum())
        done += count
    return there.num_rows, added


def _batch(
    schema: Any,
    source: Source,
    slab: Cubes,
    shown: npt.NDArray[np.bool_],
    vectors: dict[str, npt.NDArray[np.float32]],
    values: dict[str, Value],
) -> Any:
    """The rows of some patches as Arrow."""
    import pyarrow as pa

    boxes = [slab.box(place) for place in np.argwhere(shown)]
    data: dict[str, Any] = {
        "id": [patch_id(source.uuid, slab.scale, box) for box in boxes],
        "scan": [source.uuid] * len(boxes),
        "name": [source.name] * len(boxes),
        "scale": np.full(len(boxes), slab.scale, np.float32),
        "thumbnail": _thumbnails(source, boxes),
    }
    for a, axis in enumerate("zyx"):
        data[axis + "0"], data[axis + "1"] = [b.start[a] for b in boxes], [b.stop[a] for b in boxes]
    arrays = []
    for field in schema:
        if field.name in vectors:
            flat = pa.array(np.ascontiguousarray(vectors[field.name]).ravel())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, vectors[field.name].shape[1]))
        elif field.name in data:
            arrays.append(pa.array(data[field.name], type=field.type))
        else:
            arrays.append(pa.array([values.get(field.name)] * len(boxes), type=field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def patch_id(uuid: str, scale: float, box: Box) -> str:
    """What names a patch: its scan, scale and first voxel."""
    return f"{uuid}:{scale:g}:{','.join(map(str, box.start))}"


def _thumbnails(source: Source, boxes: Sequence[Box]) -> list[bytes]:
    """The middle slice of each patch as a small PNG; slices that patches share are read once."""
    from PIL import Image

    found: list[bytes] = []
    plane: npt.NDArray[np.uint8] = np.empty((0, 0), np.uint8)
    index = -1
    for box in boxes:
        middle = (box.start[0] + box.stop[0]) // 2
        if middle != index:
            index = middle
            plane = grey(read(source.array, Box((middle, 0, 0), (middle + 1, *source.shape[1:])))[0], source.window)
        picture = Image.fromarray(np.ascontiguousarray(plane[box.slices[1:]]))
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        stream = io.BytesIO()
        picture.save(stream, "PNG", compress_level=1)
        found.append(stream.getvalue())
    return found


def remove(uri: str, names: Sequence[str], report: Report = silent, *, unfinished: bool = False) -> Json:
    """Take scans out of a library, also such as are deleted or moved; with `unfinished`, what an embedding left that was not ended."""
    library = Library.open(uri)
    if not names and not unfinished:
        raise InputError("no scan was named; name those to take out")
    if unfinished and library.unfinished is None:
        raise InputError(f"no embedding of {library.name} is unfinished")
    removed = [library.held(name) for name in names]
    with closing(library), library.writing():
        if unfinished:
            library.abandon()
        for held in removed:
            library.forget(held)
        if removed and library.patches.count_rows():
            refresh(library, report)
        store.tidy(library.patches)
        count = library.patches.count_rows()
    return {"library": library.uri, "removed": [held.name for held in removed], "unfinished": unfinished, "rows": count}


def embed(uri: str, *, backbone: str | None = None, device: str = "cpu", report: Report = silent, **wishes: Any) -> Json:
    """Make all vectors anew, with another backbone or recipe, beside the old ones; readers see the old until all are made."""
    library = Library.open(uri)
    found = opened(backbone or library.recipe.backbone, device)
    recipe = replace(library.recipe.changed(wishes), backbone=_name(found), sha256=found.sha256, width=found.width)
    scans = library.scans()
    sources = [_again(library, held) for held in scans]
    with closing(library), library.writing():
        if recipe.key != library.recipe.key:
            begun = library.half_made(recipe)
            with library.making(recipe):
                if not begun and (former := library.tables.find(table_of(recipe))) is not None:
                    former.delete("true")  # of an earlier time, kept for somebody who reads it: its scans may be gone or changed since
                _make(library, recipe, Embedder(recipe, found, device), list(zip(sources, scans, strict=True)), report)
            library.clear()
        else:
            embedder = Embedder(library.recipe, found, device)
            done = []
            for number, (source, held) in enumerate(zip(sources, scans, strict=True)):
                done.append(_add_one(library, embedder, source, None, held, report, (number, len(sources))))
            if any(one["added"] for one in done) or not library.preparation.means:
                refresh(library, report)
        rows = library.patches.count_rows()
    return {"library": library.uri, "backbone": found.name, "sha256": found.sha256, "rows": rows}


def _make(library: Library, recipe: Recipe, embedder: Embedder, scans: Sequence[tuple[Source, Held]], report: Report) -> None:
    """Fill the table of another recipe, which may be half made, and turn the library to it."""
    table = library.tables.create(table_of(recipe), store.patch_schema(dict.fromkeys(recipe.columns, recipe.width), library.kinds))
    library.widen_table(table, library.kinds)  # it may be half made, before there were all these columns
    library.cut_unfinished_from(table, {source.uuid: cut_from(source, recipe) for source, _ in scans})
    counts = []
    for number, (source, held) in enumerate(scans):
        counts.append(sum(fill(table, embedder, source, _values(library, held), report, (number, len(scans)))))
    library.turn(recipe)
    for (source, _), count in zip(scans, counts, strict=True):
        library.remember(source, done=True, rows=count)
    refresh(library, report)


def _again(library: Library, held: Held) -> Source:
    """The scan of a library where it was found; one that is gone is told with the way out."""
    try:
        found = source_at(Path(held.path))
    except LithoscopeError:
        raise MissingError(
            f"{held.name} no longer lies at {held.path}; add it where it is (lithoscope library add {library.uri} PATH), "
            f"or take it out: lithoscope library remove {library.uri} {held.name}"
        ) from None
    if found.uuid != held.uuid:
        raise MissingError(f"another scan lies at {held.path} now; add it: lithoscope library add {library.uri} {held.path}")
    return found


def _values(library: Library, held: Held) -> dict[str, Value]:
    """What the patches of a scan were told."""
    if not library.kinds:
        return {}
    rows = library.patches.search().where(f"scan = {quoted(held.uuid)}").select(list(library.kinds)).limit(1).to_list()
    return {k: rows[0][k] for k in library.kinds} if rows else {}


def _name(backbone: Backbone) -> str:
    """How a library remembers a backbone: by name, or by path where it has none that is known."""
    return backbone.name if backbone.folder is None or backbone.licence != "its publisher's" else str(backbone.folder.absolute())


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
