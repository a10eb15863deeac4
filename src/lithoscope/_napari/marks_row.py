"""Marking found places as alike or unlike: what a network can then be taught by."""

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from lithoscope._napari.look import button, column, row, text
from lithoscope.errors import LithoscopeError
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope._napari.hit_list import HitList
    from lithoscope._napari.session import Session
    from lithoscope._napari.similar_finder import Answer, Finder
    from lithoscope.retrieval.memory import Memory
    from lithoscope.similarity.marks import Marks, Step


class MarksRow(QWidget):
    """Two buttons for the chosen places, one that takes the last marks back, and how many there are."""

    changed = Signal()

    def __init__(self, session: "Session", finder: "Finder", hits: "HitList", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._finder, self._hits = session, finder, hits
        self._answer: Answer | None = None
        self._steps: list[Step] = []
        self.alike_button = button("Alike", "Mark the chosen places as like the place that was asked about, to teach by")
        self.unlike_button = button("Unlike", "Mark the chosen places as not like the place that was asked about, to teach by")
        self.back_button = button("Take back", "Take the last marks back")
        self._line = text(muted=True)
        self._line.setAccessibleName("What is marked")
        self.setLayout(column(row(self.alike_button, self.unlike_button, self.back_button, 1, spacing=4), self._line, spacing=2))
        self.alike_button.clicked.connect(lambda: self.mark(alike=True))
        self.unlike_button.clicked.connect(lambda: self.mark(alike=False))
        self.back_button.clicked.connect(self.take_back)
        hits.itemSelectionChanged.connect(self._refresh)
        finder.loaded.connect(self._on_loaded)
        self._refresh()

    def show_answer(self, answer: "Answer") -> None:
        """These are the places that can be marked, and what was asked about."""
        self._answer = answer
        self._refresh()

    def marks(self) -> "Marks | None":
        """The marks of the library that is loaded."""
        from lithoscope.similarity.marks import Marks

        memory = self._finder.memory
        return None if memory is None else Marks.of(memory.library)

    def mark(self, *, alike: bool) -> None:
        """Mark the chosen places."""
        memory, answer = self._finder.memory, self._answer
        if memory is None or answer is None:
            return
        from lithoscope.retrieval.adding import patch_id
        from lithoscope.similarity.marks import change, place

        asked = nearest_patch(memory, answer.own, answer.question.box)
        chosen = [patch_id(hit.scan, hit.scale, hit.box) for hit in self._hits.chosen()]
        with self._session.telling():
            anchor = [asked] if asked else []
            self._steps.append(change(place(memory.library), lambda marks: marks.marked(anchor, chosen, alike=alike)))
        self._refresh()
        self.changed.emit()

    def take_back(self) -> None:
        """Take the last marks back."""
        memory = self._finder.memory
        if memory is None or not self._steps:
            return
        from lithoscope.similarity.marks import change, place

        with self._session.telling():
            change(place(memory.library), lambda marks: marks.taken_back(self._steps[-1]))
            self._steps.pop()
        self._refresh()
        self.changed.emit()

    def _on_loaded(self, _words: str = "") -> None:
        self._steps.clear()
        self._refresh()

    def _refresh(self) -> None:
        chosen = bool(self._hits.chosen()) and self._answer is not None
        for part in (self.alike_button, self.unlike_button):
            part.setEnabled(chosen)
        self.back_button.setEnabled(bool(self._steps))
        try:
            marks = self.marks()
        except LithoscopeError as error:
            self._line.setText(str(error))
            return
        self._line.setText("" if marks is None or not marks.pairs else f"to teach by: {marks.words}")
        self._line.setVisible(bool(self._line.text()))


def nearest_patch(memory: "Memory", scan: str, box: Box) -> str | None:
    """The id of the patch that shares most with a box, relative to its size; None when the library has nothing of it."""
    from lithoscope.retrieval.adding import patch_id

    if scan not in memory.uuids:
        return None
    own = np.flatnonzero(memory.scan == memory.uuids.index(scan))
    boxes = memory.boxes[own].astype(np.int64)
    common = np.prod(np.maximum(np.minimum(boxes[:, 1], box.stop) - np.maximum(boxes[:, 0], box.start), 0), axis=1)
    if not common.any():
        return None
    whole = np.prod(boxes[:, 1] - boxes[:, 0], axis=1) + box.size - common
    row = int(own[(common / whole).argmax()])
    return patch_id(scan, float(memory.scale[row]), memory.box(row))
