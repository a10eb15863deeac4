"""Labels made elsewhere taken up as a result, as truth or as strokes; what is unclear in them is refused, never guessed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lithoscope.classes import MAX_ID, Class, ClassTable, colour_of
from lithoscope.errors import InputError, LockedError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels.classes_file import load_classes, save_classes
from lithoscope.labels.given import AsClasses, Contents, contents, open_given
from lithoscope.labels.results import create
from lithoscope.labels.strokes import strokes
from lithoscope.record import RunRecord

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

KINDS = ("result", "strokes", "truth")

MAX_UNKNOWN = 0.001
"""The part of the field of view that may be 0 in a truth before someone has to say what 0 means."""

_LISTED = 8


def parse_value_map(pairs: Iterable[str] | str) -> dict[int, int]:
    """The map written ["0=1", "255=2"]: value in the file = class, 0 meaning no class."""
    parts = (pairs if isinstance(pairs, str) else " ".join(pairs)).replace(",", " ").split()
    found: dict[int, int] = {}
    for part in parts:
        value, equals, id = part.partition("=")
        try:
            key, target = int(value), int(id)
        except ValueError:
            raise InputError(f"{part!r} is not of the form value=class; write --map 0=1 255=2") from None
        if not equals or not 0 <= target <= MAX_ID:
            raise InputError(f"{part!r} does not name a class within 0…{MAX_ID}; write --map 0=1 255=2")
        if found.get(key, target) != target:
            raise InputError(f"value {key} is given two classes, {found[key]} and {target}; give it one")
        found[key] = target
    if not found:
        raise InputError("the map is empty; write --map 0=1 255=2")
    return found


def import_labels(
    scan: "Scan",
    file: str | Path,
    name: str,
    *,
    value_map: Mapping[int, int] | None = None,
    names: Mapping[int, str] | None = None,
    porosity: Mapping[int, float] | None = None,
    channel: int | None = None,
    dataset: str | None = None,
    kind: str = "result",
    overwrite: bool = False,
    report: Report = silent,
) -> RunRecord:
    """Take up the labels in `file` as the result `name`, as a truth of that name, or among the scan's strokes (0 = nobody said).

    `file` is a TIFF, a folder of slices, an array in a Zarr or a name in the scan. It is read plane by plane, twice. `names` and
    `porosity` say what each class is called and how much of it is pore; without them, as the scan has it, or by the name.
    """
    if kind not in KINDS:
        raise InputError(f"labels are imported as result, strokes or truth, not as {kind!r}")
    depth = scan.shard[0]
    with given_classes(scan, file, value_map, kind=kind, channel=channel, dataset=dataset, report=report) as labels:
        given, classes = labels.given, labels.classes
        known = load_classes(scan)
        table = described(_table(known, set(classes.values()) - {0}), names or {}, porosity or {})
        record = RunRecord(
            kind="import" if kind == "result" else kind,
            method="import",
            parameters={"map": {str(value): id for value, id in classes.items()}},
            source={"uuid": scan.uuid, "name": scan.name, "shape": list(scan.shape), "dtype": str(scan.dtype)},
            output=name,
            classes=table.to_json(),
            inputs={given.name: labels.digest},
            notes=list(given.notes),
        )
        if kind == "strokes":
            _to_strokes(scan, labels, depth, report)
            save_classes(scan, _merged(known, table))
        else:
            _to_result(scan, name, record, table, labels, depth, report, overwrite=overwrite)
    return record


@contextmanager
def given_classes(
    scan: "Scan",
    where: str | Path,
    value_map: Mapping[int, int] | None = None,
    *,
    kind: str = "truth",
    channel: int | None = None,
    dataset: str | None = None,
    report: Report = silent,
) -> Iterator[AsClasses]:
    """Labels at a path or under a name in the scan as an array (z, y, x) of classes, checked as `import_labels` checks them."""
    with open_given(scan, where, channel=channel, dataset=dataset) as given:
        found = contents(scan, given, depth=scan.shard[0], report=report)
        yield AsClasses(given, classes_of(given.name, found, value_map, kind=kind), found.digest)


def classes_of(name: str, found: Contents, value_map: Mapping[int, int] | None, *, kind: str) -> dict[int, int]:
    """The class of every value in labels called `name`; raises `InputError` where a person has to say it."""
    values = found.values
    if value_map is not None:
        lacking = [v for v in values if v not in value_map]
        if lacking:
            said = {**value_map, **dict(zip(lacking, range(max(value_map.values()) + 1, MAX_ID + 1), strict=False))}
            raise InputError(f"{name} also holds {_listed(lacking)}; say which class each is: {_option(said, list(said))}")
        return {v: value_map[v] for v in values}
    some = [v for v in values if v != 0]
    if not some:
        raise InputError(f"{name} holds only 0: nothing is labelled in it")
    unclear = some != list(range(1, len(some) + 1)) or len(some) > MAX_ID
    if kind == "truth" and found.zeros_inside > MAX_UNKNOWN * found.inside:
        unclear = True
    if unclear:
        first = 0 if kind == "strokes" and values[0] == 0 else 1
        said = dict(zip(values, range(first, MAX_ID + 1), strict=False))
        raise InputError(f"{name} holds {_listed(values)}; say which class each is: {_option(said, values)}")
    return {v: v for v in values}


def _listed(values: list[int]) -> str:
    """Values in words: "0 and 255"."""
    if len(values) == 1:
        return str(values[0])
    if len(values) > _LISTED:
        return f"{len(values)} values, {', '.join(map(str, values[:3]))} … {values[-1]}"
    return f"{', '.join(map(str, values[:-1]))} and {values[-1]}"


def _option(said: Mapping[int, int], values: list[int]) -> str:
    pairs = [f"{v}={said[v]}" for v in values[:_LISTED] if v in said]
    return f"--map {' '.join(pairs)}{' …' if len(values) > _LISTED else ''}"


def _table(known: ClassTable, ids: set[int]) -> ClassTable:
    """The scan's classes of these ids; those it lacks are named by their number."""
    names = {c.name.casefold() for c in known}
    made = []
    for id in sorted(ids - set(known.ids)):
        name = f"class {id}"
        made.append(Class(id, name if name not in names else f"class {id} (imported)", colour_of(id)))
    return ClassTable.of([c for c in known if c.id in ids] + made)


def described(table: ClassTable, names: Mapping[int, str], porosity: Mapping[int, float]) -> ClassTable:
    """The classes with these names and porosities."""
    for id, name in names.items():
        table = table.change(id, name=name)
    for id, share in porosity.items():
        table = table.change(id, porosity=share)
    return table


def _merged(known: ClassTable, more: ClassTable) -> ClassTable:
    return ClassTable.of([*(c for c in known if c.id not in more), *more], last=known.last)


def _to_result(
    scan: "Scan", name: str, record: RunRecord, table: ClassTable, labels: AsClasses, depth: int, report: Report, *, overwrite: bool
) -> None:
    writer = create(scan, name, record, table, overwrite=overwrite)
    with _undone(writer.abandon):
        for box, slab in labels.given.slabs(depth):
            writer.write(box, labels.of(slab))
            report(Progress(box.stop[0], scan.shape[0], f"importing {labels.given.name}"))
        writer.finish(record)


def _to_strokes(scan: "Scan", labels: AsClasses, depth: int, report: Report) -> None:
    with strokes(scan) as store:
        if store.readonly:
            raise LockedError(store.holder or f"the strokes of {scan.name} can only be read")
        before = store.newest
        with _undone(lambda: store.undo() if store.newest != before else None), store.stroke():
            for box, slab in labels.given.slabs(depth):
                painted = labels.of(slab)
                store.write(box, painted != 0, painted)
                store.flush()
                report(Progress(box.stop[0], scan.shape[0], f"importing {labels.given.name}"))


@contextmanager
def _undone(take_back: Callable[[], object]) -> Iterator[None]:
    """Takes back what was done if it does not come to its end."""
    try:
        yield
    except BaseException:
        take_back()
        raise
