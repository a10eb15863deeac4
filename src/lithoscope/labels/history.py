"""What can be undone and redone: strokes of changes, bounded in number and in memory."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from lithoscope.labels.changes import Change
from lithoscope.labels.journal import Entry, Kind

MAX_STROKES = 1000
MAX_BYTES = 64 << 20
MAX_STROKE = 256 << 20
"""The newest stroke is kept up to this size (bytes), whatever had to go for it."""


@dataclass(slots=True)
class Stroke:
    """The changes from a press of the mouse to its release, oldest first."""

    id: int
    changes: list[Change] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(len(c.packed) for c in self.changes)


class History:
    """The strokes that can be undone, and those that were and can be redone."""

    def __init__(self, max_strokes: int = MAX_STROKES, max_bytes: int = MAX_BYTES, max_stroke: int = MAX_STROKE) -> None:
        self.max_strokes, self.max_bytes, self.max_stroke = max_strokes, max_bytes, max_stroke
        self.done: deque[Stroke] = deque()
        self.undone: list[Stroke] = []
        self.last = 0
        """The highest stroke number that was ever given."""
        self._bytes = 0
        self._too_large = 0

    @property
    def bytes(self) -> int:
        """What all strokes take, those that were undone included."""
        return self._bytes

    def add(self, stroke: int, change: Change) -> None:
        """Take up a change of the newest stroke; what was undone can no longer be redone."""
        self._bytes -= sum(s.bytes for s in self.undone)
        self.undone.clear()
        if stroke == self._too_large:
            return
        if stroke > self.last or not self.done or self.done[-1].id != stroke:
            self.done.append(Stroke(stroke))
            self.last = max(self.last, stroke)
        self.done[-1].changes.append(change)
        self._bytes += len(change.packed)
        while len(self.done) > self.max_strokes or self._bytes > (self.max_bytes if len(self.done) > 1 else self.max_stroke):
            dropped = self.done.popleft()
            self._bytes -= dropped.bytes
            if dropped.id == stroke:  # half a stroke is not undone
                self._too_large = stroke

    def undo(self) -> Stroke | None:
        """The newest stroke, now undone."""
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self.undone[-1]

    def redo(self) -> Stroke | None:
        """The stroke undone last, now done again."""
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self.done[-1]

    def entries(self) -> Iterator[Entry]:
        """The shortest journal that gives this history, for an array that is on the disk already."""
        later = list(reversed(self.undone))
        for stroke in (*self.done, *later):
            for change in stroke.changes:
                yield Entry(Kind.CHANGE, stroke.id, change)
        for stroke in reversed(later):
            yield Entry(Kind.UNDO, stroke.id)
        yield Entry(Kind.MARK, self.last)
