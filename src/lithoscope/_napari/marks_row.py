"""Marking found places as alike or unlike: what a network can then be taught by. Files are read and written in a thread."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QWidget

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.look import button, column, row, text
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope._napari.hit_list import HitList
    from lithoscope._napari.session import Session
    from lithoscope._napari.similar_finder import Answer, Finder
    from lithoscope.retrieval.memory import Memory
    from lithoscope.similarity.marks import Marks, Step

LATE_MS = 300
"""Marking takes some milliseconds; what takes longer is said."""


class MarksRow(QWidget):
    """Two buttons for the chosen places, one that takes the last marks back, and how many there are."""

    changed = Signal()

    def __init__(self, session: "Session", finder: "Finder", hits: "HitList", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._finder, self._hits = session, finder, hits
        self._answer: Answer | None = None
        self._steps: list[Step] = []
        self._words = ""
        self.alike_button = button("Alike", "Mark the chosen places as like the place that was asked about, to teach by")
        self.unlike_button = button("Unlike", "Mark the chosen places as not like the place that was asked about, to teach by")
        self.back_button = button("Take back", "Take the last marks back")
        self._line = text(muted=True)
        self._line.setAccessibleName("What is marked")
        self.setLayout(column(row(self.alike_button, self.unlike_button, self.back_button, 1, spacing=4), self._line, spacing=2))
        self._work = Background(self)
        self._work.failed.connect(self._on_failed)
        self._work.done.connect(self._refresh)
        self._closing = threading.Event()
        session.closing.connect(lambda *_: self._closing.set())
        session.closing.connect(self._work.close)
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.setInterval(LATE_MS)
        self._late.timeout.connect(self._on_late)
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

    def mark(self, *, alike: bool) -> None:
        """Mark the chosen places; `changed` follows."""
        memory, answer = self._finder.memory, self._answer
        if memory is None or answer is None:
            return
        from lithoscope.retrieval.adding import patch_id

        asked = nearest_patch(memory, answer.own, answer.question.box)
        chosen = [patch_id(hit.scan, hit.scale, hit.box) for hit in self._hits.chosen()]
        anchor = [asked] if asked else []
        self._change(memory, lambda marks: marks.marked(anchor, chosen, alike=alike), self._steps.append)

    def take_back(self) -> None:
        """Take the last marks back; `changed` follows."""
        memory = self._finder.memory
        if memory is None or not self._steps:
            return
        last = self._steps[-1]
        self._change(memory, lambda marks: marks.taken_back(last), lambda _: self._steps.remove(last))

    def _change(self, memory: "Memory", by: "Callable[[Marks], Marks]", then: "Callable[[Step], object]") -> None:
        """Change the marks, waiting for another window that does, and tell `then` what was changed."""

        def work() -> "tuple[Step, str]":
            from lithoscope.similarity.marks import Marks, change, place

            step = change(place(memory.library), by, wanted=lambda: not self._closing.is_set())
            return step, _told(Marks.of(memory.library))

        def on_changed(done: "tuple[Step, str]") -> None:
            if memory is self._finder.memory:  # else another library was taken up meanwhile
                self._words = done[1]
                then(done[0])
            self.changed.emit()

        self._late.start()
        self._work.start(work, on_changed)
        self._refresh()

    def _on_loaded(self, _words: str = "") -> None:
        self._steps.clear()
        self._words = ""
        memory = self._finder.memory
        if memory is not None:
            self._work.start(lambda: self._read(memory), self._on_read)
        self._refresh()

    @staticmethod
    def _read(memory: "Memory") -> "tuple[Memory, str]":
        from lithoscope.similarity.marks import Marks

        return memory, _told(Marks.of(memory.library))

    def _on_read(self, found: "tuple[Memory, str]") -> None:
        if found[0] is self._finder.memory:
            self._words = found[1]

    def _on_late(self) -> None:
        self._line.setText("marking … (another window may be marking places in this library, too)")
        self._line.show()

    def _on_failed(self, error: BaseException) -> None:
        self._session.said.emit(sentence(error), True)
        self._refresh()

    def _refresh(self, _done: object = None) -> None:
        free = not self._work.busy
        chosen = free and bool(self._hits.chosen()) and self._answer is not None
        for part in (self.alike_button, self.unlike_button):
            part.setEnabled(chosen)
        self.back_button.setEnabled(free and bool(self._steps))
        if free:
            self._late.stop()
            self._line.setText(self._words)
            self._line.setVisible(bool(self._words))


def _told(marks: "Marks") -> str:
    return f"to teach by: {marks.words}" if marks.pairs else ""


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
