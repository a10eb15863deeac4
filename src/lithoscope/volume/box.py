"""Boxes of voxels on the scan's grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lithoscope.errors import InputError

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """Voxels `start` ≤ index < `stop`, each in (z, y, x). A start below 0 or a stop beyond the scan is a halo."""

    start: Triple
    stop: Triple

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Self:
        """The box of a whole array of this (z, y, x) shape."""
        return cls((0, 0, 0), (shape[0], shape[1], shape[2]))

    @classmethod
    def parse(cls, text: str, shape: Sequence[int]) -> Self:
        """The box written `z0:z1,y0:y1,x0:x1` (an open end means the scan's), checked to lie within `shape`."""
        parts = text.replace(" ", "").split(",")
        if len(parts) != 3:
            raise InputError(f"box {text!r} does not have three ranges; write z0:z1,y0:y1,x0:x1")
        start, stop = [], []
        for axis, part, size in zip("zyx", parts, shape, strict=True):
            low, colon, high = part.partition(":")
            try:
                a = int(low) if low else 0
                b = (int(high) if high else size) if colon else a + 1
            except ValueError:
                raise InputError(f"range {part!r} of box {text!r} is not of whole numbers; write {axis}0:{axis}1") from None
            if not 0 <= a < b <= size:
                raise InputError(f"range {part!r} of box {text!r} does not lie within the scan's {axis} axis, 0:{size}")
            start.append(a)
            stop.append(b)
        return cls((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    @classmethod
    def from_json(cls, ranges: Sequence[Sequence[int]]) -> Self:
        """The box written as [[z0, z1], [y0, y1], [x0, x1]]."""
        (a, b), (c, d), (e, f) = ranges
        return cls((a, c, e), (b, d, f))

    def to_json(self) -> list[list[int]]:
        return [[a, b] for a, b in zip(self.start, self.stop, strict=True)]

    def __str__(self) -> str:
        return ",".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True))

    @property
    def shape(self) -> Triple:
        (a, b, c), (d, e, f) = self.start, self.stop
        return (d - a, e - b, f - c)

    @property
    def size(self) -> int:
        """How many voxels it holds; 0 when it is empty."""
        z, y, x = self.shape
        return max(z, 0) * max(y, 0) * max(x, 0)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        (a, b, c), (d, e, f) = self.start, self.stop
        return (slice(a, d), slice(b, e), slice(c, f))

    def intersect(self, other: "Box") -> "Box":
        """The voxels in both; its `size` is 0 when there are none."""
        start = tuple(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = tuple(max(s, min(a, b)) for s, a, b in zip(start, self.stop, other.stop, strict=True))
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def grow(self, by: Triple) -> "Box":
        """The box with `by` more voxels on both sides of each axis, not cut at the scan's faces."""
        (a, b, c), (d, e, f) = self.start, self.stop
        return Box((a - by[0], b - by[1], c - by[2]), (d + by[0], e + by[1], f + by[2]))

    def shift(self, by: Triple) -> "Box":
        """The box moved by (z, y, x) voxels."""
        (a, b, c), (d, e, f) = self.start, self.stop
        return Box((a + by[0], b + by[1], c + by[2]), (d + by[0], e + by[1], f + by[2]))

    def within(self, outer: "Box") -> "Box":
        """This box in the coordinates of `outer`, whose first voxel becomes (0, 0, 0)."""
        a, b, c = outer.start
        return self.shift((-a, -b, -c))
