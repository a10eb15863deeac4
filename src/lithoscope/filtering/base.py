"""The contract of every image filter: it looks once at the scan, then answers for one block at a time.

A filter is a dataclass whose fields, made with `parameter`, are its settings; what it learns of a scan ends in an underscore.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError
from lithoscope.filtering.survey import Survey
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.volume.box import Box, Triple

Dimensions = Literal[2, 3]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """One place of a scan: `image` (z, y, x) of native dtype over `box`, which is `core` with the filter's halo, reflected at the faces.

    `valid` marks what lies in the field of view and is a number, over `box`, or is None when all is; the rest must change nothing.
    """

    image: npt.NDArray[Any]
    box: Box
    core: Box
    valid: npt.NDArray[np.bool_] | None = None

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Where the core lies within `image`."""
        return self.core.within(self.box).slices

    @property
    def core_valid(self) -> npt.NDArray[np.bool_] | None:
        """`valid` over the core."""
        return None if self.valid is None else self.valid[self.place]


@dataclass
class Filter(ABC):
    """One way to make an image better."""

    name: ClassVar[str]
    """Registry key and command-line name."""
    title: ClassVar[str]
    """What the docks call it."""
    summary: ClassVar[str]
    """One line of what it does and when to use it."""
    by_slice: ClassVar[bool] = False
    """Whether `fit` judges each of the slices by itself, so that it must look at all that are to be answered for."""

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        """A copy that knows what it must of the scan to answer for the slices `z`, with every open setting chosen."""
        return self

    def halo(self) -> Triple:
        """How many voxels (z, y, x) around a place its answer depends on."""
        return (0, 0, 0)

    def working_bytes(self) -> int:
        """The memory that `apply` takes a voxel, beside the image; the engine sizes its pieces by it."""
        return 16

    def piece(self) -> Triple:
        """The largest piece (z, y, x) that is worked on at once with good speed."""
        return (64, 128, 128)

    @abstractmethod
    def apply(self, piece: Piece) -> npt.NDArray[Any]:
        """The filtered core (z, y, x), as floats or in native dtype; the engine rounds it, and keeps what is not valid as it was."""

    def learnt(self) -> dict[str, Any]:
        """What was found out of the scan, as plain JSON, for the run record."""
        return {}

    def notes(self) -> list[str]:
        """The reasons of choices made for the person."""
        return []


@dataclass
class SpatialFilter(Filter):
    """A filter that looks at the neighbours of a voxel: in the volume, or in its plane alone."""

    dimensions: Dimensions | None = parameter(None, "Neighbours in the plane (2) or the volume (3); chosen by the scan if not given")  # noqa: RUF009
    why_: str = field(default="", repr=False)

    def fit(self, survey: Survey, z: range, *, report: Report = silent) -> Self:
        chosen, reason = survey.scan.dimensions()
        if self.dimensions is None:
            return replace(self, dimensions=3 if chosen == 3 else 2, why_=f"dimensions={chosen}: {reason}")
        if self.dimensions == 3 and survey.scan.separate_slices:
            raise InputError(f"the slices of {survey.scan.name} are separate images; no filter looks across them: use dimensions=2")
        return self

    def around(self, reach: int) -> Triple:
        """A reach in voxels as (z, y, x)."""
        return (reach if self.dimensions == 3 else 0, reach, reach)

    def notes(self) -> list[str]:
        return [self.why_] if self.why_ else []


REGISTRY: dict[str, type[Filter]] = {}
"""Every filter by name, filled by `register` as `lithoscope.filtering` is imported."""

AnyFilter = TypeVar("AnyFilter", bound=Filter)


def register(kind: type[AnyFilter]) -> type[AnyFilter]:
    """Class decorator that makes a filter known by its name."""
    if kind.name in REGISTRY:
        raise ValueError(f"two filters are named {kind.name}")
    REGISTRY[kind.name] = kind
    return kind


def image_filter(name: str) -> type[Filter]:
    """The filter of this name."""
    if name not in REGISTRY:
        raise MissingError(f"there is no filter {name!r}; the filters are {', '.join(REGISTRY)}")
    return REGISTRY[name]
