"""The loop that people paint in: a stroke, the plane as the method sees it now, a score, and the place where it is least sure.

One thread answers, from kept features; another scores and prepares what comes next. A newer wish ends the one in work at its next
window; what was learnt stays.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from lithoscope._napari.background import Background
from lithoscope._napari.preview import Plane
from lithoscope.classes import ClassTable
from lithoscope.job import Cancelled
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope._napari.journalled import Journal
    from lithoscope.labels.live import LivePreview, View
    from lithoscope.segmenters.base import Segmenter
    from lithoscope.volume.scan import Scan

REFRESH_S = 0.25
"""A plane that takes longer is shown piece by piece, so often."""
QUIET_S = 0.4
"""Planes nobody looks at yet are prepared once nothing was moved for so long."""
MORE_PLANES = 2
"""How many planes beside the one in view are asked at a time for a doubtful place."""
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Wish:
    """What is to be known now. `version` counts the strokes; `focus` is the place (z, y, x) that is answered for first."""

    scan: "Scan"
    strokes: "Journal"
    classes: ClassTable
    method: str
    values: dict[str, Any]
    version: int
    painted: bool
    plane: Plane | None
    focus: Triple = (0, 0, 0)
    image: str | None = None
    certain: bool = False
    seek: bool = False
    shown: tuple[Triple, ...] = ()


@dataclass(frozen=True, eq=False)
class Seen:
    """A plane as the method sees it: `labels` (z, y, x), one thick, 0 where nothing is said yet; `certainty` (0…1) if it was wished for."""

    plane: Plane
    box: Box
    labels: npt.NDArray[np.uint8]
    certainty: npt.NDArray[np.float32] | None
    classes: ClassTable
    version: int
    whole: bool
    scan: "Scan | None" = None


@dataclass
class _Taught:
    """The method that is being taught, and what has been asked of it since its last lesson."""

    key: tuple[Any, ...]
    live: "LivePreview"
    learnt: int = -1
    rated: int = -1
    views: dict[Plane, "View"] = field(default_factory=dict)
    last: Seen | None = None


Answered = tuple[_Taught, Wish, threading.Event]


class Live(QObject):
    """Answers wishes one after the other; only the newest counts."""

    seen = Signal(object)
    """A plane, whole or as far as it is known (`Seen`)."""
    scored = Signal(object)
    """Held-out scores, or under `missing` what to paint for them."""
    doubtful = Signal(object)
    """The place (z, y, x) where the method is least sure, or None."""
    failed = Signal(object)
    working = Signal(str)
    """What takes a while, or nothing when it is done."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = Background(self, newest_only=True)
        self._thread.failed.connect(self.failed)
        self._idle = Background(self, newest_only=True)
        self._idle.failed.connect(self.failed)
        self._stale = threading.Event()
        self._taught: _Taught | None = None
        self._touched = 0.0
        self._closed = threading.Event()

    @property
    def fitted(self) -> "Segmenter | None":
        """The method as it was taught last, or None."""
        return None if self._taught is None else self._taught.live.fitted

    def ask(self, wish: Wish) -> None:
        """Answer this wish instead of the one in work."""
        stale = self._renewed()
        self._thread.start(lambda: self._answer(wish, stale), self._on_answered)

    def stop(self) -> None:
        """Leave off at the next window."""
        self._renewed()

    def touched(self) -> None:
        """The person moves something: what nobody waits for is put off."""
        self._touched = time.monotonic()

    def close(self) -> None:
        """Leave off, and answer no more."""
        self.stop()
        self._closed.set()
        self._thread.close()
        self._idle.close()

    def _renewed(self) -> threading.Event:
        self._stale.set()
        self._stale = threading.Event()
        self.touched()
        return self._stale

    def _answer(self, wish: Wish, stale: threading.Event) -> Answered | None:
        def check() -> None:
            if stale.is_set():
                raise Cancelled

        try:
            check()
            taught = self._for(wish)
            if wish.painted:
                self._learn(taught, wish, check)
                if wish.plane is not None:
                    self._look(taught, wish, wish.plane, check)
                if wish.seek:
                    self._seek(taught, wish, check)
                self.working.emit("")
        except Cancelled:
            return None
        return taught, wish, stale

    def _on_answered(self, answered: Answered | None) -> None:
        """The picture is there: what is not waited for is done in a thread of its own, which a stroke that follows does not wait for."""
        if answered is not None:
            self._idle.start(lambda: self._finish(*answered))

    def _finish(self, taught: _Taught, wish: Wish, stale: threading.Event) -> None:
        """The score, and the planes that may be looked at next, once nothing has been moved for a while."""

        def wait() -> None:
            while not stale.is_set() and time.monotonic() - self._touched < QUIET_S:
                stale.wait(QUIET_S / 2)
            if stale.is_set():
                raise Cancelled

        def pause() -> None:
            """Leave the cores to a stroke, and go on with the window that was begun once it is answered for."""
            while time.monotonic() - self._touched < QUIET_S or self._thread.busy:
                if self._closed.wait(QUIET_S / 4):
                    raise Cancelled

        try:
            wait()
            if wish.painted:
                self._rate(taught, wish, wait)
            if wish.plane is not None:
                for _ in taught.live.prepare(across(wish.scan, wish.plane), wait, pause=pause):
                    wait()
        except Cancelled:
            return

    def _for(self, wish: Wish) -> _Taught:
        key = (id(wish.scan), wish.method, repr(sorted(wish.values.items())), wish.image)
        if self._taught is None or self._taught.key != key:
            from lithoscope.labels.live import LivePreview
            from lithoscope.parameters import configured
            from lithoscope.segmenters.base import segmenter

            former = self._taught
            cache = former.live.features.cache if former is not None and former.key[0] == key[0] else None
            method = configured(segmenter(wish.method), wish.values)
            self._taught = _Taught(key, LivePreview(wish.scan, method, image=wish.image, cache=cache))
        return self._taught

    def _learn(self, taught: _Taught, wish: Wish, check: Callable[[], None]) -> None:
        if taught.learnt == wish.version:
            return
        if taught.live.fitted is None:
            self.working.emit("learning …")
        taught.live.learn(wish.strokes, wish.classes, check)
        taught.learnt = wish.version
        taught.views.clear()

    def _look(self, taught: _Taught, wish: Wish, plane: Plane, check: Callable[[], None]) -> None:
        """The plane window by window, those around the focus first; told when it is whole, and now and then before."""
        from lithoscope.labels.live import View

        box = across(wish.scan, plane)
        known = taught.views.get(plane)
        if known is not None and (known.certainty is not None or not wish.certain):
            self._tell(taught, wish, plane, known, whole=True)
            return
        former = taught.last
        same = former is not None and former.plane == plane
        labels = former.labels.copy() if same and former is not None else np.zeros(box.shape, np.uint8)
        certainty = np.ones(box.shape, np.float32) if wish.certain else None
        told = time.monotonic()
        for found in taught.live.look(box, check, certain=wish.certain, focus=wish.focus):
            place = found.box.within(box).slices
            labels[place] = found.labels
            if certainty is not None:
                certainty[place] = found.certainty
            if time.monotonic() - told > REFRESH_S:
                told = time.monotonic()
                self.working.emit("looking at the plane …")
                so_far = View(box, labels.copy(), None if certainty is None else certainty.copy())
                self._tell(taught, wish, plane, so_far, whole=False)
        view = taught.views[plane] = View(box, labels, certainty)
        self._tell(taught, wish, plane, view, whole=True)

    def _tell(self, taught: _Taught, wish: Wish, plane: Plane, view: "View", *, whole: bool) -> None:
        assert taught.live.fitted is not None
        taught.last = Seen(plane, view.box, view.labels, view.certainty, taught.live.fitted.classes_, wish.version, whole, wish.scan)
        self.seen.emit(taught.last)

    def _seek(self, taught: _Taught, wish: Wish, check: Callable[[], None]) -> None:
        """The least certain place of the planes that are known, after a few more of them were asked."""
        self.working.emit("looking for a doubtful place …")
        if wish.plane is not None:
            known = {plane: view for plane, view in taught.views.items() if view.certainty is not None}
            new = [] if wish.plane in known else [wish.plane]
            for plane in new + spread(wish.scan.shape, wish.plane, known, MORE_PLANES):
                check()
                taught.views[plane] = taught.live.view(across(wish.scan, plane), check)
        self.doubtful.emit(taught.live.doubtful(list(taught.views.values()), wish.shown))

    def _rate(self, taught: _Taught, wish: Wish, check: Callable[[], None]) -> None:
        if taught.rated != wish.version:
            taught.live.rate(wish.strokes, wish.classes, check)
            taught.rated = wish.version
        self.scored.emit(taught.live.scores)


def across(scan: "Scan", plane: Plane) -> Box:
    """The box of a plane of the scan."""
    start, stop = [0, 0, 0], list(scan.shape)
    start[plane.axis], stop[plane.axis] = plane.index, plane.index + 1
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def spread(shape: Triple, beside: Plane, known: "dict[Plane, View]", count: int) -> list[Plane]:
    """Up to so many planes that are not known yet, spread over the scan along the axis of the one in view."""
    length, found = shape[beside.axis], []
    for step in range(1, length + 1):
        plane = Plane(beside.axis, int((beside.index / length + step * GOLDEN) % 1 * length))
        if plane != beside and plane not in known and plane not in found:
            found.append(plane)
        if len(found) == count:
            break
    return found
