"""The sizes of grains as a plot: how much of the volume, or how many grains, each size has, and what is smaller together."""

import numpy as np
import pyqtgraph as pg
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QWidget

from lithoscope.measure.grains import GrainTable

KINDS = {"volume": "% of the volume", "grains": "% of the grains"}


class SizePlot(pg.PlotWidget):
    """Bars a bin of the diameter, and the sum of all smaller ones as a line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(170)
        self.setAccessibleName("Sizes of the grains")
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.getAxis("left").setWidth(40)
        self.getAxis("bottom").enableAutoSIPrefix(False)
        self._text, self._accent = QColor("#f0f1f2"), QColor("#3b7dd8")
        self._table: GrainTable | None = None
        self._kind = "volume"

    def set_colours(self, background: str, text: str, accent: str) -> None:
        """Take up the theme's colours."""
        self._text, self._accent = QColor(text), QColor(accent)
        self.setBackground(background)
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(self._text)
            axis.setTextPen(self._text)
        self._draw()

    def show_table(self, table: GrainTable | None, kind: str = "volume") -> None:
        """Plot these grains, by one of `KINDS`."""
        self._table, self._kind = table, kind
        self._draw()

    def _draw(self) -> None:
        plot = self.getPlotItem()
        plot.clear()
        if self._table is None or not len(self._table):
            return
        bins = self._table.distribution()
        edges = np.log10([bins[0]["from"], *(b["to"] for b in bins)])
        parts = np.array([b["volume_fraction"] if self._kind == "volume" else b["grains"] / len(self._table) for b in bins]) * 100
        fill = QColor(self._accent)
        fill.setAlpha(200)
        plot.addItem(pg.BarGraphItem(x0=edges[:-1], x1=edges[1:], height=parts, brush=fill, pen=pg.mkPen(self._accent)))
        top = max(float(parts.max()), 1e-9)
        below = np.concatenate([[0.0], np.cumsum(parts)]) * top / 100
        plot.plot(edges, below, pen=pg.mkPen(self._text, width=2))
        axis = self.getAxis("bottom")
        axis.setTicks([_ticks(10 ** edges[0], 10 ** edges[-1])])
        self.setLabel("bottom", f"equivalent diameter ({self._table.unit})", color=self._text.name())
        self.setLabel("left", "%", color=self._text.name())
        plot.setXRange(float(edges[0]), float(edges[-1]), padding=0.02)
        plot.setYRange(0, top, padding=0.05)


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round diameters between two, at most about six, at their logarithms."""
    steps: tuple[float, ...] = (1, 2, 5) if high / low < 300 else (1,)
    if high / low < 8:
        steps = (1, 1.5, 2, 3, 4, 5, 6, 8)
    found = []
    for power in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1):
        found += [(float(np.log10(s * 10.0**power)), f"{s * 10.0**power:g}") for s in steps if low <= s * 10.0**power <= high]
    return found
