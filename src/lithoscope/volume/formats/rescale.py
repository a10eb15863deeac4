"""Stored numbers made into the values they stand for: slope and intercept, whole numbers kept whole."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import UnreadableError

_WHOLE = ("uint8", "int16", "uint16", "int32", "uint32", "int64")


@dataclass(frozen=True, slots=True)
class Rescale:
    """`dtype` is that of the values; `slope` and `intercept` lead from stored numbers to them."""

    dtype: np.dtype[Any]
    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def of(cls, stored: np.dtype[Any], slope: float, intercept: float, *, bits: int | None = None, name: object = "the file") -> Self:
        """The rescaling of `stored` numbers of so many `bits`. Whole steps give whole values, of the smallest type that holds them all."""
        if not (np.isfinite(slope) and np.isfinite(intercept)) or slope == 0:
            raise UnreadableError(f"{name} says slope {slope} and intercept {intercept}, which give no values; mend its header")
        if (slope, intercept) == (1, 0):
            return cls(stored.newbyteorder("="))
        if stored.kind not in "iu" or slope != int(slope) or intercept != int(intercept):
            return cls(np.dtype(np.float64 if stored.itemsize > 4 else np.float32), slope, intercept)
        used = stored.itemsize * 8 if bits is None else bits
        low, high = (-(1 << (used - 1)), (1 << (used - 1)) - 1) if stored.kind == "i" else (0, (1 << used) - 1)
        ends = sorted((int(low * slope + intercept), int(high * slope + intercept)))
        for candidate in _WHOLE:
            info = np.iinfo(candidate)
            if np.dtype(candidate).itemsize >= stored.itemsize and info.min <= ends[0] and ends[1] <= info.max:
                return cls(np.dtype(candidate), slope, intercept)
        return cls(np.dtype(np.float64), slope, intercept)

    @property
    def plain(self) -> bool:
        """Whether stored numbers are the values."""
        return (self.slope, self.intercept) == (1, 0)

    def __call__(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values of stored numbers."""
        if self.plain:
            return stored.astype(self.dtype, copy=False)
        if self.dtype.kind == "f":
            return (stored.astype(np.float64) * self.slope + self.intercept).astype(self.dtype)
        return (stored.astype(np.int64) * int(self.slope) + int(self.intercept)).astype(self.dtype)
