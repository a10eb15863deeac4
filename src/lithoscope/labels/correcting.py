"""What the tools of correcting paint: pure functions from what is seen to a box, a mask of its voxels and a value.

An `Edit` is one `write` of strokes or corrections, so that each is journalled and undone as one. Nothing here knows a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.labels.cleaning.morphology import Ball
from lithoscope.labels.editable import EditableArray
from lithoscope.labels.fence import Fence
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.voxel import UNITS_UM, Voxel, unit_named

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint8]
GROWN = 192
"""A region grown from a click reaches no farther than a box of about this edge (voxels) around it."""


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """The voxels of a box, within the scan, that get a value: `mask` is of the box's shape."""

    box: Box
    mask: Mask
    value: int

    @property
    def size(self) -> int:
        """How many voxels get the value."""
        return int(np.count_nonzero(self.mask))

    def apply(self, labels: EditableArray) -> Box | None:
        """Write it; the box that changed, or None."""
        return labels.write(self.box, self.mask, self.value) if self.size else None


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of a scan: the axis (0 z, 1 y, 2 x) that it lies across, and its place on it."""

    axis: int
    index: int

    def box(self, shape: Triple) -> Box:
        """All of it, as a box of one voxel's thickness."""
        if not 0 <= self.index < shape[self.axis]:
            raise InputError(f"there is no plane {self.index} along {'zyx'[self.axis]}; the scan has {shape[self.axis]}")
        return replace_axis(Box.whole(shape), self.axis, self.index, self.index + 1)

    def mask(self, flat: Mask) -> Mask:
        """A mask of the plane as one of the box."""
        return np.expand_dims(flat, self.axis)


def replace_axis(box: Box, axis: int, start: int, stop: int) -> Box:
    """The box with another range along one axis."""
    low, high = list(box.start), list(box.stop)
    low[axis], high[axis] = start, stop
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def restricted(edit: Edit, labels: EditableArray, fence: Fence | None) -> Edit:
    """The edit where the fence lets a brush paint."""
    return edit if fence is None else replace(edit, mask=fence.within(labels, edit.box, edit.mask))


def ball(centre: Sequence[float], radius: float, shape: Triple, value: int, *, voxel: Voxel | None = None, unit: str | None = None) -> Edit:
    """The 3D brush: voxels whose centre lies within `radius` (in `unit`, or in voxels) of `centre` (z, y, x in voxels)."""
    spacing = (1.0, 1.0, 1.0)
    if unit is not None:
        if voxel is None:
            raise InputError(f"a brush of {radius:g} {unit} needs the voxel size, which is not known; set it, or give the radius in voxels")
        z, y, x = (s / UNITS_UM[unit_named(unit)] for s in voxel.um)
        spacing = (z, y, x)
    middle = [round(c) for c in centre]
    reach = Ball(radius, spacing).reach
    box = Box((middle[0], middle[1], middle[2]), (middle[0] + 1, middle[1] + 1, middle[2] + 1))
    box = box.grow((reach[0] + 1, reach[1] + 1, reach[2] + 1)).intersect(Box.whole(shape))
    a, b, c = (((axis - at) * s) ** 2 for axis, at, s in zip(np.ogrid[box.slices], centre, spacing, strict=True))
    return Edit(box, np.asarray(a + b + c <= radius**2 * (1 + 1e-9)), value)


def polygon(corners: npt.ArrayLike, plane: Plane, shape: Triple, value: int) -> Edit:
    """The voxels of a plane within a polygon or lasso, whose `corners` (n, 2) are places on the plane's two axes; its edge included."""
    from skimage.draw import line
    from skimage.draw import polygon as inside

    points = np.asarray(corners, float)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise InputError(f"a polygon has at least three corners on a plane, not {points.shape}; draw it around what you want to fill")
    whole = plane.box(shape)
    flat = tuple(n for axis, n in enumerate(shape) if axis != plane.axis)
    mask = np.zeros(flat, np.bool_)
    mask[inside(points[:, 0], points[:, 1], flat)] = True
    ends = np.rint(points).astype(int).tolist()
    for a, b in zip(ends, [*ends[1:], ends[0]], strict=True):
        rows, columns = line(*a, *b)
        there = (rows >= 0) & (rows < flat[0]) & (columns >= 0) & (columns < flat[1])
        mask[rows[there], columns[there]] = True
    return tightened(Edit(whole, plane.mask(mask), value))


def tightened(edit: Edit) -> Edit:
    """The same edit in the smallest box around its voxels; empty ones stay."""
    if not edit.mask.any():
        return edit
    box = edit.box
    for axis in range(3):
        along = np.flatnonzero(edit.mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box = replace_axis(box, axis, edit.box.start[axis] + int(along[0]), edit.box.start[axis] + int(along[-1]) + 1)
    return replace(edit, box=box, mask=edit.mask[box.within(edit.box).slices])


def holes(labels: EditableArray, plane: Plane, shape: Triple, value: int) -> Edit:
    """The holes of class `value` on a plane: what it surrounds there, whatever that is."""
    from scipy.ndimage import binary_fill_holes

    box = plane.box(shape)
    own = np.take(labels.read(box) == value, 0, plane.axis)
    return tightened(Edit(box, plane.mask(binary_fill_holes(own) & ~own), value))


def copied(labels: EditableArray, plane: Plane, shape: Triple, value: int, *, step: int = 1) -> Edit:
    """What has class `value` on a plane, for the plane `step` further."""
    own = labels.read(plane.box(shape)) == value
    return tightened(Edit(Plane(plane.axis, plane.index + step).box(shape), own, value))


def interpolated(labels: EditableArray, first: Plane, second: Plane, shape: Triple, value: int) -> Edit:
    """Class `value` on the planes between two on which it was drawn: the signed distance to its outline goes over evenly."""
    low, high = sorted((first.index, second.index))
    if first.axis != second.axis or high - low < 2:
        raise InputError(f"there is no plane between {first.index} and {second.index}; draw on two planes that are further apart")
    outlines = []
    for index in (low, high):
        own = np.take(labels.read(Plane(first.axis, index).box(shape)) == value, 0, first.axis)
        if not own.any():
            raise InputError(f"nothing of class {value} is drawn on plane {index} along {'zyx'[first.axis]}; draw it there first")
        outlines.append(signed_distance(own))
    weights = np.arange(1, high - low) / (high - low)
    mask = np.stack([(1 - w) * outlines[0] + w * outlines[1] > 0 for w in weights], axis=first.axis)
    return tightened(Edit(replace_axis(Box.whole(shape), first.axis, low + 1, high), mask, value))


def signed_distance(mask: Mask) -> npt.NDArray[np.float64]:
    """How far inside (above 0) or outside (below) its outline each pixel of a plane lies, in pixels; the outline is between pixels."""
    from scipy.ndimage import distance_transform_edt

    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)))
    inside = np.asarray(distance_transform_edt(mask), np.float64)
    outside = np.asarray(distance_transform_edt(~mask), np.float64)
    return np.where(mask, inside - 0.5, 0.5 - outside)


def grown(grey: Array3D, at: Triple, tolerance: float, value: int, *, plane: Plane | None = None, connectivity: int = 6) -> Edit:
    """The voxels that hang together with the one at `at` and differ from its grey value by no more than `tolerance`.

    On a `plane` if one is given, else in 3D; never beyond a box of `GROWN` voxels around the click.
    """
    import cc3d

    shape = (int(grey.shape[0]), int(grey.shape[1]), int(grey.shape[2]))
    half = GROWN // 2
    near = Box((at[0], at[1], at[2]), (at[0] + 1, at[1] + 1, at[2] + 1)).grow((half, half, half)).intersect(Box.whole(shape))
    box = near if plane is None else replace_axis(Box.whole(shape), plane.axis, plane.index, plane.index + 1)
    if not Box(at, (at[0] + 1, at[1] + 1, at[2] + 1)).intersect(box).size:
        raise InputError(f"voxel {at} does not lie on the plane or in the scan; click on it")
    values = read(grey, box)
    place = tuple(a - b for a, b in zip(at, box.start, strict=True))
    wide = values.astype(np.float64) if values.dtype.kind == "f" or values.dtype.itemsize > 2 else values.astype(np.int32)
    alike = np.abs(wide - wide[place]) <= tolerance
    numbers = cc3d.connected_components(np.ascontiguousarray(alike, np.uint8), connectivity=connectivity)
    return tightened(Edit(box, (numbers == numbers[place]) & alike, value))


class Readable(Protocol):
    """Labels that are read in boxes."""

    def read(self, box: Box) -> npt.NDArray[np.integer[Any]]: ...


@dataclass(frozen=True, slots=True)
class Pointed:
    """What is under the cursor: its label, and how many voxels of it hang together there; `more` when they reach farther than was seen."""

    label: int
    voxels: int
    more: bool


def pointed_at(labels: Readable, at: Triple, shape: Triple, *, reach: int = 48) -> Pointed:
    """The label at a voxel, and the size of what it belongs to within `reach` voxels."""
    import cc3d

    box = Box(at, (at[0] + 1, at[1] + 1, at[2] + 1)).grow((reach, reach, reach)).intersect(Box.whole(shape))
    block = labels.read(box)
    place = tuple(a - b for a, b in zip(at, box.start, strict=True))
    label = int(block[place])
    if not label:
        return Pointed(0, 0, False)
    own = np.ascontiguousarray(block == label)
    numbers = cc3d.connected_components(own.view(np.uint8), connectivity=6)
    part = numbers == numbers[place]
    more = any(
        np.take(part, -side, axis).any()
        for axis in range(3)
        for side, end in enumerate((box.start[axis] > 0, box.stop[axis] < shape[axis]))
        if end
    )
    return Pointed(label, int(np.count_nonzero(part)), more)
