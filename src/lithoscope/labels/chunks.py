"""A sparse uint8 array on disk, a Zarr of small chunks, with those in use held in memory.

A chunk that nobody painted exists neither in memory nor on disk. Chunk files are read and replaced one by one, each in one
step, rather than through Zarr, whose calls cost a hundred times more than a brush stamp may. Not safe for threads by itself.
"""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.errors import InputError, MissingError, NewerSchemaError, UnreadableError
from lithoscope.labels.atomic import write_whole
from lithoscope.labels.changes import Labels, Mask
from lithoscope.volume.box import Box, Triple

EDGE = 64
SCHEMA = 1
MEMORY = 384 << 20
"""Bytes of unchanged chunks that are kept in memory."""


class SparseChunks:
    """The array in `folder`, of (z, y, x) `shape`; 0 where no chunk is."""

    def __init__(self, folder: Path, shape: Triple, *, memory: int = MEMORY) -> None:
        self.folder, self.shape = folder, shape
        self.on_disk: set[Triple] = set()
        self.dirty: dict[Triple, int] = {}
        """Chunks that are newer in memory than on disk, with the number of the change that made them so."""
        self._held: OrderedDict[Triple, Labels] = OrderedDict()
        self._limit = max(8, memory // EDGE**3)
        self._changes = 0
        if (folder / "zarr.json").exists():
            self._open()

    def create(self, attributes: dict[str, Any]) -> None:
        """Make the empty array on disk if it is not there."""
        import zarr
        from zarr.codecs import BloscCodec

        if not (self.folder / "zarr.json").exists():
            codec = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=1)
            edges = (EDGE, EDGE, EDGE)
            about: dict[str, Any] = {"lithoscope": {"schema": SCHEMA, **attributes}}
            zarr.create_array(
                self.folder, shape=self.shape, chunks=edges, dtype="uint8", fill_value=0, compressors=[codec], attributes=about,
                dimension_names=("z", "y", "x"),
            )  # fmt: skip

    def _open(self) -> None:
        import zarr

        array = zarr.open_array(self.folder, mode="r")
        schema = int(dict(array.attrs).get("lithoscope", {}).get("schema", 0))  # type: ignore[union-attr,arg-type]
        if schema > SCHEMA:
            raise NewerSchemaError(f"{self.folder} is of schema {schema}, this Lithoscope reads up to {SCHEMA}; update it")
        if tuple(array.shape) != self.shape or tuple(array.chunks) != (EDGE, EDGE, EDGE) or array.dtype != np.uint8:
            raise InputError(
                f"{self.folder} holds {array.dtype} labels of {array.shape} voxels, the scan has {self.shape}; it belongs to another scan"
            )
        for z in _numbers(self.folder / "c"):
            for y in _numbers(self.folder / "c" / str(z)):
                self.on_disk.update((z, y, x) for x in _numbers(self.folder / "c" / str(z) / str(y)))

    def keys(self, box: Box) -> Iterator[Triple]:
        """The chunks that exist and share voxels with the box, by rising (z, y, x)."""
        spans = _spans(box)
        cells = len(spans[0]) * len(spans[1]) * len(spans[2])
        if cells <= 4 * (len(self._held) + len(self.on_disk)):
            yield from (k for k in product(spans[0], spans[1], spans[2]) if k in self._held or k in self.on_disk)
        else:
            yield from (k for k in sorted(self._held.keys() | self.on_disk) if k[0] in spans[0] and k[1] in spans[1] and k[2] in spans[2])

    def read(self, box: Box) -> Labels:
        """The labels of a box within the array, as an array of their own."""
        out = np.zeros(box.shape, np.uint8)
        for key in list(self.keys(box)):
            there, here = _common(key, box)
            out[here] = self._chunk(key)[there]
        return out

    def put(self, box: Box, labels: Labels, changed: Mask) -> None:
        """Take up `labels` over the box; chunks without a voxel that `changed` are left alone."""
        self._changes += 1
        for key in product(*_spans(box)):
            there, here = _common(key, box)
            if changed[here].any():
                self._chunk(key)[there] = labels[here]
                self.dirty[key] = self._changes

    def _chunk(self, key: Triple) -> Labels:
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
            return held
        chunk = self._load(key) if key in self.on_disk else np.zeros((EDGE, EDGE, EDGE), np.uint8)
        if len(self._held) - len(self.dirty) >= self._limit:
            oldest = next(k for k in self._held if k not in self.dirty)
            del self._held[oldest]
        self._held[key] = chunk
        return chunk

    def _path(self, key: Triple) -> Path:
        return self.folder / "c" / str(key[0]) / str(key[1]) / str(key[2])

    def _load(self, key: Triple) -> Labels:
        from numcodecs import blosc

        path = self._path(key)
        try:
            chunk = np.frombuffer(bytearray(blosc.decompress(path.read_bytes())), np.uint8)
            return chunk.reshape(EDGE, EDGE, EDGE)
        except FileNotFoundError:
            if not self.folder.exists():
                raise MissingError(f"{self.folder} is gone; put it back and open the scan again") from None
            return np.zeros((EDGE, EDGE, EDGE), np.uint8)  # a writer elsewhere has emptied it
        except (RuntimeError, ValueError) as error:
            raise UnreadableError(
                f"{path} is damaged; put back a copy of {self.folder.parent}, or delete the file to lose its labels"
            ) from error

    def take(self, keys: list[Triple]) -> list[tuple[Triple, int, Labels]]:
        """Copies of these changed chunks as they are now, each with the number of its last change."""
        return [(key, self.dirty[key], self._held[key].copy()) for key in keys if key in self.dirty]

    def save(self, key: Triple, chunk: Labels) -> None:
        """Write one chunk, or remove its file if it is empty; raises `OSError`. May run beside reads and puts."""
        from numcodecs import blosc

        path = self._path(key)
        if not chunk.any():
            path.unlink(missing_ok=True)
            return
        packed = blosc.compress(chunk.reshape(-1), b"zstd", 1, blosc.BITSHUFFLE)
        try:
            write_whole(path, packed)
        except FileNotFoundError:
            if not (self.folder / "zarr.json").exists():
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, packed)

    def saved(self, key: Triple, change: int, *, empty: bool) -> None:
        """Note that the chunk as it was at `change` is on the disk."""
        if empty:
            self.on_disk.discard(key)
        else:
            self.on_disk.add(key)
        if self.dirty.get(key) == change:
            del self.dirty[key]
            if empty:
                del self._held[key]


def chunk_box(key: Triple, shape: Triple) -> Box:
    """The voxels of a chunk, cut at the array's faces."""
    z, y, x = (k * EDGE for k in key)
    return Box((z, y, x), (min(z + EDGE, shape[0]), min(y + EDGE, shape[1]), min(x + EDGE, shape[2])))


def _spans(box: Box) -> tuple[range, range, range]:
    z, y, x = (range(a // EDGE, (b + EDGE - 1) // EDGE) for a, b in zip(box.start, box.stop, strict=True))
    return z, y, x


def _common(key: Triple, box: Box) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the chunk and the box overlap, within the chunk and within the box."""
    there, here = [], []
    for k, a, b in zip(key, box.start, box.stop, strict=True):
        first = k * EDGE
        low, high = max(first, a), min(first + EDGE, b)
        there.append(slice(low - first, high - first))
        here.append(slice(low - a, high - a))
    return tuple(there), tuple(here)


def _numbers(folder: Path) -> list[int]:
    try:
        return [int(name) for name in (p.name for p in folder.iterdir()) if name.isdigit()]
    except FileNotFoundError:
        return []
