"""One painted array of any size of volume: every change is journalled, on the disk within a second, and can be undone."""

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lithoscope.errors import LockedError, StorageError
from lithoscope.labels.changes import Change, Labels, Mask
from lithoscope.labels.chunks import MEMORY, SparseChunks, chunk_box
from lithoscope.labels.editable import EditableArray, as_labels
from lithoscope.labels.history import History, Stroke
from lithoscope.labels.journal import Entry, Journal, Kind
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.lock import WriterLock

FLUSH_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_BATCH = 16
_PIECE = 256
_COMPACT_ABOVE = 128 << 20
_COMPACT_TIMES = 2


class LabelStore(EditableArray):
    """Labels (z, y, x) in `folder`: a sparse Zarr array with its journal and its lock.

    One store at a time writes to a folder. Another is read-only: `readonly` is set, `holder` says why in words, and writing
    raises `LockedError`. A reader sees the array as it was on disk when it was opened.
    """

    def __init__(self, folder: Path, shape: Triple, *, what: str = "these labels", readonly: bool = False, memory: int = MEMORY) -> None:
        self.folder, self.shape, self.what = Path(folder), (int(shape[0]), int(shape[1]), int(shape[2])), what
        self.holder: str | None = None
        """Who writes to it, or why nobody can, if it was opened read-only against the caller's wish."""
        self.problem: str | None = None
        """Why the last write to the disk failed; None when all is well. Nothing is lost: it is tried again every second."""
        self._lock = threading.RLock()
        self._flushing = threading.Lock()
        self._claim: WriterLock | None = None
        self._pending: list[bytes] = []
        self._depth = 0
        self._open = True
        if not readonly:
            self._claim = self._claimed()
        self.readonly = self._claim is None
        try:
            self._journal = Journal(self.folder / "journal", self.shape, readonly=self.readonly)
            self._chunks = SparseChunks(self.folder, self.shape, memory=memory)
            self._history = History()
            self._replay()
            if not self.readonly:
                self._chunks.create({"kind": "painted labels"})
        except BaseException:
            if self._claim is not None:
                self._claim.release()
            raise
        self._stroke = self._history.last + 1
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if not self.readonly:
            self._thread = threading.Thread(target=self._write_behind, name=f"labels of {self.folder.name}", daemon=True)
            self._thread.start()
            atexit.register(self._at_exit)

    def _claimed(self) -> WriterLock | None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return WriterLock(self.folder, self.what)
        except LockedError as error:
            self.holder = str(error)
        except OSError as error:
            self.holder = f"{self.what} can only be read: {self.folder}: {error.strerror or error}"
        return None

    def _replay(self) -> None:
        """Take up the history, and bring the array to where the journal ends."""
        tail: list[tuple[Change, bool]] = []
        for kind, stroke, change in self._journal.read():
            if kind == Kind.CHANGE and change is not None:
                self._history.add(stroke, change)
                tail.append((change, True))
            elif kind == Kind.UNDO and (undone := self._history.undo()):
                tail.extend((c, False) for c in reversed(undone.changes))
            elif kind == Kind.REDO and (redone := self._history.redo()):
                tail.extend((c, True) for c in redone.changes)
            elif kind == Kind.MARK:
                tail.clear()
                self._history.last = max(self._history.last, stroke)
        for change, forward in tail:
            self._apply(change, forward=forward)

    def _apply(self, change: Change, *, forward: bool) -> None:
        mask, old, new = change.values()
        region = self._chunks.read(change.box)
        region[mask] = new if forward else old
        self._chunks.put(change.box, region, mask)

    # reading and painting

    def read(self, box: Box) -> Labels:
        with self._lock:
            return self._chunks.read(box)

    def touched(self, box: Box | None = None) -> list[Box]:
        """Boxes of at most 64³ voxels that hold every painted voxel (of a box); cheap, whatever the volume."""
        with self._lock:
            return [chunk_box(key, self.shape) for key in self._chunks.keys(box or Box.whole(self.shape))]

    def write(self, box: Box, mask: Mask | None, value: npt.ArrayLike) -> Box | None:
        values = as_labels(value)
        with self._lock:
            self._check_writable()
            if box.size <= _PIECE**3:
                return self._write_piece(box, mask, values)
            changed: list[Box] = []
            with self.stroke():
                for piece in _pieces(box):
                    inner = piece.within(box).slices
                    part = self._write_piece(piece, None if mask is None else mask[inner], values[inner] if values.ndim else values)
                    changed.extend([part] if part else [])
            return _around(changed)

    def _write_piece(self, box: Box, mask: Mask | None, values: Labels) -> Box | None:
        region = self._chunks.read(box)
        changed = region != values
        if mask is not None:
            changed &= mask
        if not changed.any():
            return None
        tight = _tight(box, changed)
        if tight != box:
            inner = tight.within(box).slices
            region, changed = region[inner], changed[inner]
            values = values[inner] if values.ndim else values
        new = values[changed] if values.ndim else np.full(1, values)
        change = Change.of(tight, changed, region[changed], new)
        region[changed] = new
        self._chunks.put(tight, region, changed)
        self._history.add(self._stroke, change)
        self._record(Entry(Kind.CHANGE, self._stroke, change))
        if not self._depth:
            self._stroke += 1
        return tight

    def begin(self) -> None:
        """Start a stroke: what follows, up to `commit`, is undone as one."""
        with self._lock:
            self._depth += 1

    def commit(self) -> None:
        """End the stroke."""
        with self._lock:
            self._depth = max(0, self._depth - 1)
            if not self._depth and self._history.last >= self._stroke:
                self._stroke = self._history.last + 1

    @contextmanager
    def stroke(self) -> Iterator[None]:
        self.begin()
        try:
            yield
        finally:
            self.commit()

    def undo(self) -> Box | None:
        """Take the newest stroke back; the box that changed, or None when there is nothing to undo."""
        return self._step(Kind.UNDO)

    def redo(self) -> Box | None:
        """Do the stroke that was undone last again; the box that changed, or None when there is none."""
        return self._step(Kind.REDO)

    @property
    def can_undo(self) -> bool:
        return not self.readonly and bool(self._history.done)

    @property
    def can_redo(self) -> bool:
        return not self.readonly and bool(self._history.undone)

    @property
    def newest(self) -> int:
        """The number of the stroke that `undo` would take back; 0 when there is none."""
        return self._history.done[-1].id if self._history.done else 0

    @property
    def newest_bytes(self) -> int:
        """How much that stroke takes; `undo` knows none of more than `MAX_STROKE`."""
        return self._history.done[-1].bytes if self._history.done else 0

    def stands(self, stroke: int) -> bool:
        """Whether a stroke of this number was not undone."""
        with self._lock:
            return all(undone.id != stroke for undone in self._history.undone)

    def _step(self, kind: Kind) -> Box | None:
        with self._lock:
            self._check_writable()
            while self._depth:
                self.commit()
            stroke: Stroke | None = self._history.undo() if kind == Kind.UNDO else self._history.redo()
            if stroke is None:
                return None
            forward = kind == Kind.REDO
            for change in stroke.changes if forward else reversed(stroke.changes):
                self._apply(change, forward=forward)
            self._record(Entry(kind, stroke.id))
            return _around([c.box for c in stroke.changes])

    def _check_writable(self) -> None:
        if self.readonly:
            raise LockedError(self.holder or f"{self.what} were opened for reading only; open them again to paint")
        if not self._open:
            raise LockedError(f"{self.what} have been closed; open the scan again to paint")

    def _record(self, entry: Entry) -> None:
        self._pending.append(entry.to_bytes())
        self._wake.set()

    # keeping

    def flush(self) -> None:
        """Return when everything is on the disk; raises `StorageError` when it cannot be, and keeps it in memory."""
        if self.readonly:
            return
        with self._flushing:
            self._write_all()

    def close(self) -> None:
        """Flush, and let others write. After a `StorageError` it is still open, so that nothing is lost."""
        if not self._open:
            return
        if not self.readonly:
            self.flush()
            self._stop.set()
            self._wake.set()
            if self._thread is not None:
                self._thread.join()
            self.flush()
            atexit.unregister(self._at_exit)
        self._open = False
        if self._claim is not None:
            self._claim.release()

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_exit(self) -> None:
        try:
            self.close()
        except StorageError:
            return

    def _write_behind(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._stop.wait(FLUSH_SECONDS):
                return
            try:
                self.flush()
            except StorageError:
                self._stop.wait(_RETRY_SECONDS)
                self._wake.set()

    def _write_all(self) -> None:
        """Journal first, then chunks, so that no chunk on disk is ahead of the journal; then a mark that says so."""
        try:
            if not (self.folder / "zarr.json").exists():
                raise FileNotFoundError(2, "it is gone")
            marked = self._write_journal()
            with self._lock:
                keys = list(self._chunks.dirty)
            for at in range(0, len(keys), _BATCH):
                with self._lock:
                    taken = self._chunks.take(keys[at : at + _BATCH])
                marked |= self._write_journal()
                for key, change, chunk in taken:
                    self._chunks.save(key, chunk)
                    with self._lock:
                        self._chunks.saved(key, change, empty=not chunk.any())
            self._finish_pass(mark=marked or bool(keys))
        except OSError as error:
            why = "it is gone; put it back" if isinstance(error, FileNotFoundError) else f"{error.strerror or error}; free space"
            self.problem = f"{self.what} cannot be written to {self.folder}: {why}, then go on; until then they are safe in memory"
            raise StorageError(self.problem) from error
        self.problem = None

    def _write_journal(self) -> bool:
        with self._lock:
            pending, self._pending = self._pending, []
        if not pending:
            return False
        try:
            self._journal.append(b"".join(pending))
        except OSError:
            with self._lock:
                self._pending = pending + self._pending
            raise
        return True

    def _finish_pass(self, *, mark: bool) -> None:
        with self._lock:
            clean = not self._pending and not self._chunks.dirty
            long = self._journal.length > max(_COMPACT_ABOVE, _COMPACT_TIMES * self._history.bytes)
            entries = list(self._history.entries()) if clean and long else []
            last = self._history.last
        if entries:
            self._journal.rewrite(entries)
        elif clean and mark:
            self._journal.append(Entry(Kind.MARK, last).to_bytes())


def _tight(box: Box, changed: Mask) -> Box:
    """The part of the box around the voxels that changed."""
    start, stop = [], []
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        where = np.flatnonzero(changed.any(axis=others))
        start.append(box.start[axis] + int(where[0]))
        stop.append(box.start[axis] + int(where[-1]) + 1)
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _around(boxes: list[Box]) -> Box | None:
    if not boxes:
        return None
    low = np.min([b.start for b in boxes], axis=0).tolist()
    high = np.max([b.stop for b in boxes], axis=0).tolist()
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _pieces(box: Box) -> Iterator[Box]:
    """The box in parts of at most 256³ voxels on the array's grid."""
    for z, y, x in product(*(range(a - a % _PIECE, b, _PIECE) for a, b in zip(box.start, box.stop, strict=True))):
        yield Box((z, y, x), (z + _PIECE, y + _PIECE, x + _PIECE)).intersect(box)
