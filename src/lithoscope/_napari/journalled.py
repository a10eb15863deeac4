"""A labels layer whose undo and redo are the journal's, so that they work across sessions and across our own writes.

napari keeps a history of its own for each layer and would replay values that are stale once anything else has written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from napari import layers
from napari.utils.events import Event

from lithoscope.labels.fence import Fence
from lithoscope.volume.box import Box


class Journal(Protocol):
    """An array that is painted in and remembers it: strokes, or corrections laid over a result."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> "np.dtype[Any]": ...

    @property
    def ndim(self) -> int: ...

    @property
    def problem(self) -> str | None:
        """Why the last write to the disk failed."""
        ...

    @property
    def holder(self) -> str | None:
        """Who writes to it, when it can only be read here."""
        ...

    fence: Fence | None
    """Where painting by index takes."""

    def read(self, box: Box) -> npt.NDArray[np.uint8]: ...

    def write(self, box: Box, mask: npt.NDArray[np.bool_] | None, value: npt.ArrayLike) -> Box | None: ...

    def touched(self, box: Box | None = None) -> list[Box]:
        """Boxes that hold every painted voxel."""
        ...

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def undo(self) -> Box | None: ...

    def redo(self) -> Box | None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class Labels(layers.Labels):
    """napari's labels layer over a `Journal`. It has the same name because napari finds writers by it.

    `events.stepped` tells which box an undo or redo changed. One of napari's strokes is many writes; they are undone as one.
    Its `paint` event ends a stroke, but comes before the last write when a stroke is one call: what ends then is that call.
    """

    def __init__(self, data: Journal, **keywords: Any) -> None:
        self._calls = 0
        self._open = self._ended = False
        super().__init__(data, **keywords)
        self._journal = data
        self.events.add(stepped=Event)
        self.events.paint.connect(self._on_paint)

    def undo(self) -> None:
        """Take back the last stroke, whoever painted it and whenever."""
        self._step(forward=False)

    def redo(self) -> None:
        """Paint again what was taken back."""
        self._step(forward=True)

    def paint(self, *arguments: Any, **keywords: Any) -> None:
        with self._call():
            super().paint(*arguments, **keywords)
        self._show_fence()

    def paint_polygon(self, *arguments: Any, **keywords: Any) -> None:
        with self._call():
            super().paint_polygon(*arguments, **keywords)
        self._show_fence()

    def fill(self, *arguments: Any, **keywords: Any) -> None:
        with self._call():
            super().fill(*arguments, **keywords)
        self._show_fence()

    def data_setitem(self, indices: Any, value: Any, refresh: bool = True) -> None:
        fence = self._journal.fence
        if fence is not None and np.ndim(value) == 0:
            places = tuple(np.asarray(i) for i in indices)
            allowed = fence.at(self._journal, places)
            indices = tuple(i[allowed] for i in places)
        with self._call():
            super().data_setitem(indices, value, refresh)

    def _show_fence(self) -> None:
        """napari shows what it wished to paint; show what was painted."""
        if self._journal.fence is not None:
            self.refresh()

    @contextmanager
    def block_history(self) -> Iterator[None]:
        with self._call(), super().block_history():
            yield

    @contextmanager
    def _call(self) -> Iterator[None]:
        if not self._open and self.editable:
            self._open = True
            self._journal.begin()
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if self._ended and not self._calls:
                self._end_stroke()

    def _on_paint(self, event: Event) -> None:
        self._ended = True
        if not self._calls:
            self._end_stroke()

    def _end_stroke(self) -> None:
        self._ended = self._open = False
        self._journal.commit()

    def _step(self, *, forward: bool) -> None:
        if not self.editable:
            return
        self._open = False
        box = self._journal.redo() if forward else self._journal.undo()
        self.refresh()
        self.events.stepped(box=box, forward=forward)
