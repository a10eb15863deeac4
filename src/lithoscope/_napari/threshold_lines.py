"""The scan's histogram with the lines between the classes, and the buttons that add and take away one."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from lithoscope._napari.histogram_plot import HistogramPlot
from lithoscope._napari.look import column, row, small_button, text
from lithoscope.classes import ClassTable


class ThresholdLines(QWidget):
    """The plot, the line beneath that says the values, + and −."""

    set_by_button = Signal(tuple)
    """Thresholds with one more or one fewer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = HistogramPlot()
        self._more = small_button("+", "One more class: adds a threshold")
        self._fewer = small_button("−", "One class fewer: takes the chosen threshold away")
        self._values = text(muted=True)
        self.setLayout(column(self.plot, row(self._values, self._fewer, self._more, spacing=4)))
        self._more.clicked.connect(self._on_more)
        self._fewer.clicked.connect(self._on_fewer)

    def by_hand(self, on: bool) -> None:
        """Whether lines are the person's to add and take away."""
        self._more.setVisible(on)
        self._fewer.setVisible(on)

    def show_lines(self, thresholds: Sequence[Any], classes: ClassTable, *, keep: bool) -> None:
        """Show these thresholds; with `keep` the lines stay as they are: they are being dragged. Those of slices are not shown."""
        if thresholds and isinstance(thresholds[0], list):
            thresholds = []
        if not keep:
            self.plot.show_thresholds(thresholds, classes)
        self._values.setText("thresholds " + ", ".join(f"{t:g}" for t in thresholds) if thresholds else "")

    def _on_more(self) -> None:
        self.set_by_button.emit(self.plot.with_one_more())

    def _on_fewer(self) -> None:
        self.set_by_button.emit(self.plot.with_one_fewer())
