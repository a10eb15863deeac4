"""What a cleaning would make of one plane: judged on the slices around it, or, where only the whole volume tells, on a coarser level.

What is shown is what the run would write, but for components that reach beyond the slices that are looked at: those stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.job import Report, silent
from lithoscope.labels.classes_file import known_classes
from lithoscope.labels.clean import apply, frame_of
from lithoscope.labels.cleaning import removal
from lithoscope.labels.cleaning.components import Labels, Part
from lithoscope.labels.cleaning.renaming import Renaming
from lithoscope.labels.cleaning.steps import Local, Place, Step, Taking, classes_after, meaning
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope.labels.results import Result
    from lithoscope.volume.scan import Scan

LOOKED_AT = 16 << 20
"""How many voxels around the plane are looked at."""
FARTHEST = 64
"""How many slices to either side, at most."""
EDGE = 96
"""Blocks are small, so that the window's own thread gets its turn between two."""


@dataclass(frozen=True, slots=True, eq=False)
class Previewed:
    """Labels (z, y, x; one thick) of a plane at voxel `origin` of the scan, each voxel `factor` of the scan's.

    `changed` counts the voxels that are other than now; `note` says how far to trust it.
    """

    labels: Labels
    origin: Triple
    factor: Triple
    changed: int
    classes: ClassTable
    note: str = ""


def preview_plane(
    scan: "Scan", found: "Result", source: Array3D, steps: Sequence[Step], axis: int, index: int, *, report: Report = silent
) -> Previewed:
    """The plane `index` along `axis` of a result after these steps; `source` is the result as corrected."""
    flat = scan.separate_slices or scan.shape[0] == 1
    place = Place(known_classes(scan, found.classes), scan.voxel, flat)
    actions: list[Taking | Local] = []
    for step in steps:
        actions += meaning(step, place)
        place = replace(place, classes=classes_after(step, place.classes))
    frame = frame_of(scan, found.box)
    if any(isinstance(a, Taking) and isinstance(a.rule, removal.NotLargest | removal.NotThrough) for a in actions):
        return _coarse(scan, found, actions, frame, place, axis, index, report)
    plane = _plane(Box.whole(scan.shape), axis, index)
    reach, taking = sum(_halo(a)[axis] for a in actions), any(isinstance(a, Taking) for a in actions)
    if taking:
        reach += max(1, min(FARTHEST, LOOKED_AT // max(plane.size, 1) // 2))
    slab = plane.grow((reach if axis == 0 else 0, reach if axis == 1 else 0, reach if axis == 2 else 0)).intersect(frame)
    if not slab.intersect(plane).size:  # beside the field of view, where nothing is labelled
        return Previewed(np.asarray(source[plane.slices], np.uint8), plane.start, (1, 1, 1), 0, place.classes)
    cut = _cut(slab, frame)
    labels: Array3D = _Window.of(source, slab)
    before = _over(labels, plane.intersect(slab), plane)
    for action in actions:
        labels = _done(action, labels, slab, cut, flat, report)
    after = _over(labels, plane.intersect(slab), plane)
    note = f"Pieces that reach more than {reach} slices from this plane are shown as they are." if taking and cut else ""
    return Previewed(after, plane.start, (1, 1, 1), int(np.count_nonzero(before != after)), place.classes, note)


def _coarse(
    scan: "Scan", found: "Result", actions: Sequence[Taking | Local], frame: Box, place: Place, axis: int, index: int, report: Report
) -> Previewed:
    """The same, judged on the finest level of the whole result that is small enough."""
    sizes = [int(np.prod(level.shape)) for level in found.levels]
    at = next((i for i, size in enumerate(sizes) if size <= LOOKED_AT), len(sizes) - 1)
    level, factor = found.levels[at], found.level_factors[at]
    whole = Box.whole(level.shape)
    start = [-(-a // f) for a, f in zip(frame.start, factor, strict=True)]
    stop = [-(-b // f) for b, f in zip(frame.stop, factor, strict=True)]
    inner = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])).intersect(whole)
    labels: Array3D = _Window.of(level, inner)
    plane = _plane(whole, axis, min(index // factor[axis], level.shape[axis] - 1))
    before, left_out = _over(labels, plane.intersect(inner), plane), False
    for action in actions:
        if not isinstance(action, Taking | Renaming) and at:
            left_out = True
            continue
        labels = _done(_scaled(action, int(np.prod(factor))), labels, inner, 0, place.flat, report)
    after = _over(labels, plane.intersect(inner), plane)
    note = f"Judged on the volume at 1/{max(factor)} of its resolution, without corrections." if at else "Judged without corrections."
    if left_out:
        note += " Steps that look at neighbours are left out."
    origin, size = [0, 0, 0], list(factor)
    origin[axis], size[axis] = index, 1
    changed = int(np.count_nonzero(before != after)) * int(np.prod(size))
    return Previewed(after, (origin[0], origin[1], origin[2]), (size[0], size[1], size[2]), changed, place.classes, note)


@dataclass(slots=True)
class _Whole(removal.Rule):
    """A rule that leaves alone what reaches the faces `cut` at which looking ended."""

    rule: removal.Rule
    cut: int

    @property
    def measures(self) -> bool:
        return self.rule.measures

    def removed(self, part: Part) -> removal.Chosen:
        chosen: removal.Chosen = self.rule.removed(part) & (part.faces & np.uint8(self.cut) == 0)
        return chosen


@dataclass(slots=True)
class _Window:
    """Part of a volume in memory, indexed as the volume is."""

    values: Labels
    start: Triple
    shape: tuple[int, ...]
    dtype: Any = np.uint8

    @classmethod
    def of(cls, array: Array3D, box: Box) -> "_Window":
        return cls(np.array(array[box.slices], np.uint8), box.start, tuple(array.shape))

    def _here(self, key: tuple[slice, slice, slice]) -> tuple[slice, ...]:
        return tuple(slice(k.start - a, k.stop - a) for k, a in zip(key, self.start, strict=True))

    def __getitem__(self, key: Any, /) -> Any:
        return self.values[self._here(key)]

    def __setitem__(self, key: Any, value: Labels, /) -> None:
        self.values[self._here(key)] = value


class _Memory:
    """Scratch arrays in memory."""

    def __init__(self, box: Box, shape: tuple[int, ...]) -> None:
        self._box, self._shape = box, shape

    def array(self, dtype: Any = np.uint8) -> _Window:
        return _Window(np.zeros(self._box.shape, dtype), self._box.start, self._shape)

    def drop(self, array: Any) -> None:
        """Nothing lies on the disk."""


def _done(action: Taking | Local, labels: Array3D, box: Box, cut: int, flat: bool, report: Report) -> Array3D:
    if isinstance(action, Taking) and cut:
        action = replace(action, rule=_Whole(action.rule, cut))
    made, _ = apply(action, labels, box, (EDGE, EDGE, EDGE), _Memory(box, labels.shape), flat=flat, report=report)
    return made


def _scaled(action: Taking | Local, voxels: int) -> Taking | Local:
    """An action whose sizes are counted in voxels that are each as large as so many."""
    if isinstance(action, Taking) and isinstance(action.rule, removal.Smaller | removal.Enclosed):
        return replace(action, rule=replace(action.rule, voxels=action.rule.voxels / voxels))
    return action


def _halo(action: Taking | Local) -> Triple:
    return (0, 0, 0) if isinstance(action, Taking) else action.halo


def _plane(box: Box, axis: int, index: int) -> Box:
    start, stop = list(box.start), list(box.stop)
    start[axis], stop[axis] = index, index + 1
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _cut(slab: Box, frame: Box) -> int:
    """The faces of the slab, as bits, that are none of the frame."""
    cut = 0
    for axis in range(3):
        cut |= (slab.start[axis] != frame.start[axis]) << (2 * axis) | (slab.stop[axis] != frame.stop[axis]) << (2 * axis + 1)
    return cut


def _over(labels: Array3D, known: Box, plane: Box) -> Labels:
    """The plane's labels; 0 where they are not known."""
    found = np.zeros(plane.shape, np.uint8)
    found[known.within(plane).slices] = labels[known.slices]
    return found
