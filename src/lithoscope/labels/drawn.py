"""Planes on which a class was drawn by hand."""

from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.labels.correcting import Plane
from lithoscope.volume.box import Box, Triple


class Drawn(Protocol):
    """What was painted, and where."""

    def read(self, box: Box) -> npt.NDArray[np.uint8]: ...

    def touched(self, box: Box | None = None) -> list[Box]: ...


def drawn_planes(store: Drawn, axis: int, value: int) -> list[int]:
    """The places along an axis (0 z, 1 y, 2 x) at which class `value` was painted, rising."""
    found: set[int] = set()
    others = tuple(a for a in range(3) if a != axis)
    for box in store.touched():
        found.update((np.flatnonzero((store.read(box) == value).any(axis=others)) + box.start[axis]).tolist())
    return sorted(found)


def drawn_around(store: Drawn, plane: Plane, shape: Triple, value: int) -> tuple[Plane, Plane]:
    """The two drawn planes with a gap between them that are nearest to `plane`: it lies in the gap, or at one of its ends.

    Raises:
        InputError: the class is drawn on no two planes that have others between them.
    """
    places = drawn_planes(store, plane.axis, value)
    gaps = [(a, b) for a, b in pairwise(places) if b - a > 1]
    if not gaps:
        raise InputError(f"draw the class on two planes along {'zyx'[plane.axis]} that have others between them; then interpolate")
    first, second = min(gaps, key=lambda gap: (max(gap[0] - plane.index, plane.index - gap[1], 0), gap[1] - gap[0]))
    return Plane(plane.axis, first), Plane(plane.axis, second)
