"""A small plot of curves by step that cannot be dragged about: what the plots of trainings have in common."""

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QWidget

from lithoscope._napari.look import Colours


class StepPlot(pg.PlotWidget):
    """Steps to the right, values upwards from 0, a legend above the curves."""

    def __init__(self, name: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(130)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.getPlotItem().getViewBox().setDefaultPadding(0.02)
        self.getAxis("left").setWidth(34)
        self.getAxis("bottom").enableAutoSIPrefix(False)
        self._legend = self.addLegend(offset=(-6, 4), labelTextSize="8pt", verSpacing=-6, colCount=3)

    def set_colours(self, colours: Colours) -> None:
        """Follow the window's theme."""
        words = QColor(colours.text)
        self.setBackground(colours.background)
        for axis in ("left", "bottom"):
            self.getAxis(axis).setPen(pg.mkPen(words, width=1))
            self.getAxis(axis).setTextPen(words)
        self._legend.setLabelTextColor(words)

    def count_in_wholes(self, most: int | None) -> None:
        """Mark 0, 1 … `most` below, where the steps are few and nothing lies between them; None: whatever fits."""
        self.getAxis("bottom").setTicks(None if most is None else [[(i, str(i)) for i in range(most + 1)]])

    def show_from_zero(self, values: list[float]) -> None:
        """Leave room for these, for 1, and for the legend above."""
        self.setYRange(0, 1.35 * max([1.0, *values]))
