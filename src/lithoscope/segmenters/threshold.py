"""Thresholds set by hand."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Samples, register
from lithoscope.segmenters.by_level import ByLevel, checked_rising


@register
@dataclass
class Threshold(ByLevel):
    """Classes between grey values that a person chose."""

    name: ClassVar[str] = "threshold"
    title: ClassVar[str] = "Threshold"
    summary: ClassVar[str] = "Classes between grey values that you set, by hand or by dragging lines on the histogram."

    bounds: tuple[float, ...] = parameter((), "The last grey value of every class but the highest, rising: 80,150 makes three classes.")

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Take up the bounds; nothing is learnt from the samples."""
        self.thresholds_ = checked_rising(self.bounds)
        return self
