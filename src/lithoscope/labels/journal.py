"""What was painted, in the order it was painted: an append-only file of changes, undos and redos.

Each entry carries its own checksum; an end torn by a crash is dropped. A mark says that the array on disk holds everything
before it, so that only what follows needs to be replayed. The file knows nothing of the array.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from lithoscope.errors import InputError, NewerSchemaError, UnreadableError
from lithoscope.labels.changes import Change
from lithoscope.volume.box import Triple

_MAGIC = b"LITHOJRN"
SCHEMA = 1
_HEADER = struct.Struct("<8sI3Q")
_FRAME = struct.Struct("<II")
_ENTRY = struct.Struct("<BQ")


class Kind(IntEnum):
    """What an entry says."""

    CHANGE = 1
    UNDO = 2
    REDO = 3
    MARK = 4


class Entry(NamedTuple):
    """One line of the journal: a change of a stroke, the undoing or redoing of one, or a mark."""

    kind: Kind
    stroke: int = 0
    change: Change | None = None

    def to_bytes(self) -> bytes:
        payload = _ENTRY.pack(self.kind, self.stroke) + (self.change.packed if self.change else b"")
        return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


class Journal:
    """The file at `path`. It is made at the first `append`, and cut to its last whole entry when opened for writing."""

    def __init__(self, path: Path, shape: Triple, *, readonly: bool = False) -> None:
        self.path, self.shape, self.readonly = path, shape, readonly
        self._head = _HEADER.pack(_MAGIC, SCHEMA, *shape)
        self.length = 0
        """How many bytes of the file are whole entries; what follows is not read."""

    def read(self) -> Iterator[Entry]:
        """The entries, oldest first, up to the first that is torn."""
        try:
            file = self.path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return
        with file:
            if not self._checked(file.read(_HEADER.size)):
                return
            self.length = _HEADER.size
            while len(frame := file.read(_FRAME.size)) == _FRAME.size:
                size, crc = _FRAME.unpack(frame)
                payload = file.read(size) if size < 1 << 31 else b""
                if len(payload) != size or size < _ENTRY.size or zlib.crc32(payload) != crc:
                    return
                self.length += _FRAME.size + size
                kind, stroke = _ENTRY.unpack_from(payload)
                yield Entry(Kind(kind), stroke, Change.unpack(payload[_ENTRY.size :]) if kind == Kind.CHANGE else None)

    def _checked(self, head: bytes) -> bool:
        """Whether the file has a header; False when it was cut before its end."""
        if len(head) < _HEADER.size:
            return False
        magic, schema, *shape = _HEADER.unpack(head)
        if magic != _MAGIC:
            raise UnreadableError(f"{self.path} is not a journal of labels; move it away to go on without undo")
        if schema > SCHEMA:
            raise NewerSchemaError(f"{self.path} is of schema {schema}, this Lithoscope reads up to {SCHEMA}; update it")
        if tuple(shape) != self.shape:
            raise InputError(
                f"{self.path} was painted on a scan of {tuple(shape)} voxels, this one has {self.shape}; it belongs to another scan"
            )
        return True

    def append(self, data: bytes) -> None:
        """Put whole entries on the disk; when that fails, nothing of them remains and `OSError` is raised."""
        if not self.length:
            data = self._head + data
        with self.path.open("r+b" if self.length or self.path.exists() else "xb") as file:
            try:
                file.seek(self.length)
                file.write(data)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self.length)
                raise
        self.length += len(data)

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace the file by one of these entries alone, in one step."""
        partial = self.path.with_name(self.path.name + ".partial")
        try:
            with partial.open("wb") as file:
                file.write(self._head)
                for entry in entries:
                    file.write(entry.to_bytes())
                file.flush()
                os.fsync(file.fileno())
                length = file.tell()
            partial.replace(self.path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        self.length = length
