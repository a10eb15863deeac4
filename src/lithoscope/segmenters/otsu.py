"""Otsu's thresholds for any number of classes, exact."""

from dataclasses import dataclass
from typing import ClassVar, Self

from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Samples, register
from lithoscope.segmenters.by_level import ByLevel, Floats
from lithoscope.segmenters.partition import thresholds_of
from lithoscope.volume.histogram import Histogram


@register
@dataclass
class Otsu(ByLevel):
    """The thresholds of greatest variance between the classes' mean grey values."""

    name: ClassVar[str] = "otsu"
    title: ClassVar[str] = "Otsu"
    summary: ClassVar[str] = "Finds the thresholds that best part the histogram; exact for any number of classes, in milliseconds."

    classes: int = parameter(3, "How many classes to tell apart by grey value.", minimum=2, maximum=254, step=1)
    per_slice: bool = parameter(False, "Find other thresholds for every slice along z. Classes may then flicker from slice to slice.")

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Find the optimal thresholds of the histogram, or of each slice's."""
        self.thresholds_, self.unsplit_ = None, ()
        if self.per_slice:
            self.thresholds_ = self._fit_slices(samples, self._thresholds, self.classes, report)
        else:
            self.thresholds_ = self._thresholds(samples.histogram(report=report))
        return self

    def _thresholds(self, histogram: Histogram) -> Floats:
        return thresholds_of(histogram, self.classes)
