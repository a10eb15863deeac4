"""What is laid over a plane: values on a coarse grid, where they lie, and how they are to be read."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lithoscope.explain.place import Place
from lithoscope.volume.box import Box

Colours = Literal["viridis", "magma", "certainty", "doubt"]


@dataclass(frozen=True, eq=False)
class Overlay:
    """Values over a plane: a map (rows, columns) of float32, NaN where there is none, or colours (rows, columns, 4) of uint8.

    `limits` are the values at the two ends of the colour key, whose ends are named by `ends`. `outline` (rows, columns) marks
    cells to be outlined, `frame` the voxels that were looked at, `at` the voxel that was asked about.
    """

    kind: str
    title: str
    values: npt.NDArray[Any]
    place: Place
    limits: tuple[float, float] = (0.0, 1.0)
    colours: Colours = "viridis"
    ends: tuple[str, str] = ("", "")
    outline: npt.NDArray[np.bool_] | None = None
    frame: Box | None = None
    at: tuple[int, int, int] | None = None
    notes: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def coloured(self) -> bool:
        """Whether the values are colours."""
        return self.values.ndim == 3


def smallest_mass(values: npt.NDArray[np.float32], part: float) -> npt.NDArray[np.bool_]:
    """The smallest set of cells that holds at least `part` (0 … 1) of a map's sum, as DINO shows attention.

    Caron et al., Emerging properties in self-supervised vision transformers, ICCV 2021. Of equal cells the first are taken.
    """
    flat = np.nan_to_num(values, nan=0.0).astype(np.float64).ravel()
    total, made = flat.sum(), np.zeros(flat.size, np.bool_)
    if total > 0 and part > 0:
        order = np.argsort(-flat, kind="stable")
        held = np.cumsum(flat[order])
        made[order[: int(np.searchsorted(held, min(part, 1.0) * total * (1 - 1e-12))) + 1]] = True
    return made.reshape(values.shape)


def share_limits(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """From 0 to the 98 percentile of a map, so that a few glaring cells do not darken the others."""
    finite = values[np.isfinite(values)]
    high = float(np.percentile(finite, 98)) if finite.size else 1.0
    return (0.0, high if high > 0 else 1.0)
