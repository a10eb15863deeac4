"""A filtered image while it is made: blocks are written to all its levels, and it is seen by nobody until it is finished.

It grows under its name with `.partial` behind it. A run that was stopped or killed is taken up where it stopped; the name is put
in place in one step at the end.
"""

import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import zarr

from lithoscope.errors import LithoscopeError
from lithoscope.record import RunRecord
from lithoscope.volume import ome
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box
from lithoscope.volume.images import images_folder
from lithoscope.volume.lock import WriterLock
from lithoscope.volume.pyramid import coarser, level_factors, level_steps, reduce_image
from lithoscope.volume.scan import Scan
from lithoscope.volume.sidecar import SCHEMA, check_schema
from lithoscope.volume.store import create_levels, open_array, storage_errors

PARTIAL = ".partial"
DONE = "done"
"""The file in an unfinished image that lists the numbers of its finished blocks, one a line."""


@dataclass(eq=False)
class ImageWriter:
    """Writes the blocks of one image; several threads may write different ones. `finished` holds the numbers of those that are written."""

    scan: Scan
    name: str
    record: RunRecord

    def __post_init__(self) -> None:
        self.path = images_folder(self.scan) / f"{self.name}{PARTIAL}"
        self.final = images_folder(self.scan) / self.name
        self.finished: set[int] = set()
        self._noting = threading.Lock()
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._claim = WriterLock(self.path, f"the unfinished image {self.name} of {self.scan.name}")
        self._steps, self._factors = level_steps(self.scan.shape), level_factors(self.scan.shape)

    def begin(self, dtype: npt.DTypeLike) -> None:
        """Begin anew, with nothing written."""
        with storage_errors(self.path):
            for old in self.path.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
                elif old.name in (DONE, "zarr.json"):
                    old.unlink()
        self.levels = create_levels(self.path, self.scan.layout, dtype, "image")
        self._describe()

    def go_on(self) -> None:
        """Take up what is written."""
        self.levels = [open_array(self.path / str(level)) for level in range(len(self._factors))]
        with suppress(FileNotFoundError):
            lines = (self.path / DONE).read_text().splitlines(keepends=True)
            self.finished = {int(line) for line in lines if line.endswith("\n") and line.strip().isdigit()}

    def todo(self) -> list[tuple[int, Box]]:
        """The blocks that are not written yet, with their numbers."""
        every = enumerate(blocks(self.scan.box, self.scan.shard))
        return [(number, box) for number, box in every if number not in self.finished]

    def write(self, number: int, box: Box, values: npt.NDArray[Any]) -> None:
        """Put a block (z, y, x) into every level, and remember that it is there."""
        with storage_errors(self.path):
            for array, step, factor in zip(self.levels, self._steps, self._factors, strict=True):
                values = values if step == (1, 1, 1) else reduce_image(values, step)
                array[coarser(box, factor).slices] = values
            with self._noting, (self.path / DONE).open("a") as file:
                file.write(f"{number}\n")
                self.finished.add(number)

    def finish(self, record: RunRecord) -> None:
        """Show the image under its name, with this record, in one step; an older one of the name goes."""
        self.record = record
        self._describe()
        ome.validate(self.path)
        (self.path / DONE).unlink(missing_ok=True)
        self._claim.release()
        old = self.final.with_name(f".{self.final.name}.replaced")
        with storage_errors(self.final):
            shutil.rmtree(old, ignore_errors=True)
            if self.final.exists():
                self.final.rename(old)
            self.path.rename(self.final)
            shutil.rmtree(old, ignore_errors=True)

    def close(self) -> None:
        """Leave it as it is, to be taken up; what holds no block yet goes. Does nothing once finished."""
        self._claim.release()
        if self.path.exists() and not self.finished:
            shutil.rmtree(self.path, ignore_errors=True)

    def _describe(self) -> None:
        own = {"schema": SCHEMA, "uuid": self.scan.uuid, "record": self.record.to_json()}
        attributes = {"ome": ome.attributes(self.name, self._factors, self.scan.voxel), "lithoscope": own}
        with storage_errors(self.path):
            zarr.open_group(str(self.path), mode="a", zarr_format=3).attrs.update(attributes)


def unfinished(scan: Scan) -> dict[str, RunRecord]:
    """The runs that were stopped and can be resumed, by the name of their image; those that another process is at are left out."""
    found = {}
    for place in sorted(images_folder(scan).glob(f"*{PARTIAL}")):
        name = place.name.removesuffix(PARTIAL)
        with suppress(LithoscopeError):
            if (record := begun(scan, name)) is not None:
                WriterLock(place, name).release()
                found[name] = record
    return found


def begun(scan: Scan, name: str) -> RunRecord | None:
    """The record of the unfinished image of that name; None when there is none, or no block of it is written."""
    path = images_folder(scan) / f"{name}{PARTIAL}"
    if not (path / DONE).exists() or not (path / "zarr.json").exists():
        return None
    try:
        own: Any = zarr.open_group(str(path), mode="r").attrs["lithoscope"]
        check_schema(own, path)
        return RunRecord.from_json(own["record"])
    except (KeyError, TypeError, ValueError, zarr.errors.BaseZarrError):
        return None
