"""The scatter of a map of patches: click a point to go to its place, draw a lasso to mark the places of many."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import QWidget

MARK = "#ffd400"


class MapPlot(pg.PlotWidget):
    """Points (n, 2) with a colour each. Keys: N goes to the next of the chosen points, Escape chooses none."""

    picked = Signal(int)
    """A point was clicked."""
    chosen = Signal(object)
    """The points within the lasso: their numbers."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._box = _LassoBox()
        super().__init__(parent, viewBox=self._box)
        self._at: npt.NDArray[np.float32] = np.zeros((0, 2), np.float32)
        self._inside: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._step = -1
        self.setMinimumHeight(240)
        self.setMaximumHeight(360)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Map of patches")
        self.setAccessibleDescription("N goes to the next of the chosen patches, Escape chooses none.")
        self.setToolTip("Click a point to go to its place; drag a lasso around points to mark their places; wheel to zoom")
        self.setMenuEnabled(False)
        self.hideButtons()
        self.hideAxis("left")
        self.hideAxis("bottom")
        self.setAspectLocked(True)
        self._points = pg.ScatterPlotItem(pxMode=True, size=5, pen=None)
        self._ring = pg.ScatterPlotItem(pxMode=True, size=15, brush=None, pen=pg.mkPen("#ff3b30", width=2.5))
        self._chosen = pg.ScatterPlotItem(pxMode=True, size=7, brush=None, pen=pg.mkPen(MARK, width=1))
        self._line = pg.PlotCurveItem(pen=pg.mkPen(MARK, width=2))
        for item in (self._points, self._chosen, self._ring, self._line):
            self.addItem(item)
        self._points.sigClicked.connect(self._on_click)
        self._box.drawn.connect(self._on_drawn)
        self._box.closed.connect(self._on_closed)
        self.set_colours("#23242b", "#f0f1f2")

    def set_colours(self, background: str, words: str) -> None:
        """Follow the window's theme."""
        self.setBackground(background)
        self._line.setPen(pg.mkPen(QColor(words), width=1.5))

    def show_points(self, at: npt.NDArray[np.float32], colours: Sequence[str]) -> None:
        """Draw these points; nothing is chosen."""
        self._at = at
        brushes = {c: pg.mkBrush(c) for c in set(colours)}
        size = float(np.clip(260 / np.sqrt(max(len(at), 1)), 3.5, 9))
        self._points.setData(pos=at, brush=[brushes[c] for c in colours], size=size)
        self.choose(np.zeros(0, np.int64))
        self.mark(None)
        self._box.autoRange(padding=0.04)

    def recolour(self, colours: Sequence[str]) -> None:
        """Give the points other colours."""
        brushes = {c: pg.mkBrush(c) for c in set(colours)}
        self._points.setBrush([brushes[c] for c in colours])

    def mark(self, number: int | None) -> None:
        """Put a ring around one point."""
        self._ring.setData(pos=self._at[[number]] if number is not None and number < len(self._at) else np.zeros((0, 2)))

    def choose(self, numbers: npt.NDArray[np.int64]) -> None:
        """Show these points as chosen."""
        self._inside, self._step = numbers, -1
        self._chosen.setData(pos=self._at[numbers])

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Step through the chosen points, or choose none."""
        assert event is not None
        if event.key() == Qt.Key.Key_Escape:
            self.choose(np.zeros(0, np.int64))
            self.chosen.emit(self._inside)
        elif event.key() == Qt.Key.Key_N and len(self._at):
            among = self._inside if len(self._inside) else np.arange(len(self._at))
            self._step = (self._step + 1) % len(among)
            self.mark(int(among[self._step]))
            self.picked.emit(int(among[self._step]))
        else:
            super().keyPressEvent(event)

    def _on_click(self, item: Any, points: Any, *_: Any) -> None:
        if len(points):
            number = int(points[0].index())
            self.mark(number)
            self.picked.emit(number)

    def _on_drawn(self, corners: list[tuple[float, float]]) -> None:
        x, y = zip(*corners, strict=True)
        self._line.setData(np.array(x), np.array(y))

    def _on_closed(self, corners: list[tuple[float, float]]) -> None:
        self._line.setData([], [])
        self.choose(np.flatnonzero(within(np.array(corners), self._at)))
        self.chosen.emit(self._inside)


class _LassoBox(pg.ViewBox):
    """Dragging with the left button draws a lasso; with the middle one, or Shift, it moves the view."""

    drawn = Signal(list)
    closed = Signal(list)

    def __init__(self) -> None:
        super().__init__()
        self._corners: list[tuple[float, float]] = []

    def mouseDragEvent(self, event: Any, axis: Any = None) -> None:  # noqa: N802 - pyqtgraph's name
        """Draw, or move."""
        if event.button() != Qt.MouseButton.LeftButton or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        if event.isStart():
            self._corners = []
        place: QPointF = self.mapSceneToView(event.scenePos())
        self._corners.append((place.x(), place.y()))
        if event.isFinish():
            self.closed.emit(self._corners)
        else:
            self.drawn.emit(self._corners)


def within(corners: npt.NDArray[np.float64], places: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which places (n, 2) lie within a polygon (m, 2): those from which a ray crosses its sides an odd number of times."""
    inside = np.zeros(len(places), np.bool_)
    if len(corners) < 3:
        return inside
    x, y = places[:, 0].astype(float), places[:, 1].astype(float)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
