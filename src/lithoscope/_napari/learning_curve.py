"""How a training fares, read from the log that it writes: the loss as a curve, the effective rank in words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QWidget

FEWEST = 1.5
"""An effective rank below this is a collapse: everything looks nearly the same to the network."""


class Log:
    """The lines of one log, read on from where the last reading ended; taken up anew when the log was cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.losses: list[float] = []
        self.rank: float | None = None
        self._at = 0

    def read(self) -> bool:
        """Take up what was written since; says whether there was anything."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return False
        if size < self._at:
            self.losses, self.rank, self._at = [], None, 0
        if size == self._at:
            return False
        with self.path.open("rb") as file:
            file.seek(self._at)
            whole, _, _ = file.read().rpartition(b"\n")
        for line in whole.splitlines():
            try:
                said = json.loads(line)
                self.losses.append(float(said["loss"]))
            except (ValueError, KeyError, TypeError):  # torn by a crash or a full disk
                continue
            self.rank = said.get("rank", self.rank)
        self._at += len(whole) + 1 if whole else 0
        return bool(whole)

    def words(self) -> str:
        """One line: "step 120 · loss .41 · effective rank 9.3"."""
        if not self.losses:
            return ""
        told = f"step {len(self.losses):,} · loss {np.mean(self.losses[-10:]):.3f}"
        if self.rank is None:
            return told
        collapsed = " – tokens all look alike: stop, and choose another rate" if self.rank < FEWEST else ""
        return f"{told} · effective rank {self.rank:.1f}{collapsed}"


class LearningCurve(pg.PlotWidget):
    """The loss by step, with its running mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(90)
        self.setMaximumHeight(130)
        self.setAccessibleName("Loss by step")
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.getAxis("left").setWidth(34)
        self._each = self.plot([], [])
        self._mean = self.plot([], [])
        self.set_colours("#23242b", "#f0f1f2", "#00aaff")

    def set_colours(self, background: str, text: str, accent: str) -> None:
        """Take up the theme."""
        self.setBackground(background)
        for side in ("left", "bottom"):
            self.getAxis(side).setPen(text)
            self.getAxis(side).setTextPen(text)
        faint = pg.mkColor(text)
        faint.setAlpha(90)
        self._each.setPen(pg.mkPen(faint, width=1))
        self._mean.setPen(pg.mkPen(accent, width=2))

    def show_losses(self, losses: list[float]) -> None:
        """Draw these."""
        values = np.asarray(losses)
        self._each.setData(np.arange(len(values)), values)
        self._mean.setData(np.arange(len(values)), smooth(values))

    @property
    def drawn(self) -> Any:
        """The losses as drawn."""
        return self._each.yData


def smooth(values: "np.ndarray[Any, Any]", over: int = 20) -> "np.ndarray[Any, Any]":
    """The mean of each value and up to `over` - 1 before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - over + 1, 0)
    made: np.ndarray[Any, Any] = (sums[1:] - sums[first]) / (np.arange(len(values)) + 1 - first)
    return made
