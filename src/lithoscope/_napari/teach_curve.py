"""How a teaching goes: the loss, and how well what is held out finds its like, beside the untaught network."""

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QWidget

from lithoscope._napari.look import Colours
from lithoscope._napari.step_plot import StepPlot


class TeachCurve(StepPlot):
    """Loss (thin), held-out score (with points), that of the untaught network (dashed) and of left-out classes (squares), by step."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("How the teaching goes", "By step: the loss, and how well what is held out finds its like", parent)
        self.loss = self.plot([], [], name="loss")
        self.held = self.plot([], [], name="held out", symbol="o", symbolSize=4)
        self.whole = self.plot([], [], name="classes", symbol="s", symbolSize=4)
        self.before = self.plot([], [], name="untaught")

    def set_colours(self, colours: Colours) -> None:
        """Follow the window's theme."""
        super().set_colours(colours)
        words, accent = QColor(colours.text), QColor(colours.accent)
        faint = QColor(words)
        faint.setAlpha(120)
        self.loss.setPen(pg.mkPen(faint, width=1))
        self.held.setPen(pg.mkPen(accent, width=1.5))
        self.held.setSymbolPen(pg.mkPen(accent))
        self.held.setSymbolBrush(pg.mkBrush(accent))
        self.whole.setPen(pg.mkPen(words, width=1, style=Qt.PenStyle.DotLine))
        self.whole.setSymbolPen(pg.mkPen(words))
        self.whole.setSymbolBrush(pg.mkBrush(words))
        self.before.setPen(pg.mkPen(words, width=1, style=Qt.PenStyle.DashLine))

    def show_curves(self, curves: dict[str, list[float]]) -> None:
        """Draw these: `step` and `loss`, `judged_at`, `held_out` and `left_out_classes`, whose first are the untaught network's."""
        steps, loss, held = curves.get("step", []), curves.get("loss", []), curves.get("held_out", [])
        self.loss.setData(steps, loss)
        self.held.setData(curves.get("judged_at", []), held)
        whole = curves.get("left_out_classes", [])
        self.whole.setData(curves.get("judged_at", []) if whole else [], whole)
        self.before.setData([0, max(steps, default=1)], held[:1] * 2) if held else self.before.setData([], [])
        self.show_from_zero(loss)
