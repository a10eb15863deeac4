"""Touching grains or pores of a class told apart, each with a number of its own, in a result of uint32.

Every voxel belongs to the summit of the distance to other classes that the steepest way up leads to; summits that do not rise enough
above the saddle to a higher one are parts of the same grain. The grains are the same whatever the blocks.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, TakenError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels import results
from lithoscope.labels.budget import check_disk
from lithoscope.labels.classes_file import known_classes
from lithoscope.labels.clean import frame_of
from lithoscope.labels.cleaned import cleanings
from lithoscope.labels.cleaning.front import Front, Looked, Sliced
from lithoscope.labels.cleaning.scratch import Scratch
from lithoscope.labels.corrections import corrected
from lithoscope.labels.in_view import InView
from lithoscope.labels.separation.ascent import DIRECTIONS, ascend, touching
from lithoscope.labels.separation.basins import FORCED, Numbers, Saddles, flooded
from lithoscope.labels.separation.distance import Distances, block_distances, spacing_of
from lithoscope.labels.separation.regions import Regions, highest
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.store import folder_bytes

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

HEIGHT = 1.0
"""By how much a summit must rise above its saddle to be a grain of its own, in voxels of the shortest edge, unless told otherwise."""
DEPTH = 26
"""The number of a direction and of a voxel make one number: more than there are directions."""


def separate(
    scan: "Scan", result: str, *, output: str, id: int = 1, height: float = HEIGHT, overwrite: bool = False, report: Report = silent
) -> RunRecord:
    """Make the result `output`: the grains of class `id` of `result`, corrections included, numbered from 1; 0 is everything else.

    A summit of the distance counts as a grain if it rises by at least `height` (in voxels of the shortest edge) above the saddle to a
    higher one: more of it splits less.
    """
    start = time.perf_counter()
    if not height > 0:
        raise InputError(f"height {height:g} is not above 0; 1 splits what touches, 2 or 3 split less")
    if output == result:
        raise InputError(f"{result} would be replaced by what is made from it; give the separated result another name")
    if output in results.results(scan) and not overwrite:
        raise TakenError(f"{scan.name} has a result {output} already; choose another name, or overwrite it: --overwrite")
    found = results.open_result(scan, result)
    named = known_classes(scan, found.classes)[id]
    frame, flat = frame_of(scan, found.box), scan.separate_slices or scan.shape[0] == 1
    spacing = spacing_of(None if scan.voxel is None else scan.voxel.size, flat=flat)
    check_disk(scan.labels_folder, 4 * folder_bytes(found.path))
    with corrected(scan, found, readonly=True) as source, Scratch(scan) as scratch:
        numbers = scratch.array(np.uint32)
        seen = InView(source, scan.field_of_view)
        grains = find_grains(seen.read, id, frame, scan.shard, numbers, spacing=spacing, height=height, flat=flat, report=report)
        if not grains.count:
            raise InputError(f"{result} has no voxel of class {id} {named.name} within the field of view; there is nothing to separate")
        draft = RunRecord(
            "separate",
            "separate",
            {"class": id, "height": height},
            {
                "uuid": scan.uuid,
                "name": scan.name,
                "result": result,
                "result_record": found.record.to_json(),
                "corrected_voxels": source.changed_voxels,
                "cleanings": cleanings(scan, result, source),
                "shape": list(scan.shape),
                "box": None if found.box == Box.whole(scan.shape) else found.box.to_json(),
                "field_of_view": None if scan.field_of_view is None else scan.field_of_view.to_json(),
            },
            output=output,
            learnt={"grains": grains.count},
            notes=["each slice was separated by itself: the slices are separate images"] if flat and scan.shape[0] > 1 else [],
        )
        with results.create(scan, output, draft, ClassTable(), overwrite=overwrite, dtype=np.uint32) as writer:
            try:
                todo = blocks(frame, scan.shard)
                for done, box in enumerate(todo):
                    report(Progress(done, len(todo), "writing"))
                    writer.write(box, grains.names[np.asarray(numbers[box.slices])])
                record = replace(draft, seconds=round(time.perf_counter() - start, 3))
                writer.finish(record)
            except BaseException:
                writer.abandon()
                raise
    return record


@dataclass(frozen=True, slots=True, eq=False)
class Grains:
    """How many grains there are, and the one, from 1, that each number in the volume stands for; `names[0]` is 0."""

    count: int
    names: npt.NDArray[np.uint32]


def find_grains(
    labels: Callable[[Box], npt.NDArray[np.uint8]],
    id: int,
    frame: Box,
    edge: Triple,
    target: Any,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    height: float = HEIGHT,
    flat: bool = False,
    report: Report = silent,
) -> Grains:
    """Write provisional numbers to `target` (z, y, x, uint32) and find which of them are one grain."""
    front = Front(frame, edge, [np.uint32, np.float32, np.int64, np.int64], flat=flat)
    regions = Regions(height)
    todo = blocks(frame, edge)
    for done, box in enumerate(todo):
        report(Progress(done, len(todo), "finding grains"))
        part = _Part.of(labels, id, box, frame, spacing, height, flat)
        numbers = part.numbers(regions.count)
        target[box.slices] = numbers
        regions.add(part.tops, part.places, part.saddles)
        sides: list[Sliced] = [numbers, part.values, _FramePlaces(box, frame), Looked(part.onward, part.onward_places)]
        for here, there in front.meet(box, sides, 3):
            regions.meet(_across(here, there, frame))
        front.push(box, sides)
        del part, numbers, sides
        if done + 1 < len(todo) and todo[done + 1].start[1] != box.start[1]:  # a row of blocks is done
            unfinished = np.zeros(regions.count + 1, np.bool_)
            for planes in front.held(0):
                unfinished[planes] = True
            regions.settle(unfinished[1:])
    regions.settle()
    return Grains(*regions.numbered())


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The grains of a block as far as it knows: their summits' heights and places in the frame, and the saddles between them."""

    summits: npt.NDArray[np.int32]
    names: Numbers
    tops: Distances
    places: Numbers
    saddles: Saddles
    values: Distances
    onward: npt.NDArray[np.int32]
    onward_places: Numbers

    @classmethod
    def of(
        cls,
        labels: Callable[[Box], npt.NDArray[np.uint8]],
        id: int,
        box: Box,
        frame: Box,
        spacing: tuple[float, float, float],
        height: float,
        flat: bool,
    ) -> "_Part":
        """What is in the block at `box`."""
        grown = box.grow((1, 1, 1)).intersect(frame)
        distances = block_distances(labels, id, grown, frame, spacing)
        core = box.within(grown).slices
        ways = ascend(distances, core, flat=flat)
        values = np.ascontiguousarray(distances[core])
        saddles = _within(ways.summits, values, ways.values, box, frame, height, flat)
        free = ~ways.leaves
        free[_at_faces(ways.summits, box, frame) - 1] = False
        names, left = flooded(ways.values, saddles, height, free)
        count = int(names.max()) + 1 if names.size else 0
        own = _FramePlaces(box, frame)[...].reshape(-1)[ways.places]
        tops, places = highest(names, ways.values, own, count)
        onward_places = _FramePlaces(grown, frame)[...].reshape(-1)
        return cls(ways.summits, names, tops, places, left, values, ways.onward, onward_places)

    def numbers(self, before: int) -> npt.NDArray[np.uint32]:
        """The number of each voxel's grain, counted on from `before`; 0 where there is none."""
        table = np.zeros(len(self.names) + 1, np.uint32)
        table[1:] = self.names + (before + 1)
        return table[self.summits]


@dataclass(frozen=True, slots=True)
class _FramePlaces:
    """The place of each voxel of a box, counted through the frame in order z, y, x."""

    box: Box
    frame: Box

    def __getitem__(self, key: Any, /) -> Numbers:
        at = self.box.within(self.frame).slices
        z, y, x = (np.broadcast_to(axis, self.box.shape)[key] for axis in np.ogrid[at])
        _, height, width = self.frame.shape
        places: Numbers = (z * height + y) * width + x
        return places


def _at_faces(summits: npt.NDArray[np.int32], box: Box, frame: Box) -> npt.NDArray[np.int64]:
    """The summits, from 1, that reach a face which the block shares with another."""
    found = [np.zeros(0, np.int32)]
    for axis in range(3):
        for side, (a, b) in enumerate(((box.start, frame.start), (box.stop, frame.stop))):
            if a[axis] != b[axis]:
                found.append(np.unique(np.take(summits, -side, axis)))
    every = np.unique(np.concatenate(found)).astype(np.int64)
    return every[every > 0]


def _within(summits: npt.NDArray[np.int32], values: Distances, tops: Distances, box: Box, frame: Box, height: float, flat: bool) -> Saddles:
    """The highest saddles between the summits of a block, but those that no two of them could ever be joined by."""
    shape = box.shape
    places = _FramePlaces(box, frame)[...]
    found = []
    for number, first, second in touching(shape, flat=flat):
        a, b = summits[first], summits[second]
        where = (a != b) & (a > 0) & (b > 0)
        if not where.any():
            continue
        pairs = np.stack([a[where], b[where]]).astype(np.int64) - 1
        low = np.minimum(values[first][where], values[second][where])
        kept = np.minimum(tops[pairs[0]], tops[pairs[1]]) - low < np.float32(height)
        at = places[first][where][kept] * DEPTH + number
        found.append(Saddles(pairs[:, kept], low[kept], at).highest(len(tops)))
    return Saddles.joined(found)


def _across(here: tuple[npt.NDArray[Any], ...], there: tuple[npt.NDArray[Any], ...], frame: Box) -> Saddles:
    """The saddles between voxels on both sides of a face; where one's way up goes on to the other they are one."""
    own, value, place, onward = (a.reshape(-1) for a in here)
    other, far, behind, way = (a.reshape(-1) for a in there)
    where = (own > 0) & (other > 0)
    own, value, place, onward, other, far, behind, way = (a[where] for a in (own, value, place, onward, other, far, behind, way))
    heights = np.where((onward == behind) | (way == place), FORCED, np.minimum(value, far)).astype(np.float32)
    first, second = np.minimum(place, behind), np.maximum(place, behind)
    steps = np.stack(np.unravel_index(second, frame.shape)) - np.stack(np.unravel_index(first, frame.shape))
    keys = (steps[0] * 9 + steps[1] * 3 + steps[2]).astype(np.int64)
    numbers = np.zeros(14, np.int64)
    for number, (z, y, x) in enumerate(DIRECTIONS):
        numbers[z * 9 + y * 3 + x] = number
    pairs = np.stack([own, other]).astype(np.int64) - 1
    return Saddles(pairs, heights, first * DEPTH + numbers[keys]).highest(int(pairs.max(initial=0)) + 1)
