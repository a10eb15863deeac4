"""The answer on the plane in view while somebody paints: fitted on the strokes, asked window by window, cancelled between any two.

Features come from windows that are kept, so that a stroke costs a fit and an answer, not the filters again. Nothing here knows
a viewer or a layer: the caller runs it where it likes and passes `check`, which raises to end it or waits to yield. Windows are
answered for on all cores, each in one thread: threads that share one window wait for each other longer than they work, above
all where cores are shared with other programs.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.features.base import Extractor
from lithoscope.features.cache import LIMIT, FeatureCache
from lithoscope.features.windows import ScanFeatures, windows, windows_of
from lithoscope.job import Progress
from lithoscope.labels.grey_values import GreyValues
from lithoscope.labels.kept_tokens import cache_of
from lithoscope.labels.painted import Painted
from lithoscope.labels.predict import resolved
from lithoscope.labels.samples import StrokeSamples, Taught, score
from lithoscope.segmenters.base import Block, Segmenter
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.scan import Scan

Check = Callable[[], None]
Item = TypeVar("Item")
Made = TypeVar("Made")
MOST_THREADS = 4
APART = 24
"""Voxels between two doubtful places that are shown one after the other, and between one and what is painted."""
AROUND = 7
"""Doubt is averaged over squares of this edge, so that a place is doubtful and not a voxel."""


def go_on() -> None:
    """The check of a caller who never cancels."""


@dataclass(frozen=True, eq=False)
class View:
    """The answer on a box one voxel thick: `labels` (z, y, x), 0 outside the field of view, and `certainty` 0…1 of the same shape.

    Certainty is how far the best class is ahead of the second; None where it was not asked for, since it costs more than the labels.
    """

    box: Box
    labels: npt.NDArray[np.uint8]
    certainty: npt.NDArray[np.float32] | None


class LivePreview:
    """One scan, one method, and what it has learnt so far. `scores` are those on held-out strokes, as `labels.samples.score` gives."""

    def __init__(self, scan: Scan, method: Segmenter, *, image: str | None = None, cache: FeatureCache | None = None) -> None:
        self.scan, self.image = scan, image
        self.method, self.notes = resolved(scan, copy(method))
        if reason := self.method.not_live():
            raise InputError(reason)
        window = None if image is None else GreyValues(scan, image).histogram().window()
        kept = cache or FeatureCache(scan.sidecar / "cache", limit=0 if scan.readonly else LIMIT)
        self.features = ScanFeatures(scan, image, window=window, cache=kept)
        self.fitted: Segmenter | None = None
        self.painted: Painted | None = None
        self.scores: dict[str, Any] = {}
        self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS), "live", initializer=_alone)
        self._aside = ThreadPoolExecutor(1, "live-aside", initializer=_alone)
        """What nobody waits for has a thread of its own: the others stay free for a stroke."""

    def learn(self, labels: Array3D, classes: ClassTable, check: Check = go_on) -> None:
        """Fit on what is painted now; until it ends, `view` answers as before."""
        painted = self._painted(labels)
        self._check_planes(painted.across)
        self._keep(painted, check)
        samples = self._samples(painted, classes)
        self.fitted = self._pool.submit(lambda: copy(self.method).fit(samples, report=_reporting(check))).result()
        self.painted = painted

    def rate(self, labels: Array3D, classes: ClassTable, check: Check = go_on) -> dict[str, Any]:
        """Score on strokes held back from a fit of its own; `missing` says what to paint when there are too few."""
        painted = self._painted(labels)
        holding = self._samples(painted, classes).scored(self.method.halo(), int(getattr(self.method, "seed", 0)))
        assert holding.split is not None
        if holding.split.lacking:
            self.scores = {"missing": holding.split.lacking}
        else:
            self._keep(painted, check)
            fit = self._aside.submit(lambda: score(copy(self.method).fit(holding, report=_reporting(check)), holding))
            self.scores = fit.result()
        return self.scores

    def view(self, box: Box, check: Check = go_on, *, certain: bool = True) -> View:
        """The answer on a box that is one voxel thick along some axis: a plane, or the part of one that is in view."""
        labels, certainty = np.zeros(box.shape, np.uint8), np.zeros(box.shape, np.float32) if certain else None
        for part in self.look(box, check, certain=certain):
            place = part.box.within(box).slices
            labels[place] = part.labels
            if certainty is not None:
                certainty[place] = part.certainty
        return View(box, labels, certainty)

    def look(self, box: Box, check: Check = go_on, *, certain: bool = True, focus: Triple | None = None) -> Iterator[View]:
        """The same window by window as they are answered for, those nearest to `focus` first."""
        if self.fitted is None:
            raise self.method.unfitted()
        fitted, axis = self.fitted, axis_across(box)
        self._check_planes(axis)
        parts = [part.intersect(box) for part in windows(box, axis, self.scan.shape)]
        if focus is not None:
            parts.sort(key=lambda part: distance(part, focus))
        yield from _each(self._pool, lambda part: self._view(fitted, part, axis, check, certain=certain), parts)

    def _view(self, fitted: Segmenter, part: Box, axis: int, check: Check, *, certain: bool) -> View:
        check()
        certainty: npt.NDArray[np.float32] | None
        if fitted.live and len(fitted.extractors()) == 1:
            window = next(windows(part, axis, self.scan.shape))
            features = self.features.of_window(window, axis, fitted.extractors()[0])[(slice(None), *part.within(window).slices)]
            labels, certainty = fitted.by_features(features, certain=certain)
        else:
            labels, certainty = _best(self._scores(fitted, part))
        inside = self.scan.inside(part)
        if inside is not None:
            labels = labels * inside
            if certainty is not None:
                certainty[~inside] = 1
        return View(part, labels, certainty)

    def prepare(self, box: Box, check: Check = go_on, *, near: int = 2, pause: Check = go_on) -> Iterator[int]:
        """Work out the windows that are not kept yet: of the plane in view, then of painted planes, then of those beside the view.

        Yields the number of windows worked out so far, after each; the caller stops asking when it has something better to do.
        `pause` is called within a window, many times a second, and may wait: in space a window takes half a second of a core.
        """
        done = 0
        for part, axis, extractor in self._wanted(box, near):
            check()
            if not self.features.has(part, axis, extractor):
                self._aside.submit(self.features.of_window, part, axis, extractor, pause).result()
                done += 1
                yield done

    def doubtful(self, views: Sequence[View], shown: Sequence[Triple] = ()) -> Triple | None:
        """The place (z, y, x) of the least certain square of these views, away from what is painted and from those `shown` before."""
        from scipy.ndimage import uniform_filter

        worst: tuple[float, Triple] | None = None
        taken = [np.array(shown, np.int64).reshape(-1, 3)]
        if self.painted is not None:
            taken.append(self.painted.places)
        avoided = np.concatenate(taken)
        for view in views:
            if view.certainty is None:
                continue
            doubt = 1 - view.certainty
            doubt[view.labels == 0] = 0
            mean = uniform_filter(doubt, [min(AROUND, n) for n in doubt.shape], mode="nearest")
            mean[view.labels == 0] = 0
            _blank(mean, view.box, avoided)
            place = np.unravel_index(int(mean.argmax()), mean.shape)
            if mean[place] > 0 and (worst is None or float(mean[place]) > worst[0]):
                z, y, x = (int(p) + a for p, a in zip(place, view.box.start, strict=True))
                worst = (float(mean[place]), (z, y, x))
        return None if worst is None else worst[1]

    def _check_planes(self, across: int) -> None:
        """Refuse planes for which too many tokens would have to be worked out: the network looks across another axis."""
        cache = cache_of(self.scan, self.method, self.image)
        if cache is not None and cache.tokens.axes != (across,) and not cache.complete:
            wanted = "all axes" if len(cache.tokens.axes) > 1 else "zyx"[cache.tokens.axes[0]]
            where = f"set plane={'zyx'[across]}, or run it on the volume once"
            raise InputError(f"the network looks at planes across {wanted}; for a preview of planes across {'zyx'[across]} {where}")

    def _painted(self, labels: Array3D) -> Painted:
        inside = self.scan.inside if self.scan.field_of_view is not None else None
        return Painted.of(labels, inside, flat=self.scan.separate_slices)

    def _samples(self, painted: Painted, classes: ClassTable) -> StrokeSamples:
        return StrokeSamples.of([Taught(self.scan, painted, self.features)], classes, self.method)

    def _keep(self, painted: Painted, check: Check) -> None:
        """Work out the windows of what is painted that are not kept yet, on all cores."""
        across = painted.across
        parts = [part for part, _ in windows_of(painted.places, across, self.scan.shape)]
        lacking = [(p, e) for e in self.method.extractors() for p in parts if not self.features.has(p, across, e)]

        def make(wanted: tuple[Box, Extractor]) -> None:
            check()
            self.features.of_window(wanted[0], across, wanted[1])

        for _ in _each(self._pool, make, lacking):
            check()

    def _scores(self, fitted: Segmenter, box: Box) -> npt.NDArray[np.float32]:
        featured = bool(fitted.extractors())
        grown = box if featured else box.grow(fitted.halo())
        core = box.within(grown).slices
        block = Block(
            image=read(self.features.array, grown), core=core, window=self.features.window, origin=grown.start,
            voxel=self.scan.voxel, source=partial(self.features, grown) if featured else None, tokens=self.features,
        )  # fmt: skip
        return fitted.scores(block)[(slice(None), *core)]

    def _wanted(self, box: Box, near: int) -> Iterator[tuple[Box, int, Extractor]]:
        axis = axis_across(box)
        planes = [(box, axis)]
        if self.painted is not None and len(self.painted):
            across = self.painted.across
            edge = [256, 256, 256]
            edge[across] = 1
            planes += [(part, across) for part, _ in self.painted.boxes((edge[0], edge[1], edge[2]))]
        for step in [s for n in range(1, near + 1) for s in (n, -n)]:
            by = [0, 0, 0]
            by[axis] = step
            moved = box.shift((by[0], by[1], by[2])).intersect(self.scan.box)
            planes += [(moved, axis)] if moved.size else []
        for extractor in self.method.extractors():
            for plane, across in planes:
                for part in windows(plane, across, self.scan.shape):
                    yield part, across, extractor


def axis_across(box: Box) -> int:
    """The axis along which a box is thinnest."""
    return min(range(3), key=lambda a: (box.shape[a], a))


def _best(scores: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The best class 1…n by scores (classes, …), the first of equals, and how far it is ahead of the second."""
    best, first, second = np.ones(scores.shape[1:], np.uint8), scores[0].copy(), np.zeros(scores.shape[1:], np.float32)
    for c in range(1, len(scores)):
        ahead = scores[c] > first
        best[ahead] = c + 1
        np.maximum(second, np.minimum(first, scores[c]), out=second)
        np.maximum(first, scores[c], out=first)
    return best, first - second


def _blank(mean: npt.NDArray[np.float32], box: Box, places: npt.NDArray[np.int64]) -> None:
    """Put 0 around places (n, 3) near a box."""
    start, stop = np.array(box.start), np.array(box.stop)
    close = ((places >= start - APART) & (places < stop + APART)).all(axis=1)
    for place in np.unique(places[close] // 8, axis=0) * 8 + 4:
        z, y, x = (slice(max(0, int(p - a) - APART), max(0, int(p - a) + APART + 1)) for p, a in zip(place, start, strict=True))
        mean[z, y, x] = 0


def distance(box: Box, place: Triple) -> float:
    """How far the middle of a box is from a place, squared."""
    return float(sum(((a + b) / 2 - p) ** 2 for a, b, p in zip(box.start, box.stop, place, strict=True)))


def _each(pool: ThreadPoolExecutor, work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `work` makes of each, in order; what was not begun when one fails, or when nobody asks on, is left undone."""
    waiting: deque[Future[Made]] = deque(pool.submit(work, item) for item in items)
    try:
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _alone() -> None:
    """This thread computes by itself; torch would otherwise share its every product between all cores."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


def _reporting(check: Check) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        check()

    return report
