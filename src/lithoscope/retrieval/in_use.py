"""Which tables of a library somebody reads or writes now: such a table is not removed. Who ends, however he ends, uses none.

Who uses a table shares a lock on a small file of its name; who removes it must be alone with that file.
"""

import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lithoscope.volume.sharing import share

FOLDER = "in-use"
"""Where these files lie within a library."""


class InUse:
    """The use of one table, from construction to `release`, or until nothing refers to it. A library in an object store (no folder),
    and one where no lock can be taken, do not know who uses them."""

    def __init__(self, folder: Path | None, table: str) -> None:
        self.table = table
        self._end = None if folder is None else weakref.finalize(self, _close, _shared(folder / FOLDER / table))

    def __enter__(self) -> "InUse":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Use it no longer; a second call does nothing."""
        if self._end is not None:
            self._end()


@contextmanager
def alone(folder: Path | None, table: str) -> Iterator[bool | None]:
    """Whether nobody uses a table, and nobody begins to while this holds; None where that cannot be known."""
    if folder is None:
        yield None
        return
    path = folder / FOLDER / table
    free: bool | None = None
    number: int | None = None
    try:
        if sys.platform == "win32":  # a file that is open cannot be removed
            path.unlink(missing_ok=True)
            free = True
        else:
            number = _opened(path)
            free = _locked(number, shared=False)
    except PermissionError:
        free = False
    except OSError:
        free = None
    try:
        yield free
        if free:
            path.unlink(missing_ok=True)
    finally:
        _close(number)


def _shared(path: Path) -> int | None:
    """A file that is open and locked, shared with others; None where that cannot be."""
    for _ in range(100):
        number = None
        with suppress(OSError):
            number = _opened(path)
        if number is None:
            try:
                number = os.open(path, os.O_RDONLY)
            except OSError:
                return None
        if sys.platform == "win32":
            return number
        _locked(number, shared=True)
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), path.stat()):
                return number
        os.close(number)  # it was removed while this waited for it
    return None


def _opened(path: Path) -> int:
    """A file of the folder, open to be locked, made if it is not there; whoever may write to the library may write to both."""
    path.parent.mkdir(exist_ok=True)
    share(path.parent)
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    share(path)
    return number


def _locked(number: int, *, shared: bool) -> bool | None:
    """Lock an open file, waiting for it if it is to be shared; whether it is locked now, None where files cannot be locked."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(number, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _close(number: int | None) -> None:
    if number is not None:
        os.close(number)
