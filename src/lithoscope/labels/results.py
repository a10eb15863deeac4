"""The results of a scan: OME-Zarr label images, each with its run record and its class table. Never painted in."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import zarr

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LithoscopeError, MissingError, NewerSchemaError, TakenError, UnreadableError
from lithoscope.labels.companions import delete_companions, rename_companions
from lithoscope.labels.result_writer import PARTIAL, SCHEMA, ResultWriter, check_not_in_use, covered, list_in_group, replaced
from lithoscope.record import RunRecord
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.pyramid import level_factors
from lithoscope.volume.store import open_array, storage_errors

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

_FORBIDDEN = frozenset('<>:"/\\|?*')


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A finished result: `levels` of labels (z, y, x), the full size first, and what is known of how it was made."""

    name: str
    path: Path
    levels: list["zarr.Array[Any]"]
    record: RunRecord
    classes: ClassTable

    @property
    def array(self) -> "zarr.Array[Any]":
        """The labels at full size."""
        return self.levels[0]

    @property
    def numbered(self) -> bool:
        """Whether its labels are numbers of grains or pores, not classes."""
        return bool(self.array.dtype != np.uint8)

    @property
    def shape(self) -> Triple:
        z, y, x = self.array.shape
        return (z, y, x)

    @property
    def level_factors(self) -> list[Triple]:
        """By how much (z, y, x) each level is smaller than the full one."""
        return level_factors(self.shape)

    @property
    def box(self) -> Box:
        """The part of the scan that was segmented; outside it the labels are 0."""
        return covered(self.record, self.shape)


def check_name(name: str) -> str:
    """A name that every file system takes for a result; raises `InputError` for others."""
    bad = next((c for c in name if c in _FORBIDDEN or ord(c) < 32), None)
    if bad is not None:
        raise InputError(f"result name {name!r} holds {bad!r}; use letters, digits, -, _ and spaces")
    if name.casefold() == "strokes":
        raise InputError(f"result name {name!r} means what was painted; give another")
    if not name or name != name.strip(" .") or name.startswith("__") or name.endswith(PARTIAL) or len(name.encode()) > 100:
        raise InputError(f"result name {name!r} cannot be used; give one of letters and digits, such as forest-2")
    return name


def check_free(scan: "Scan", name: str, *, overwrite: bool = False) -> None:
    """Raises `TakenError` if a result of this name is there that is not to be replaced."""
    same = [other for other in scan.results() if other.casefold() == name.casefold()]
    if same and (not overwrite or same != [name]):
        raise TakenError(f"{scan.name} has a result {same[0]} already; choose another name, or overwrite it: --overwrite")


def create(
    scan: "Scan", name: str, record: RunRecord, classes: ClassTable, *, overwrite: bool = False, dtype: npt.DTypeLike = np.uint8
) -> ResultWriter:
    """A new result of this name; what a killed run left under it is dropped. Classes are uint8, numbered grains uint32."""
    check_name(name)
    scan.check_present()
    _mend(scan, name)
    check_free(scan, name, overwrite=overwrite)
    partial = scan.labels_folder / (name + PARTIAL)
    check_not_in_use(partial, f"the unfinished result {name} of {scan.name}")
    with storage_errors(partial):
        shutil.rmtree(partial, ignore_errors=True)
        list_in_group(scan)
        partial.mkdir(parents=True)
    return ResultWriter(scan, name, record, classes, overwrite=overwrite, dtype=dtype)


def resume(scan: "Scan", name: str) -> ResultWriter | None:
    """The unfinished run of that name, to go on with; None when there is none."""
    path = scan.labels_folder / (check_name(name) + PARTIAL)
    if not (path / "zarr.json").exists() or "lithoscope" not in (about := _attributes(path)):
        return None
    own = about["lithoscope"]
    return ResultWriter(scan, name, RunRecord.from_json(own["record"]), ClassTable.from_json(own["classes"]), overwrite=own["overwrite"])


def results(scan: "Scan") -> list[str]:
    """The names of the finished results."""
    return list(scan.results())


def unfinished(scan: "Scan") -> dict[str, RunRecord]:
    """The runs that were ended before they were done, by the name of their result; those that a program is at are left out."""
    found = {}
    for place in sorted(scan.labels_folder.glob(f"*{PARTIAL}")):
        with suppress(LithoscopeError, KeyError, TypeError, ValueError):
            record = RunRecord.from_json(_attributes(place)["lithoscope"]["record"])
            check_not_in_use(place, place.name)
            found[place.name.removesuffix(PARTIAL)] = record
    return found


def open_result(scan: "Scan", name: str) -> Result:
    """The finished result of that name."""
    path = scan.labels_folder / check_name(name)
    _mend(scan, name)
    if not (path / "zarr.json").exists():
        raise MissingError(f"{scan.name} has no result {name!r}; its results are {', '.join(scan.results()) or 'none yet'}")
    about = _attributes(path)
    try:
        own = about.get("lithoscope", {})
        if int(own.get("schema", 0)) > SCHEMA:
            raise NewerSchemaError(f"result {name} is of schema {own['schema']}, this Lithoscope reads up to {SCHEMA}; update it")
        paths = [str(d["path"]) for d in about["ome"]["multiscales"][0]["datasets"]]
        levels = [open_array(path / p, readonly=True) for p in paths]
        record = RunRecord.from_json(own["record"]) if own else RunRecord("foreign", "unknown", {}, {}, output=name)
        classes = ClassTable.from_json(own["classes"]) if own else ClassTable()
    except (KeyError, IndexError, TypeError, FileNotFoundError) as error:
        raise UnreadableError(f"result {name} of {scan.name} is incomplete: {error}; delete it and make it again") from error
    if tuple(levels[0].shape) != scan.shape:
        raise UnreadableError(f"result {name} has {levels[0].shape} voxels, {scan.name} has {scan.shape}; it belongs to another scan")
    return Result(name, path, levels, record, classes)


def older_than_view(scan: "Scan", result: Result) -> bool:
    """Whether the field of view was changed since a method made this result, or what it was cleaned or separated from."""
    now = None if scan.field_of_view is None else scan.field_of_view.to_json()
    kind, source = result.record.kind, result.record.source
    while kind in ("segment", "clean", "separate"):
        if "field_of_view" in source and source["field_of_view"] != now:
            return True
        before = source.get("result_record") or {}
        kind, source = before.get("kind", ""), before.get("source", {})
    return False


def rename(scan: "Scan", old: str, new: str) -> None:
    """Give a result another name, and its corrections, its spot check and its tables with it."""
    path = open_result(scan, old).path
    check_name(new)
    same = [other for other in scan.results() if other.casefold() == new.casefold() and other != old]
    corrections, target = corrections_folder(scan, old), corrections_folder(scan, new)
    if same or (target.exists() and target != corrections and not (corrections.exists() and target.samefile(corrections))):
        raise TakenError(f"{scan.name} has a result or corrections named {new} already; choose another name")
    check_not_in_use(corrections, f"the corrections of {old}")
    with storage_errors(path):
        if corrections.exists():
            corrections.rename(target)
        rename_companions(scan, old, new)
        path.rename(path.with_name(new))
    list_in_group(scan)


def delete(scan: "Scan", name: str) -> None:
    """Remove a result and all that is kept beside it, or a run of that name that was ended before it was done."""
    partial = scan.labels_folder / (check_name(name) + PARTIAL)
    if name not in scan.results() and partial.exists():
        check_not_in_use(partial, f"the unfinished result {name} of {scan.name}")
        record = unfinished(scan).get(name)
        with storage_errors(partial):
            shutil.rmtree(partial)
            if record is not None:
                shutil.rmtree(scan.sidecar / "runs" / record.uuid, ignore_errors=True)
        return
    result = open_result(scan, name)
    path, corrections = result.path, corrections_folder(scan, name)
    gone = replaced(path).with_suffix(".deleted")
    check_not_in_use(corrections, f"the corrections of {name}")
    with storage_errors(path):
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)
        shutil.rmtree(corrections, ignore_errors=True)
        delete_companions(scan, name)
        shutil.rmtree(gone, ignore_errors=True)
        shutil.rmtree(scan.sidecar / "runs" / result.record.uuid, ignore_errors=True)
    list_in_group(scan)


def corrections_folder(scan: "Scan", name: str) -> Path:
    """Where the corrections of a result lie."""
    return scan.sidecar / "corrections" / name


def _attributes(path: Path) -> dict[str, Any]:
    return cast(dict[str, Any], zarr.open_group(str(path), mode="r").attrs.asdict())


def _mend(scan: "Scan", name: str) -> None:
    """Put back an older result that a crash caught between its two renames."""
    final = scan.labels_folder / name
    if replaced(final).exists() and not final.exists():
        replaced(final).rename(final)
