"""Features kept on disk, a window a file: bounded, the oldest out first, and never missed when they are gone.

A window's folder is named by the image's content and the extractor's key, so that another version or another image never
meets it. Nothing here raises for the disk's sake: what cannot be kept is worked out again.
"""

import contextlib
import os
import shutil
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Half = npt.NDArray[np.float16]

LIMIT = 8 << 30
"""Bytes on disk, unless set otherwise."""
MEMORY = 256 << 20
"""Bytes of windows kept at hand."""
SPARE = 1 << 30
"""Bytes of the disk that the cache leaves to everything else."""


class FeatureCache:
    """Windows of features (channels, z, y, x) as float16 by (folder, name). Used by several threads and processes at once.

    `problem` says why nothing is kept any more, in words, or is None.
    """

    def __init__(self, folder: Path, *, limit: int = LIMIT, memory: int = MEMORY, spare: int = SPARE) -> None:
        self.folder, self.limit, self.memory, self.spare = folder, limit, memory, spare
        self.problem: str | None = None
        self._near: OrderedDict[tuple[str, str], Half] = OrderedDict()
        self._near_bytes = 0
        self._bytes: int | None = None
        self._lock = threading.Lock()

    def get(self, folder: str, name: str) -> Half | None:
        """A window, or None if it is not kept or cannot be read."""
        with self._lock:
            found = self._near.get((folder, name))
            if found is not None:
                self._near.move_to_end((folder, name))
                return found
        path = self._path(folder, name)
        try:
            loaded: Any = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        if loaded.dtype != np.float16 or loaded.ndim != 4:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        self._remember((folder, name), loaded)
        kept: Half = loaded
        return kept

    def put(self, folder: str, name: str, window: npt.NDArray[Any], *, at_hand: bool = True) -> None:
        """Keep a window, at hand and on disk if there is room; not `at_hand`, on disk alone, if it can be."""
        half = np.ascontiguousarray(window, np.float16)
        if at_hand or self.problem is not None or self.limit <= 0:
            self._remember((folder, name), half)
        if self.problem is not None or self.limit <= 0:
            return
        if not self.folder.parent.is_dir():
            self.problem = f"features are not kept: {self.folder.parent} is gone"
            return
        path = self._path(folder, name)
        partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(path.parent).free < half.nbytes + self.spare:
                self.problem = f"features are not kept: the disk of {self.folder} is nearly full"
                return
            with partial.open("wb") as file:
                np.save(file, half, allow_pickle=False)
            partial.replace(path)
        except OSError as error:
            self.problem = f"features are not kept: {self.folder} cannot be written ({error.strerror or error})"
            with contextlib.suppress(OSError):
                partial.unlink()
            return
        self._count(half.nbytes)

    def has(self, folder: str, name: str) -> bool:
        """Whether a window is kept, without reading it."""
        return (folder, name) in self._near or self._path(folder, name).exists()

    def _path(self, folder: str, name: str) -> Path:
        return self.folder / folder / f"{name}.npy"

    def _remember(self, key: tuple[str, str], window: Half) -> None:
        with self._lock:
            old = self._near.pop(key, None)
            self._near_bytes += window.nbytes - (0 if old is None else old.nbytes)
            self._near[key] = window
            while self._near_bytes > self.memory and len(self._near) > 1:
                _, dropped = self._near.popitem(last=False)
                self._near_bytes -= dropped.nbytes

    def _count(self, added: int) -> None:
        with self._lock:
            known = self._bytes
            self._bytes = sum(size for _, _, size in self._files()) if known is None else known + added
            if self._bytes > self.limit:
                self._shrink()

    def _shrink(self) -> None:
        """Remove the windows that were not asked for longest, down to nine tenths of the limit."""
        left = 0
        files = sorted(self._files(), reverse=True)
        for _, path, size in files:
            if left + size <= self.limit * 9 // 10:
                left += size
            else:
                with contextlib.suppress(OSError):
                    Path(path).unlink()
        self._bytes = left

    def _files(self) -> list[tuple[int, str, int]]:
        """When each file was last asked for, its path and its size; whoever's version wrote it."""
        found = []
        for path in self.folder.rglob("*.npy"):
            with contextlib.suppress(OSError):
                about = path.stat()
                found.append((about.st_mtime_ns, str(path), about.st_size))
        return found
