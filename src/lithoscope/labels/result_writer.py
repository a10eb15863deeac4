"""A result while it is made: blocks are written to all its levels, and it is seen by nobody until it is finished.

It grows under its name with `.partial` behind it. A run that was killed is taken up where it stopped; the name is put in place
in one step at the end.
"""

import json
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import TakenError
from lithoscope.record import RunRecord
from lithoscope.volume import ome
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.lock import WriterLock
from lithoscope.volume.pyramid import level_factors
from lithoscope.volume.store import create_levels, open_array, storage_errors

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

SCHEMA = 1
PARTIAL = ".partial"


class ResultWriter:
    """Writes the blocks of one result. `finished` holds the numbers of the blocks that an earlier attempt wrote.

    Blocks are numbered as `blocks(box, scan.shard)` lists them, where `box` is that of the record's source, or all of the scan.
    Several threads may write different blocks.
    """

    def __init__(
        self, scan: "Scan", name: str, record: RunRecord, classes: ClassTable, *, overwrite: bool, dtype: npt.DTypeLike = np.uint8
    ) -> None:
        self.scan, self.name, self.record, self.classes, self.overwrite = scan, name, record, classes, overwrite
        self.final = scan.labels_folder / name
        self.path = scan.labels_folder / (name + PARTIAL)
        self._run = scan.sidecar / "runs" / record.uuid
        self._noting = threading.Lock()
        self._claim = WriterLock(self.path, f"the unfinished result {name} of {scan.name}")
        try:
            with storage_errors(self.path):
                self._run.mkdir(parents=True, exist_ok=True)
            self.finished: set[int] = self._read_finished()
            factors = level_factors(scan.shape)
            if (self.path / "zarr.json").exists():
                self.levels = [open_array(self.path / str(level)) for level in range(len(factors))]
            else:
                self.levels = create_levels(self.path, scan.layout, dtype, "labels")
                self._describe()
        except BaseException:
            self._claim.release()
            raise
        self._factors = factors

    @property
    def box(self) -> Box:
        """What the result covers; outside it the labels are 0."""
        return covered(self.record, self.scan.shape)

    def write(self, box: Box, labels: npt.NDArray[Any]) -> None:
        """Put the labels (z, y, x) of a box at their place in every level, picking every n-th voxel of the scan's grid."""
        if labels.shape != box.shape or labels.dtype != self.levels[0].dtype:
            wanted = f"{box.shape} voxels, {self.levels[0].dtype}"
            raise ValueError(f"labels of {labels.dtype} {labels.shape} were given for a box of {wanted}")
        if box.intersect(Box.whole(self.scan.shape)) != box:
            raise ValueError(f"box {box} reaches beyond the scan's {self.scan.shape} voxels")
        with storage_errors(self.path):
            for array, factors in zip(self.levels, self._factors, strict=True):
                place = _picked(box, factors)
                if place.size:
                    skip = [p * f - a for p, f, a in zip(place.start, factors, box.start, strict=True)]
                    array[place.slices] = labels[tuple(slice(s, None, f) for s, f in zip(skip, factors, strict=True))]

    def number(self, box: Box) -> int:
        """The number of the block that holds this box."""
        first, cells = [], []
        for low, high, edge in zip(self.box.start, self.box.stop, self.scan.shard, strict=True):
            first.append(low // edge)
            cells.append(-(-high // edge) - low // edge)
        z, y, x = (a // edge - f for a, edge, f in zip(box.start, self.scan.shard, first, strict=True))
        return (z * cells[1] + y) * cells[2] + x

    def done(self, box: Box) -> None:
        """Remember that a block is written, so that a resumed run leaves it out."""
        number = self.number(box)
        with self._noting, storage_errors(self._run), (self._run / "done").open("a") as file:
            file.write(f"{number}\n")
            self.finished.add(number)

    def finish(self, record: RunRecord) -> None:
        """Show the result under its name, with this record, in one step; an older one of the name is replaced only if that was asked."""
        self.record = record
        if self.final.exists() and not self.overwrite:
            raise TakenError(f"{self.scan.name} has a result {self.name} already; choose another name, or overwrite it: --overwrite")
        self._describe()
        ome.validate(self.path)
        self._claim.release()
        old, older = replaced(self.final), _uuid_of(self.final)
        with storage_errors(self.final):
            if self.final.exists():
                shutil.rmtree(old, ignore_errors=True)
                self.final.rename(old)
            self.path.rename(self.final)
            shutil.rmtree(old, ignore_errors=True)
        (self._run / "done").unlink(missing_ok=True)
        with suppress(OSError):
            self._run.rmdir()  # unless a model is kept in it, for scores and for other scans
        if older is not None and older != self.record.uuid:
            shutil.rmtree(self.scan.sidecar / "runs" / older, ignore_errors=True)
        list_in_group(self.scan)

    def close(self) -> None:
        """Leave it as it is, to be resumed; does nothing once finished."""
        self._claim.release()

    def abandon(self) -> None:
        """Remove all that was written."""
        self._claim.release()
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(self._run, ignore_errors=True)

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_finished(self) -> set[int]:
        try:
            lines = (self._run / "done").read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return set()
        return {int(line) for line in lines if line.endswith("\n") and line.strip().isdigit()}

    def _describe(self) -> None:
        about = {"schema": SCHEMA, "record": self.record.to_json(), "classes": self.classes.to_json(), "overwrite": self.overwrite}
        write_attributes(self.path, {"ome": _ome(self.scan, self.name, self.classes), "lithoscope": about})


def _picked(box: Box, factors: Triple) -> Box:
    """The voxels of a level that are picked from within the box."""
    (a, b, c), (d, e, f), (z, y, x) = box.start, box.stop, factors
    return Box((-(-a // z), -(-b // y), -(-c // x)), (-(-d // z), -(-e // y), -(-f // x)))


def covered(record: RunRecord, shape: Triple) -> Box:
    """The part of the scan that a record says was worked on."""
    box = record.source.get("box")
    return Box.from_json(box) if box else Box.whole(shape)


def replaced(final: Path) -> Path:
    """Where an older result lies for the moment between two renames."""
    return final.with_name(f".{final.name}.replaced")


def _uuid_of(final: Path) -> str | None:
    """The record's uuid of a result that is there already."""
    try:
        return str(json.loads((final / "zarr.json").read_text(encoding="utf-8"))["attributes"]["lithoscope"]["record"]["uuid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_attributes(group: Path, attributes: dict[str, Any]) -> None:
    """Make `group` a Zarr group with these attributes, replacing those of the same names."""
    import zarr

    with storage_errors(group):
        zarr.open_group(str(group), mode="a", zarr_format=3).attrs.update(attributes)


def describe_classes(scan: "Scan", name: str, path: Path, classes: ClassTable) -> None:
    """Write other names, colours and porosities of a finished result's classes into its metadata."""
    import zarr

    own: Any = zarr.open_group(str(path), mode="r").attrs.asdict()["lithoscope"]
    write_attributes(path, {"ome": _ome(scan, name, classes), "lithoscope": {**own, "classes": classes.to_json()}})


def list_in_group(scan: "Scan") -> None:
    """Bring the list of label images that OME-Zarr asks for up to date."""
    write_attributes(scan.labels_folder, {"ome": {"version": "0.5", "labels": scan.results()}})


def _ome(scan: "Scan", name: str, classes: ClassTable) -> dict[str, Any]:
    about = ome.attributes(name, level_factors(scan.shape), scan.voxel, labels=True)
    source = "../../" if scan.ours else Path("../../..", scan.path.name).as_posix()
    about["image-label"] = {
        "version": "0.5",
        "colors": [{"label-value": c.id, "rgba": [*bytes.fromhex(c.colour[1:]), 255]} for c in classes],
        "properties": [{"label-value": c.id, "name": c.name, "porosity": c.porosity} for c in classes],
        "source": {"image": source},
    }
    if not len(classes):
        del about["image-label"]["colors"], about["image-label"]["properties"]
    return about


def check_not_in_use(folder: Path, what: str) -> None:
    """Raises `LockedError` if another program writes to the folder."""
    if folder.is_dir():
        WriterLock(folder, what).release()
