"""Components taken out of labels: small ones, all but the largest, those that do not lead through; and holes filled.

What is removed becomes the class that touches it most, counted in faces between voxels; of equal ones the lowest. Where only other
removed components touch it, they and it are filled together.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.labels.cleaning.components import Components, Labels, Part
from lithoscope.labels.cleaning.front import Front
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box, Triple

PENDING = 255
"""Stands for removed voxels that no kept label touches."""
Chosen = npt.NDArray[np.bool_]


class Target(Protocol):
    """Labels that are written by slices."""

    def __setitem__(self, key: tuple[slice, slice, slice], value: Labels, /) -> None: ...


class Rule(ABC):
    """Which components are taken out."""

    @property
    def measures(self) -> bool:
        """Whether it asks for sizes and keys."""
        return True

    def learn(self, components: Components, report: Report) -> None:  # noqa: B027 - most rules need not
        """Look at all components first, where the rule compares them."""

    @abstractmethod
    def removed(self, part: Part) -> Chosen:
        """Which components of a block are taken out, by their number in it."""


@dataclass
class Smaller(Rule):
    """Those of fewer voxels than `voxels`."""

    voxels: float

    def removed(self, part: Part) -> Chosen:
        return part.sizes < self.voxels


@dataclass
class Enclosed(Rule):
    """Those of fewer voxels than `voxels` that touch no face of the frame and nothing outside the field of view."""

    voxels: float

    @property
    def measures(self) -> bool:
        return bool(np.isfinite(self.voxels))

    def removed(self, part: Part) -> Chosen:
        chosen: Chosen = (part.sizes < self.voxels) & (part.faces == 0)
        return chosen


@dataclass
class NotThrough(Rule):
    """Those that do not touch both faces of the frame along the axis (0, 1 or 2)."""

    axis: int
    measures = False

    def removed(self, part: Part) -> Chosen:
        both = np.uint8(3 << (2 * self.axis))
        chosen: Chosen = (part.faces & both) != both
        return chosen


class NotLargest(Rule):
    """All but the largest component of each class; of equal ones, that whose first voxel comes first in order z, y, x."""

    def learn(self, components: Components, report: Report) -> None:
        first: dict[int, tuple[int, int, int]] = {}  # of each class: minus the voxels, the first of them, and the component
        start = np.full(components.count_crossing, np.iinfo(np.int64).max)
        for part in components:
            report(Progress(part.index, len(components.boxes), "finding the largest"))
            places = _first_voxels(part, components.frame)
            reaching = np.flatnonzero(part.crossing >= 0)
            np.minimum.at(start, part.crossing[reaching], places[reaching])
            own = np.flatnonzero((part.crossing < 0) & (part.sizes > 0))
            for key in np.unique(part.keys[own]).tolist():
                these = own[part.keys[own] == key]
                best = these[np.lexsort((places[these], -part.sizes[these]))[0]]
                first[key] = min(first.get(key, (0, 0, 0)), (-int(part.sizes[best]), int(places[best]), -1 - int(places[best])))
        for number, (key, size) in enumerate(zip(components.keys.tolist(), components.sizes.tolist(), strict=True)):
            first[key] = min(first.get(key, (0, 0, 0)), (-size, int(start[number]), number))
        self._frame = components.frame
        self._kept = {key: component for key, (_, _, component) in first.items()}

    def removed(self, part: Part) -> Chosen:
        kept = np.zeros(len(part.keys), np.bool_)
        places: npt.NDArray[np.int64] | None = None
        for key, component in self._kept.items():
            these = part.keys == key
            if component >= 0:
                kept |= these & (part.crossing == component)
            else:
                places = _first_voxels(part, self._frame) if places is None else places
                kept |= these & (part.crossing < 0) & (places == -1 - component)
        return ~kept


class All(Rule):
    """Every one."""

    measures = False

    def removed(self, part: Part) -> Chosen:
        return np.ones(len(part.keys), np.bool_)


@dataclass(frozen=True, slots=True)
class Removal:
    """What a removal did: voxels that changed, and whether some are left `PENDING`."""

    changed: int
    pending: bool


def remove(components: Components, rule: Rule, target: Target, *, to: int | None = None, report: Report = silent) -> Removal:
    """Write the labels without the components that the rule takes out; these become class `to`, or what touches them most."""
    rule.learn(components, report)
    filling = None if to is not None else _crossing_fill(components, rule, report)
    changed, pending = 0, False
    for part in components:
        report(Progress(part.index, len(components.boxes), "removing components"))
        gone = _removed(rule, part)
        labels = part.labels
        if gone.any():
            where = gone[part.numbers]
            classes = np.full(len(gone), PENDING if to is None else to, np.uint8)
            if filling is not None:
                reaching = part.crossing >= 0
                classes[reaching] = filling[part.crossing[reaching]]
                inner = np.flatnonzero(gone & ~reaching)
                classes[inner] = _fill_within(part, inner, np.where(where, np.uint8(0), labels), components.seen, components.flat)
            labels = np.where(where, classes[part.numbers], labels)
            changed += int(np.count_nonzero(labels != part.labels))
            pending = pending or bool((labels[where] == PENDING).any())
        target[part.box.slices] = labels
    return Removal(changed, pending)


def fill_pending(source: Array3D, original: Array3D, frame: Box, edge: Triple, target: Target, *, flat: bool, report: Report) -> int:
    """Fill each connected region of `PENDING` voxels with the class that touches it most; with none, what it was stays.

    Gives how many voxels became what they were at first.
    """

    def pending(labels: Labels) -> Labels:
        keys: Labels = (labels == PENDING).view(np.uint8)
        return keys

    found = Components(source, frame, edge, pending, flat=flat, measured=False, report=report)
    restoring = _Restoring(target, original, found)
    remove(found, All(), restoring, report=report)
    return restoring.same


class _Restoring:
    """A target that puts back the original labels where nothing is left to fill with."""

    def __init__(self, target: Target, original: Array3D, pending: Components) -> None:
        self._target, self._original, self._pending = target, original, pending.source
        self.same = 0

    def __setitem__(self, key: tuple[slice, slice, slice], value: Labels, /) -> None:
        asked = np.asarray(self._pending[key]) == PENDING
        if asked.any():
            original = np.asarray(self._original[key], np.uint8)
            value = np.where(value == PENDING, original, value)
            self.same += int(np.count_nonzero(asked & (value == original)))
        self._target[key] = value


def _removed(rule: Rule, part: Part) -> Chosen:
    gone = rule.removed(part)
    gone[0] = False
    return gone


def _first_voxels(part: Part, frame: Box) -> npt.NDArray[np.int64]:
    """The place of each component's first voxel within the block, counted through the frame in order z, y, x."""
    flat = part.numbers.reshape(-1)
    first = np.zeros(len(part.keys), np.int64)
    first[flat[::-1]] = np.arange(flat.size - 1, -1, -1)
    z, y, x = np.unravel_index(first, part.box.shape)
    a, b, c = part.box.within(frame).start
    return np.asarray(((z + a) * frame.shape[1] + y + b) * frame.shape[2] + x + c, np.int64)


def _fill_within(part: Part, inner: npt.NDArray[np.int64], kept: Labels, seen: npt.NDArray[np.bool_], flat: bool) -> Labels:
    """What touches the components `inner`, which lie wholly within the block, most; `kept` are the labels that stay."""
    if not inner.size:
        return np.zeros(0, np.uint8)
    table = np.zeros(len(part.keys), np.uint32)
    table[inner] = np.arange(1, len(inner) + 1)
    counts = _Contacts(len(inner), seen, flat=flat)
    counts.add_block(table[part.numbers], kept)
    return counts.most()


def _crossing_fill(components: Components, rule: Rule, report: Report) -> Labels:
    """What touches each removed component that crosses blocks most; kept ones get `PENDING`, which nobody asks for."""
    filling = np.full(components.count_crossing, PENDING, np.uint8)
    numbers = np.flatnonzero(_removed(rule, components.all_crossing())[1:])
    if not numbers.size:
        return filling
    table = np.zeros(components.count_crossing + 1, np.uint32)  # its last entry is that of -1: within a block
    table[numbers] = np.arange(1, len(numbers) + 1)
    counts = _Contacts(len(numbers), components.seen, flat=components.flat)
    front = Front(components.frame, components.edge, [np.uint32, np.uint8], flat=components.flat)
    for part in components:
        report(Progress(part.index, len(components.boxes), "looking at what touches them"))
        removed = table[part.crossing][part.numbers]
        kept = np.where(_removed(rule, part)[part.numbers], np.uint8(0), part.labels)
        counts.add_block(removed, kept)
        for (here, label), (there, other) in front.meet(part.box, [removed, kept], 1):
            counts.add(here, other)
            counts.add(there, label)
        front.push(part.box, [removed, kept])
    filling[numbers] = counts.most()
    return filling


class _Contacts:
    """How many faces each of `count` removed components, numbered from 1, shares with voxels of each class."""

    def __init__(self, count: int, seen: npt.NDArray[np.bool_], *, flat: bool) -> None:
        self._flat = flat
        present = np.flatnonzero(seen)
        self._classes = present[(present > 0) & (present < PENDING)].astype(np.uint8)
        self._column = np.zeros(256, np.int64)
        self._column[self._classes] = np.arange(1, len(self._classes) + 1)
        self._counts = np.zeros((count + 1, len(self._classes) + 1), np.int32)

    def add(self, removed: npt.NDArray[np.uint32], labels: Labels) -> None:
        """Count voxels of `removed` against the labels beside them, of the same shape; 0 is none."""
        touching = (removed > 0) & (labels > 0)
        keys = removed[touching].astype(np.int64) * self._counts.shape[1] + self._column[labels[touching]]
        found, times = np.unique(keys, return_counts=True)
        self._counts.reshape(-1)[found] += times.astype(np.int32)

    def add_block(self, removed: npt.NDArray[np.uint32], kept: Labels) -> None:
        """Count all faces within a block (z, y, x) between removed components and labels that are kept, which are 0 elsewhere."""
        for axis in range(int(self._flat), 3):
            low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
            high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
            self.add(removed[low], kept[high])
            self.add(removed[high], kept[low])

    def most(self) -> Labels:
        """The class that shares most faces with each component, the lowest of equal ones; `PENDING` where none does."""
        counts = self._counts[1:, 1:]
        if not counts.size:
            return np.full(len(counts), PENDING, np.uint8)
        best = counts.argmax(axis=1)
        return np.where(counts[np.arange(len(counts)), best] > 0, self._classes[best], np.uint8(PENDING))
