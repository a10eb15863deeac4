"""Arrays on disk: how ours are laid out, created and opened.

The fast codec pipeline is a global setting of zarr that every package shares, so it is set only while one of our arrays is
created or opened; an array keeps the pipeline it was opened with.
"""

import errno
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from lithoscope.errors import LithoscopeError, StorageError
from lithoscope.volume.box import Triple
from lithoscope.volume.pyramid import level_factors, level_shapes

CHUNK = 64
SHARD = 256
SLAB_BYTES = 192 << 20
"""A slab of whole planes, one shard thick, is read and written at once and stays below this where it can."""

_setting = threading.RLock()


@contextmanager
def fast_codecs() -> Iterator[None]:
    """While this lasts, arrays are created and opened with the compiled codec pipeline."""
    import zarrs  # noqa: F401  - registers the pipeline

    with _setting, zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        yield


@dataclass(frozen=True, slots=True)
class Layout:
    """How the levels of a scan of `shape` are cut into shards and chunks: one level-0 shard fills whole shards of every level."""

    shape: Triple
    shard: Triple

    @classmethod
    def of(cls, shape: Triple, dtype: Any) -> "Layout":
        """The layout for a scan of this (z, y, x) shape: shards of 256³, thinner in z where planes are large or an axis is short."""
        z, y, x = (min(SHARD, 1 << max(n - 1, 0).bit_length()) for n in shape)
        plane = shape[1] * shape[2] * np.dtype(dtype).itemsize
        thinnest = max(16, level_factors(shape)[-1][0])
        while z > thinnest and z * plane > SLAB_BYTES:
            z //= 2
        return cls(shape, (z, y, x))

    def shards(self) -> list[Triple]:
        """The shard of each level."""
        z, y, x = self.shard
        return [(max(z // a, 1), max(y // b, 1), max(x // c, 1)) for a, b, c in level_factors(self.shape)]

    def chunks(self) -> list[Triple]:
        """The chunk of each level: 64 voxels an axis, or the shard's where that is shorter."""
        return [(min(z, CHUNK), min(y, CHUNK), min(x, CHUNK)) for z, y, x in self.shards()]


def create_levels(group: Path, layout: Layout, dtype: Any, kind: Literal["image", "labels"]) -> list[zarr.Array[Any]]:
    """New arrays "0", "1" … in the folder `group`, one for each level."""
    return [
        create_array(group / str(level), shape, dtype, chunks=chunk, shards=shard, kind=kind)
        for level, (shape, shard, chunk) in enumerate(zip(level_shapes(layout.shape), layout.shards(), layout.chunks(), strict=True))
    ]


def create_array(
    path: Path, shape: Triple, dtype: Any, *, chunks: Triple, shards: Triple | None = None, kind: Literal["image", "labels"] = "image"
) -> zarr.Array[Any]:
    """A new Zarr v3 array (z, y, x), compressed with zstd 1: bytes shuffled for images, bits for labels."""
    codec = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle" if kind == "labels" else "shuffle", typesize=np.dtype(dtype).itemsize)
    with fast_codecs(), storage_errors(path):
        return zarr.create_array(
            str(path), shape=shape, dtype=np.dtype(dtype), chunks=chunks, shards=shards, compressors=codec, fill_value=0,
            dimension_names=("z", "y", "x"), zarr_format=3, overwrite=False,
        )  # fmt: skip


def open_array(path: Path, *, readonly: bool = False) -> zarr.Array[Any]:
    """The Zarr array at `path`, of version 2 or 3."""
    with fast_codecs():
        return zarr.open_array(str(path), mode="r" if readonly else "r+")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns the system's complaints about a disk into a `StorageError` that names `path`."""
    try:
        yield
    except LithoscopeError:
        raise
    except OSError as error:
        raise StorageError(storage_message(path, error)) from error
    except RuntimeError as error:  # the compiled pipeline raises system errors as this
        if not any(sign in str(error) for sign in ("os error", "No space", "Permission", "Read-only", "IO error")):
            raise
        raise StorageError(storage_message(path, error)) from error


def storage_message(path: Path, error: Exception) -> str:
    """One line about a failed write at `path`."""
    number, text = getattr(error, "errno", None), str(error)
    if number == errno.ENOSPC or "No space left" in text or "os error 28" in text:
        return f"the disk of {path} is full; free some space or write elsewhere"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) or "Permission denied" in text or "Read-only" in text:
        return f"{path} cannot be written; choose a place where you may write"
    reason = (error.strerror if isinstance(error, OSError) else None) or text
    return f"{path} could not be written: {' '.join(reason.split())}"


def write_json(path: Path, data: Any) -> None:
    """Write JSON so that a crash leaves the old file or the new one, never half of one."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".draft")
        draft.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
        draft.replace(path)


def folder_bytes(path: Path) -> int:
    """How many bytes the files below a folder take."""
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def triple(values: Sequence[int]) -> Triple:
    """Three numbers as a (z, y, x) tuple of Python ints."""
    z, y, x = values
    return (int(z), int(y), int(x))
