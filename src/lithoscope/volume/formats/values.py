"""Bare values behind a header, in one file or several, plain or compressed: what MetaImage, NRRD and VGStudio have in common."""

import re
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import MissingError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats.source import by, one_line

_STEP = 1 << 20
_SIZES_DIFFER = re.compile(r"%\d*d")


@dataclass(frozen=True, slots=True)
class Part:
    """A file that holds `planes` planes of the volume from byte `offset` on; an offset of -1 means they are the end of the file.

    `inner` bytes of what is packed come before them.
    """

    path: Path
    planes: int
    offset: int = 0
    inner: int = 0


class Values:
    """The planes of a volume whose values lie x fastest; `channels` of them interleaved, of which one is read."""

    def __init__(
        self,
        parts: Sequence[Part],
        shape: Triple,
        order: np.dtype[Any],
        *,
        packed: bool = False,
        channels: int = 1,
        channel: int = 0,
        skip: int = 0,
        name: str,
        longer: bool = False,
    ) -> None:
        """`order` is the dtype with its byte order, `skip` the planes before the first; `packed` values are one zlib or gzip stream,
        and `longer` files are taken as they are."""
        self._parts, self._shape, self._order, self._packed = list(parts), shape, order, packed
        self._channels, self._channel, self._skip, self._name = channels, channel, skip, name
        self._plane = shape[1] * shape[2] * channels * order.itemsize
        self._current: tuple[Path, IO[bytes], Inflated | None] | None = None
        self._lock = threading.Lock()
        for part in self._parts:
            self._check(part, longer=longer)

    def _check(self, part: Part, *, longer: bool) -> None:
        try:
            found = part.path.stat().st_size - max(part.offset, 0)
        except FileNotFoundError:
            raise MissingError(
                f"{self._name} says that its values are in {part.path.name}, which is not beside it; copy it there"
            ) from None
        expected = part.planes * self._plane
        if self._packed or (found == expected or (found > expected and (longer or part.offset < 0))):
            return
        what = "is cut short" if found < expected else "does not fit its header"
        sizes = f"{part.planes} planes of {self._shape[2]} × {self._shape[1]} {self._order.name} need {expected} bytes"
        raise UnreadableError(f"{part.path} {what}: {sizes}, it has {found}; check the sizes in {self._name}, or copy it again")

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x), in the file's byte order."""
        out = np.empty((z1 - z0, self._shape[1], self._shape[2], self._channels), self._order)
        first, z0, z1 = 0, z0 + self._skip, z1 + self._skip
        with self._lock:
            for part in self._parts:
                low, high = max(z0, first), min(z1, first + part.planes)
                if low < high:
                    target = memoryview(out[low - z0 : high - z0].reshape(-1).view(np.uint8).data)
                    self._fill(part, (low - first) * self._plane, target)
                first += part.planes
        return out[..., self._channel]

    def _fill(self, part: Part, at: int, target: memoryview) -> None:
        start = part.offset if part.offset >= 0 else part.path.stat().st_size - part.planes * self._plane
        try:
            file = self._stream(part.path, start)
            file.seek(part.inner + at if self._packed else start + at)
            done = 0
            while done < len(target):
                piece = file.read(min(len(target) - done, 16 * _STEP))
                if not piece:
                    raise UnreadableError(f"{part.path} is cut short: {len(target) - done} bytes are missing; copy it again")
                target[done : done + len(piece)] = piece
                done += len(piece)
        except zlib.error as error:
            raise UnreadableError(f"{part.path} is damaged: {one_line(error)}; copy it again") from error

    def _stream(self, path: Path, start: int) -> "IO[bytes] | Inflated":
        """The file, or what is packed in it from `start` on; one is open at a time."""
        if self._current is None or self._current[0] != path:
            self.close()
            file = path.open("rb")
            self._current = (path, file, Inflated(file, start) if self._packed else None)
        return self._current[2] or self._current[1]

    def close(self) -> None:
        """Close the file that is open."""
        if self._current is not None:
            self._current[1].close()
            self._current = None


class Inflated:
    """A zlib or gzip stream that can be wound: forward by reading on, backward from its start."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._start = file, start
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(self._start)
        self._packed = zlib.decompressobj(47)
        self._ready, self._at = b"", 0

    def seek(self, at: int) -> None:
        """Go to a byte of what was compressed."""
        if at < self._at:
            self._rewind()
        while self._at < at and self.read(min(at - self._at, _STEP)):
            pass

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; none at the end."""
        while not self._ready:
            if self._packed.eof:
                rest = self._packed.unused_data or self._file.read(_STEP)
                if not rest.strip(b"\0"):
                    return b""
                self._packed = zlib.decompressobj(47)
                self._ready = self._packed.decompress(rest, _STEP)
                continue
            rest = self._packed.unconsumed_tail or self._file.read(_STEP)
            if not rest:
                return b""
            self._ready = self._packed.decompress(rest, _STEP)
        piece, self._ready = self._ready[:count], self._ready[count:]
        self._at += len(piece)
        return piece


def listed(spec: str, lines: Sequence[str], folder: Path, depth: int, name: str) -> list[Part] | None:
    """The files of a volume of `depth` planes that a header lists line by line or by a pattern `slice%03d.raw 1 40 1`, or None."""
    words = spec.split()
    if words and words[0].upper() == "LIST":
        files = [folder / line.strip() for line in lines if line.strip()]
    elif len(words) >= 4 and _SIZES_DIFFER.search(words[0]):
        first, last, step = (int(w) for w in words[1:4])
        files = [folder / (words[0] % number) for number in range(first, last + (1 if step > 0 else -1), step)]
    else:
        return None
    if not files or depth % len(files):
        raise UnreadableError(f"{name} lists {len(files)} files for {depth} planes; the list is not whole")
    return [Part(file, depth // len(files)) for file in files]


def checked_dtype(kinds: dict[str, str], said: str, name: object) -> np.dtype[Any]:
    """The dtype that a header names, among the `kinds` that its format knows."""
    if said not in kinds:
        raise UnreadableError(f"{name} holds values of type {said or 'unknown'}; a scan is of whole numbers or floats: convert it first")
    found: np.dtype[Any] = np.dtype(kinds[said])
    return found


def three(sizes: Sequence[int], name: object) -> Triple:
    """Sizes written x first as (z, y, x), a plane becoming one slice."""
    if len(sizes) not in (2, 3):
        raise UnreadableError(f"{name} has {len(sizes)} axes of {by(tuple(sizes))}; a scan has three: z, y, x")
    x, y, z = (*sizes, 1)[:3]
    return (z, y, x)
