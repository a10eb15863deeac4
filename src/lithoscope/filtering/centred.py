"""Grey values about their median and in units of their span, so that single precision is enough for any dtype."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.filtering.survey import Survey


@dataclass(frozen=True, slots=True)
class Centred:
    """value = `middle` + `unit` · centred. The same for every block of a scan."""

    middle: float
    unit: float

    @classmethod
    def of(cls, survey: Survey) -> Self:
        """For the values of a scan inside its field of view."""
        low, high = survey.histogram.window(0.01, 99.99)
        return cls(survey.middle, (high - low) or 1.0)

    def centred(self, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float32]:
        """Native values as float32; 0 where they are not valid."""
        wide: npt.NDArray[Any] = values.astype(np.float64 if values.dtype.itemsize > 2 else np.float32)
        kind = wide.dtype.type
        with np.errstate(invalid="ignore", over="ignore"):
            found: npt.NDArray[np.float32] = ((wide - kind(self.middle)) * kind(1 / self.unit)).astype(np.float32, copy=False)
        if valid is not None:
            found[~valid] = 0
        return found

    def native(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Centred values as grey levels."""
        return values * np.float64(self.unit) + self.middle
