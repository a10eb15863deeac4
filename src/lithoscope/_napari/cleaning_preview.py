"""The plane in view as steps of a cleaning would leave it: computed in a thread, shown in the place of the result."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.opening import corrections_of
from lithoscope._napari.preview import Plane
from lithoscope.job import Cancelled, Progress
from lithoscope.labels.cleaning.steps import Step

if TYPE_CHECKING:
    from lithoscope._napari.session import Session
    from lithoscope.labels.clean_preview import Previewed

REST_MS = 120
"""How long slider and settings rest before the plane is cleaned."""


class CleaningPreview(QObject):
    """On while `steps` are asked for; `tell` hears what the preview says of itself, and whether that is bad."""

    def __init__(self, session: "Session", tell: Callable[[str, bool], None]) -> None:
        super().__init__(session)
        self._session, self._tell = session, tell
        self._steps: tuple[Step, ...] = ()
        self._on = False
        self._wish: object = None
        self._source: tuple[str, Any, Any] | None = None
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_failed)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(REST_MS)
        self._soon.timeout.connect(self._clean)
        session.plane_changed.connect(self._again)
        session.painting.painted.connect(self._again)
        session.closing.connect(self._work.close)

    @property
    def on(self) -> bool:
        return self._on

    def ask(self, steps: Sequence[Step]) -> None:
        """Show the plane in view after these steps, now and whenever the slider moves."""
        self._steps, self._on = tuple(steps), True
        self._session.previewing.begin(self)  # so that no method shows the plane meanwhile
        self._soon.start()

    def renew(self) -> None:
        """The result or its corrections are other than they were: they are read anew."""
        self._source = None

    def stop(self) -> None:
        """Show the result again."""
        self._wish, self._source = None, None
        self._soon.stop()
        if not self._on:
            return
        self._on = False
        if self._session.previewing.has(self):
            self._session.hide_preview()
        self._session.previewing.end(self)
        self._session.stack.bring_back("result")

    def _again(self, *_: object) -> None:
        if self._on:
            self._soon.start()

    def _clean(self) -> None:
        session = self._session
        scan, plane, name = session.scan, session.plane(), session.shown
        if not self._on or not session.previewing.has(self) or scan is None or plane is None or not name:
            return
        steps, live = self._steps, session.painting.corrected if session.correcting else None
        wish = self._wish = object()
        self._tell("cleaning this plane …", False)

        def report(progress: Progress) -> None:
            if self._wish is not wish:
                raise Cancelled

        def work() -> "tuple[Plane, str, Previewed]":
            from lithoscope.labels.clean_preview import preview_plane
            from lithoscope.labels.results import open_result

            known = self._source
            if known is None or known[0] != name:
                found = open_result(scan, name)
                known = self._source = (name, found, corrections_of(scan, found) or found.array)
            _, found, source = known
            return plane, name, preview_plane(scan, found, live or source, steps, plane.axis, plane.index, report=report)

        self._work.start(work, self._show)

    def _show(self, found: "tuple[Plane, str, Previewed]") -> None:
        plane, name, made = found
        session = self._session
        if not self._on or not session.previewing.has(self) or plane != session.plane() or name != session.shown:
            return
        session.show_preview(made.labels, made.classes, made.origin, factor=made.factor)
        if not session.correcting:  # what is painted on stays in sight
            session.stack.put_away("result")
        words = f"{made.changed:,} voxels of this plane change." if made.changed else "Nothing changes on this plane."
        self._tell(f"{words} {made.note}".strip(), False)

    def _on_failed(self, error: BaseException) -> None:
        if isinstance(error, Cancelled):
            return
        if self._session.previewing.has(self):
            self._session.hide_preview()
        self._session.stack.bring_back("result")
        self._tell(sentence(error), True)
