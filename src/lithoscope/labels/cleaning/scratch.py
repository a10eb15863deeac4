"""Volumes that a job needs only while it lasts: in the scan's cache, gone with the job however it ends."""

import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lithoscope.errors import LockedError
from lithoscope.volume.lock import WriterLock
from lithoscope.volume.store import create_array, storage_errors

if TYPE_CHECKING:
    import zarr

    from lithoscope.volume.scan import Scan

_YOUNG_SECONDS = 60.0
"""A folder without a lock that is younger than this may be one that another job is just making."""


class Room(Protocol):
    """Where a step finds arrays (z, y, x) to write to, and gives back those that nobody reads any more."""

    def array(self, dtype: Any = np.uint8) -> Any: ...

    def drop(self, array: Any) -> None: ...


class Scratch:
    """A folder of arrays of the scan's shape and layout, for the length of a `with` block."""

    def __init__(self, scan: "Scan") -> None:
        self._scan = scan
        self._folder = scan.sidecar / "cache" / f"job-{uuid.uuid4()}"
        self._made: list[tuple[Any, Path]] = []
        self._claim: WriterLock | None = None

    def array(self, dtype: Any = np.uint8) -> "zarr.Array[Any]":
        """A new array (z, y, x) of zeros."""
        path = self._folder / str(len(self._made))
        layout = self._scan.layout
        made = create_array(path, self._scan.shape, dtype, chunks=layout.chunks()[0], shards=layout.shard, kind="labels")
        self._made.append((made, path))
        return made

    def drop(self, array: Any) -> None:
        """Remove an array that nobody reads any more; others than its own are left alone."""
        for made, path in self._made:
            if made is array:
                shutil.rmtree(path, ignore_errors=True)

    def __enter__(self) -> "Scratch":
        for other in self._folder.parent.glob("job-*"):
            _sweep(other)
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True)
            self._claim = WriterLock(self._folder, "the work of this job")
        return self

    def __exit__(self, *_: object) -> None:
        if self._claim is not None:
            self._claim.release()
        shutil.rmtree(self._folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what a job left that was killed; one that still runs is left alone."""
    with suppress(LockedError, OSError):
        if (folder / "lock").exists() or time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
            WriterLock(folder, "the work of another job").release()
            shutil.rmtree(folder, ignore_errors=True)
