"""A plot of what was measured: fractions along an axis, how they settle as the sampled volume grows, or how thick phases are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QWidget

from lithoscope.classes import ClassTable

KINDS = {"z": "along z", "y": "along y", "x": "along x", "representative": "by size of the sample", "thickness": "by thickness"}
"""What can be plotted, and what it is called."""


class PhasePlot(pg.PlotWidget):
    """Lines in the colours of the classes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(150)
        self.setMaximumHeight(220)
        self.setAccessibleName("Plot of the phases")
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.getAxis("left").setWidth(40)
        self.getAxis("bottom").enableAutoSIPrefix(False)
        self._rows: list[tuple[str, float, float]] = []
        self._text = QColor("#f0f1f2")

    def set_colours(self, background: str, text: str) -> None:
        """Take up the theme's colours."""
        self._text = QColor(text)
        self.setBackground(background)
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(self._text)
            axis.setTextPen(self._text)

    def show_measured(self, measured: Mapping[str, Any], classes: ClassTable, kind: str) -> None:
        """Plot one of `KINDS` of the `measure` command's answer; nothing of an empty one."""
        plot = self.getPlotItem()
        plot.clear()
        self._rows = []
        if not measured:
            return
        unit = measured.get("length_unit")
        for c in classes:
            x, y = self._line(measured, str(c.id), kind)
            if x.size:
                plot.plot(x, y, pen=pg.mkPen(c.colour, width=2), connect="finite")
                self._rows += [(c.name, float(a), float(b)) for a, b in zip(x, y, strict=True)]
        along = {"representative": f"edge of the sample ({unit or 'voxels'})", "thickness": f"local thickness ({unit or 'voxels'})"}
        self.setLabel("bottom", along.get(kind, f"{kind} (voxels)"), color=self._text.name())
        self.setLabel("left", "%", color=self._text.name())
        plot.autoRange()

    @staticmethod
    def _line(measured: Mapping[str, Any], id: str, kind: str) -> tuple[Any, Any]:
        if kind == "representative":
            steps = measured["representative"].get(id) or []
            return np.array([s.get("length", s["edge"]) for s in steps], float), np.array([100 * s["median"] for s in steps], float)
        if kind == "thickness":
            of = measured.get("thickness", {"phases": {}})["phases"].get(id, {"distribution": {"at": [], "fraction": []}})["distribution"]
            return np.array(of["at"], float), np.array([100 * v for v in of["fraction"]], float)
        values = measured["profiles"][kind].get(id, [])
        return np.arange(len(values), dtype=float), np.array([np.nan if v is None else 100 * v for v in values])

    def as_text(self) -> str:
        """What is plotted as tab-separated text: class, place, per cent."""
        return "\n".join(["class\tat\tper cent", *(f"{name}\t{at:g}\t{value:.4f}" for name, at, value in self._rows)])
