"""A labels layer whose undo and redo are the journal's, so that they work across sessions and across our own writes.

napari keeps a history of its own for each layer and would replay values that are stale once anything else has written.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from napari import layers


class Journal(Protocol):
    """An array that is painted in and remembers it: strokes, or corrections laid over a result."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def ndim(self) -> int: ...

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def undo(self) -> Any: ...

    def redo(self) -> Any: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class Labels(layers.Labels):  # type: ignore[misc]
    """napari's labels layer over a `Journal`. It has the same name because napari finds writers by it."""

    def undo(self) -> None:
        """Take back the last stroke, whoever painted it and whenever."""
        if self.editable:
            self.data.undo()
            self.refresh()

    def redo(self) -> None:
        """Paint again what was taken back."""
        if self.editable:
            self.data.redo()
            self.refresh()

