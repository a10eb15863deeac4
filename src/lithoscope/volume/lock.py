"""One writer at a time: a lock file that says which process on which host writes to a folder.

A lock whose process has ended on this host is stale and is taken over; one of another host is believed.
"""

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self

import psutil

from lithoscope.errors import LockedError, StorageError
from lithoscope.volume.sharing import share

_HELD: set[Path] = set()
_TURN = threading.Lock()
"""Held while a lock file and `_HELD` change together: else threads of this process take each other's for stale."""
_GUARD_SECONDS = 10.0
_RELEASE_SECONDS = 2.0
"""So long a lock is tried to be given back: on Windows it cannot be removed while another process reads it."""
_SAME_SECONDS = 2.0
"""A process of the same number that started at another time is another process."""


class WriterLock:
    """Held from construction to `release`; raises `LockedError`, whose text names the holder, when another process has it."""

    def __init__(self, folder: Path, what: str) -> None:
        """Take the lock of `folder`; `what` names its content to the person: "the strokes of berea"."""
        self.path = folder.resolve() / "lock"
        self._held = False
        mine = _myself()
        for _ in range(100):
            with _TURN:
                if self._create(mine):
                    self._held = True
                    _HELD.add(self.path)
                    return
                text = self._read()
                if text is None:
                    continue
                owner = _parsed(text)
                if owner is not None and not self._stale(owner):
                    raise LockedError(f"{what} are open for writing in {holder(owner)}; close them there, or go on reading here")
                self._remove_stale(text)
        raise LockedError(f"{what} are being opened by several programs at once; try again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the lock back; a second call does nothing. A `StorageError` says that the file cannot be removed."""
        if self._held:
            self._held = False
            with _TURN:
                try:
                    _remove(self.path)
                finally:
                    _HELD.discard(self.path)

    def _create(self, mine: dict[str, Any]) -> bool:
        """Whether the lock file was made, by linking a finished file: it is never seen half written."""
        whole = self.path.with_name(f".lock.{os.getpid()}.{time.monotonic_ns()}")
        try:
            whole.write_text(json.dumps(mine))
            share(whole)
            try:
                os.link(whole, self.path)
            except FileExistsError:
                return False
            except OSError:  # a file system without hard links
                return self._create_exclusive(mine)
            return True
        finally:
            whole.unlink(missing_ok=True)

    def _create_exclusive(self, mine: dict[str, Any]) -> bool:
        try:
            with self.path.open("x") as file:
                share(self.path)
                file.write(json.dumps(mine))
        except FileExistsError:
            return False
        return True

    def _read(self) -> str | None:
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return None
        except PermissionError:
            if os.name != "nt":
                raise LockedError(f"{self.path} is of another person, who may be writing; if nobody is, remove it") from None
            time.sleep(0.01)  # it is being removed
            return None

    def _stale(self, owner: dict[str, Any]) -> bool:
        mine = _myself()
        if owner["host"] != mine["host"]:
            return False
        if owner["pid"] == mine["pid"]:
            return self.path not in _HELD
        try:
            return bool(abs(_started(owner["pid"]) - owner["started"]) > _SAME_SECONDS)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def _remove_stale(self, text: str) -> None:
        """Remove the lock that reads `text`; a guard file keeps two finders from removing each other's new lock."""
        guard = self.path.with_name("lock.guard")
        try:
            guard.touch(exist_ok=False)
        except FileExistsError:
            try:
                if time.time() - guard.stat().st_mtime > _GUARD_SECONDS:
                    guard.unlink(missing_ok=True)
            except FileNotFoundError:
                pass
            time.sleep(0.01)
            return
        try:
            if self._read() == text:
                self.path.unlink(missing_ok=True)
        finally:
            guard.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove a lock, waiting for those who read it now."""
    until = time.monotonic() + _RELEASE_SECONDS
    while True:
        try:
            path.unlink(missing_ok=True)
        except PermissionError:
            if time.monotonic() > until:
                raise StorageError(f"{path} cannot be removed; remove it, or nobody else can write there") from None
            time.sleep(0.01)
        else:
            return


def holder(owner: dict[str, Any]) -> str:
    """Who holds a lock, in words."""
    mine = _myself()
    if owner["host"] == mine["host"] and owner["pid"] == mine["pid"]:
        return "this program already"
    place = "this computer" if owner["host"] == mine["host"] else str(owner["host"])
    return f"another program (process {owner['pid']} on {place})"


def _myself() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "started": _started(pid)}


def _started(pid: int) -> float:
    """When a process started: on Linux in seconds after the boot, which no change of the clock moves."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return float(psutil.Process(pid).create_time())


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        data = json.loads(text)
        return {"host": str(data["host"]), "pid": int(data["pid"]), "started": float(data["started"])}
    except (ValueError, KeyError, TypeError):
        return None
