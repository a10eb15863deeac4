"""What a person marked as alike and unlike among the patches of a library; kept with the library, as pairs of patches."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

from lithoscope.errors import InputError, LockedError
from lithoscope.retrieval.library import Library
from lithoscope.similarity.taught import read_json, write_json
from lithoscope.volume.lock import WriterLock
from lithoscope.volume.sharing import share
from lithoscope.volume.store import storage_errors

NAME = "marks.json"
_WINDOWS = os.name == "nt"
PATIENCE_S = 10.0
"""So long a writer waits for another one, which takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Two patches by id, and whether they are alike."""

    a: str
    b: str
    alike: bool


@dataclass(frozen=True)
class Step:
    """What one change of marks added, and what it replaced or took away."""

    added: frozenset[Mark]
    replaced: tuple[Mark, ...]


@dataclass(frozen=True)
class Marks:
    """All marks of a library, oldest first; a later mark on the same pair replaces an earlier one."""

    path: Path
    pairs: tuple[Mark, ...] = ()

    @classmethod
    def of(cls, library: Library) -> Self:
        """Those of a library."""
        return cls.read(place(library))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Those of a file; none where there is none."""
        if not path.is_file():
            return cls(path)
        return cls(path, tuple(Mark(str(a), str(b), bool(is_)) for a, b, is_ in read_json(path)["pairs"]))

    def marked(self, anchor: Sequence[str], others: Iterable[str], *, alike: bool) -> "Marks":
        """With marks between each of `others` and the anchors; alike ones are alike among each other, too."""
        ids = list(dict.fromkeys(others))
        new = [Mark(a, b, alike) for a in anchor for b in ids if a != b]
        if alike:
            new += [Mark(a, b, True) for a, b in pairwise(ids)]
        if not new:
            raise InputError("choose two places or more that are alike, or one that is not like what was asked about")
        fresh = {frozenset((m.a, m.b)) for m in new}
        return Marks(self.path, (*(m for m in self.pairs if frozenset((m.a, m.b)) not in fresh), *new))

    def taken_back(self, step: "Step") -> "Marks":
        """Without what a step added, and with what it replaced, as far as nobody has marked those pairs anew since."""
        left = tuple(m for m in self.pairs if m not in step.added)
        again = {frozenset((m.a, m.b)) for m in left}
        return Marks(self.path, (*(m for m in step.replaced if frozenset((m.a, m.b)) not in again), *left))

    @property
    def words(self) -> str:
        """In one line."""
        alike = sum(m.alike for m in self.pairs)
        return f"{alike} pairs alike, {len(self.pairs) - alike} unlike" if self.pairs else "nothing is marked yet"


def place(library: Library) -> Path:
    """Where the marks of a library are kept: in its folder, or with the person's own data where it is in an object store."""
    folder = library.tables.folder
    if folder is not None:
        return folder / NAME
    import hashlib

    from platformdirs import user_data_path

    own = user_data_path("lithoscope", appauthor=False) / "marks"
    return own / f"{hashlib.sha256(library.uri.encode()).hexdigest()[:16]}-{NAME}"


def change(path: Path, by: Callable[[Marks], Marks], *, wanted: Callable[[], bool] = lambda: True) -> Step:
    """Change the marks of a file as they are now, one writer at a time, so that windows on one library lose nothing of each other's.

    Another writer is waited for as long as the change is still `wanted`.

    Raises:
        InputError: the folder cannot be written to, another person does not share it, or what is asked for makes no sense.
        LockedError: another program has held the marks for `PATIENCE_S`, or until nobody wanted the change.
    """
    if not os.access(path.parent, os.W_OK) and path.parent.exists():
        raise InputError(f"{path.parent} cannot be written to; marks are kept there")
    guard = path.with_name(f".{path.name}.writing")
    with storage_errors(path.parent):
        guard.mkdir(parents=True, exist_ok=True)
        share(guard)
        lock = _alone(guard, wanted)
    with lock:
        before = Marks.read(path)
        after = by(before)
        write_json(path, {"pairs": [[m.a, m.b, m.alike] for m in after.pairs]})
    return Step(frozenset(after.pairs) - frozenset(before.pairs), tuple(m for m in before.pairs if m not in after.pairs))


def _alone(guard: Path, wanted: Callable[[], bool]) -> WriterLock:
    """The right to write, waited for."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return WriterLock(guard, "the marks of this library")
        except LockedError:
            if time.monotonic() > until or not wanted():
                raise
        except PermissionError:
            if not _WINDOWS:
                raise InputError(f"{guard} is another person's alone; have its owner share it: chmod g+rwx {guard}") from None
            if time.monotonic() > until or not wanted():  # else a lock that is being removed
                raise
        time.sleep(0.01)
