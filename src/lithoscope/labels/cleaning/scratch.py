"""Volumes that a job needs only while it lasts: in the scan's cache, gone with the job however it ends."""

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lithoscope.volume.store import create_array, storage_errors

if TYPE_CHECKING:
    import zarr

    from lithoscope.volume.scan import Scan


class Scratch:
    """A folder of arrays of the scan's shape and layout, for the length of a `with` block."""

    def __init__(self, scan: "Scan") -> None:
        self._scan = scan
        self._folder = scan.sidecar / "cache" / f"job-{uuid.uuid4()}"
        self._made: list[tuple[Any, Path]] = []

    def array(self, dtype: Any = np.uint8) -> "zarr.Array[Any]":
        """A new array (z, y, x) of zeros."""
        path = self._folder / str(len(self._made))
        layout = self._scan.layout
        with storage_errors(path):
            self._folder.mkdir(parents=True, exist_ok=True)
        made = create_array(path, self._scan.shape, dtype, chunks=layout.chunks()[0], shards=layout.shard, kind="labels")
        self._made.append((made, path))
        return made

    def drop(self, array: Any) -> None:
        """Remove an array that nobody reads any more; others than its own are left alone."""
        for made, path in self._made:
            if made is array:
                shutil.rmtree(path, ignore_errors=True)

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
