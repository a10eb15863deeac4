"""The scan's histogram with the thresholds as lines, dragged by mouse or moved by keys."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import QWidget

from lithoscope.classes import ClassTable
from lithoscope.volume.histogram import Histogram

COLUMNS = 512
"""About how many columns are drawn: neighbouring bins are added together."""


class HistogramPlot(pg.PlotWidget):
    """Voxels by grey level on a logarithmic axis, coloured by class, with a movable line at each threshold.

    Keys: left and right move the chosen line by a grey level (with Shift by ten), up and down choose another.
    """

    moved = Signal(tuple)
    """The person moved a line: all thresholds, rising."""
    settled = Signal(tuple)
    """The line was let go."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._histogram: Histogram | None = None
        self._thresholds: tuple[float, ...] = ()
        self._classes = ClassTable()
        self._lines: list[pg.InfiniteLine] = []
        self._bars: list[pg.PlotDataItem] = []
        self._chosen = 0
        self._text, self._accent = QColor("#f0f1f2"), QColor("#ffffff")
        self.setMinimumHeight(120)
        self.setMaximumHeight(180)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Histogram with thresholds")
        self.setAccessibleDescription(
            "Left and right move the chosen threshold by a grey level, with Shift by ten; up and down choose another."
        )
        self.setToolTip("Drag a line, or click here and use the arrow keys: ← → move it (Shift: by ten), ↑ ↓ choose another")
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.getPlotItem().getViewBox().setDefaultPadding(0.01)
        left = self.getAxis("left")
        left.setLogMode(False, True)
        left.setWidth(34)
        self.getAxis("bottom").enableAutoSIPrefix(False)
        self.set_colours("#23242b", "#f0f1f2")

    @property
    def thresholds(self) -> tuple[float, ...]:
        return self._thresholds

    @property
    def dragging(self) -> bool:
        """Whether a line is being moved by the mouse."""
        return any(line.moving for line in self._lines)

    def with_one_more(self) -> tuple[float, ...]:
        """The thresholds and one between the two that leave the most voxels together."""
        h = self._histogram
        if h is None or not len(h.values):
            return self._thresholds
        bounds = [-np.inf, *self._thresholds, np.inf]
        inside = [(h.values > a) & (h.values <= b) for a, b in pairwise(bounds)]
        weights = [int(h.counts[m].sum()) if m.sum() > 1 else 0 for m in inside]
        largest = inside[int(np.argmax(weights))]
        if largest.sum() < 2:
            return self._thresholds
        values = h.values[largest]
        half = np.searchsorted(np.cumsum(h.counts[largest]), h.counts[largest].sum() / 2)
        return tuple(sorted({*self._thresholds, float(values[min(int(half), len(values) - 2)])}))

    def with_one_fewer(self) -> tuple[float, ...]:
        """The thresholds without the chosen one; the last is kept."""
        if len(self._thresholds) < 2:
            return self._thresholds
        return (*self._thresholds[: self._chosen], *self._thresholds[self._chosen + 1 :])

    def set_colours(self, background: str, text: str) -> None:
        """Follow the window's theme."""
        self._text = QColor(text)
        self.setBackground(background)
        for axis in ("left", "bottom"):
            self.getAxis(axis).setPen(pg.mkPen(self._text, width=1))
            self.getAxis(axis).setTextPen(self._text)
        self._style_lines()

    def show_histogram(self, histogram: Histogram | None) -> None:
        """Draw this histogram; thresholds are forgotten."""
        self._histogram = histogram
        self._thresholds = ()
        self._draw()

    def show_thresholds(self, thresholds: Sequence[float], classes: ClassTable) -> None:
        """Draw these lines and the classes between them, without saying that something moved."""
        new = tuple(sorted(float(t) for t in thresholds))
        if new == self._thresholds and classes == self._classes and len(new) == len(self._lines):
            return
        same = len(new) == len(self._lines) and classes == self._classes
        added = set(new) - set(self._thresholds)
        if len(new) == len(self._thresholds) + 1 and len(added) == 1:
            self._chosen = new.index(added.pop())  # the one that was just put there
        self._thresholds, self._classes = new, classes
        if same:
            self._place_lines()
            self._colour()
        else:
            self._draw()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Move or choose a line by the arrow keys."""
        assert event is not None
        key = event.key()
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_PageDown: -10, Qt.Key.Key_PageUp: 10}
        if not self._lines:
            super().keyPressEvent(event)
        elif key in steps:
            by = steps[Qt.Key(key)] * (10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
            self._move(self._chosen, self._thresholds[self._chosen] + by * self._step())
            self.settled.emit(self._thresholds)
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._chosen = (self._chosen + (1 if key == Qt.Key.Key_Up else -1)) % len(self._lines)
            self._style_lines()
        else:
            super().keyPressEvent(event)

    def _step(self) -> float:
        """What one press of a key moves: a grey level, or a bin of float data but visibly."""
        h = self._histogram
        if h is None or h.exact:
            return 1.0
        low, high = self._range()
        return max(h.bin_width, (high - low) / 500)

    def _offset(self) -> float:
        """A threshold is the last level of the lower class: of whole levels the line is drawn half a level above."""
        return 0.5 if self._histogram is not None and self._histogram.exact else 0.0

    def _range(self) -> tuple[float, float]:
        assert self._histogram is not None
        values = self._histogram.values
        return (float(values[0]), float(values[-1])) if len(values) else (0.0, 1.0)

    def _draw(self) -> None:
        self.getPlotItem().clear()
        self._lines, self._bars = [], []
        h = self._histogram
        if h is None or not len(h.counts):
            return
        low, high = self._range()
        for index, threshold in enumerate(self._thresholds):
            line = pg.InfiniteLine(threshold + self._offset(), angle=90, movable=True, bounds=(low, high))
            line.index = index
            line.setZValue(10)
            line.sigDragged.connect(self._on_drag)
            line.sigPositionChangeFinished.connect(self._on_let_go)
            self._lines.append(line)
            self.addItem(line)
        self._chosen = min(self._chosen, max(len(self._lines) - 1, 0))
        self._style_lines()
        self._colour()
        _, heights = columns(h)
        top = float(heights.max()) if len(heights) else 1.0
        self.setXRange(low - 0.5, high + 0.5)
        self.setYRange(-0.3, max(top, 0.5) * 1.03)

    def _colour(self) -> None:
        """Fill what lies between two lines with the colour of its class."""
        h = self._histogram
        assert h is not None
        for bar in self._bars:
            self.removeItem(bar)
        self._bars = []
        edges, heights = columns(h)
        centres = (edges[:-1] + edges[1:]) / 2
        bounds = [-np.inf, *(t + self._offset() for t in self._thresholds), np.inf]
        own = [QColor(c.colour) for c in self._classes]
        if len(own) > 1 and len(bounds) == 2 * len(own):  # two lines a boundary: what lies between is not decided by its grey value
            own = [colour for c in own for colour in (c, self._text)][:-1]
        colours = own[: len(bounds) - 1]
        colours += [self._text] * (len(bounds) - 1 - len(colours))
        for (a, b), colour in zip(pairwise(bounds), colours, strict=True):
            chosen = np.flatnonzero((centres > a) & (centres <= b))
            if not chosen.size:
                continue
            i, j = int(chosen[0]), int(chosen[-1]) + 1
            fill = QColor(colour)
            fill.setAlpha(215 if self._thresholds else 150)
            bar = pg.PlotDataItem(edges[i : j + 1], heights[i:j], stepMode="center", fillLevel=-0.3, brush=pg.mkBrush(fill), pen=None)
            self._bars.append(bar)
            self.addItem(bar)

    def _style_lines(self) -> None:
        for index, line in enumerate(self._lines):
            chosen = index == self._chosen and len(self._lines) > 1
            line.setPen(pg.mkPen(self._text, width=2.5 if chosen else 1.2))
            line.setHoverPen(pg.mkPen(self._text, width=3))

    def _place_lines(self) -> None:
        for line, threshold in zip(self._lines, self._thresholds, strict=True):
            blocker = QSignalBlocker(line)
            line.setValue(threshold + self._offset())
            blocker.unblock()

    def _move(self, index: int, threshold: float) -> None:
        """Move one line, between its neighbours and on whole levels where levels are counted."""
        low, high = self._range()
        step = self._step() if self._histogram is not None and self._histogram.exact else 0.0
        value = round(threshold) if step else threshold
        floor = self._thresholds[index - 1] + step if index else low
        ceiling = self._thresholds[index + 1] - step if index + 1 < len(self._thresholds) else high - step
        value = float(min(max(value, floor), max(ceiling, floor)))
        before = self._thresholds
        self._thresholds = (*before[:index], value, *before[index + 1 :])
        self._chosen = index
        self._place_lines()
        self._style_lines()
        if before != self._thresholds:
            self._colour()
            self.moved.emit(self._thresholds)

    def _on_drag(self, line: Any) -> None:
        self._move(line.index, float(line.value()) - self._offset())

    def _on_let_go(self, line: Any) -> None:
        self._place_lines()
        self.settled.emit(self._thresholds)


def columns(histogram: Histogram, count: int = COLUMNS) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Edges (n + 1) and heights (n) of the drawn columns: the decimal logarithm of the voxels in each, below 0 for none."""
    values, counts = histogram.values, histogram.counts
    present = np.flatnonzero(counts)
    if histogram.exact and 2 < len(present) < len(counts) / 2 and len(present) <= count:
        # Few levels far apart: each column reaches half way to its neighbours.
        levels, sums = values[present], counts[present].astype(np.float64)
        middles = (levels[:-1] + levels[1:]) / 2
        edges = np.concatenate([[2 * levels[0] - middles[0]], middles, [2 * levels[-1] - middles[-1]]])
    else:
        group = max(1, -(-len(counts) // count))
        starts = np.arange(0, len(counts), group)
        sums = np.add.reduceat(counts, starts).astype(np.float64)
        edges = np.append(values[starts], values[-1] + histogram.bin_width) - histogram.bin_width / 2
    return edges, np.log10(np.maximum(sums, 0.5))
