"""What a run would take, in one line: minutes, disk and memory, from one timed block."""

from dataclasses import replace
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from lithoscope._napari.background import Background
from lithoscope._napari.look import bytes_text, seconds_text
from lithoscope._napari.session import Session
from lithoscope.parameters import configured
from lithoscope.segmenters.base import REGISTRY, Segmenter
from lithoscope.volume.box import Box, Triple

SMALL = 128
"""Edge of the box that a method taught by strokes is timed on: strokes that come meanwhile share the cores with it."""


class Estimator(QObject):
    """Estimates in a thread, the last wish only, a moment after it was made; what was asked last is not measured again."""

    told = Signal(str)
    failed = Signal(object)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._wish: tuple[str, dict[str, Any], Segmenter | None] | None = None
        self._known: tuple[Any, ...] = ()
        self._words = ""
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self.failed)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(400)
        self._soon.timeout.connect(self._estimate)

    def ask(self, method: str, settings: dict[str, Any], fitted: Segmenter | None = None) -> None:
        """Estimate a run over the scan, or the image of it that is chosen, by a method that was `fitted` if it must be; `told` follows."""
        self._wish = (method, settings, fitted)
        self._soon.start()

    def known(self, method: str, settings: dict[str, Any]) -> str:
        """What was found last, if it was for this wish; nothing otherwise."""
        scan = self._session.scan
        return self._words if scan is not None and self._key(method, settings) == self._known else ""

    def cancel(self) -> None:
        """Nothing is to be estimated now."""
        self._wish = None
        self._soon.stop()

    def forget(self) -> None:
        """What was estimated no longer holds."""
        self._known = ()

    def _estimate(self) -> None:
        scan, image = self._session.scan, self._session.images.chosen
        if scan is None or self._wish is None or self._session.jobs.jobs:
            return
        name, values, fitted = self._wish
        wish = self._key(name, values)
        if wish == self._known:
            self.told.emit(self._words)
            return

        def work() -> tuple[tuple[Any, ...], Any]:
            from lithoscope.labels.predict import estimate

            if fitted is None:
                return wish, estimate(scan, configured(REGISTRY[name], values), image=image)
            part = _middle(scan.shape)
            found, times = estimate(scan, fitted, image=image, box=part), scan.box.size / part.size
            return wish, replace(found, seconds=found.seconds * times, disk_bytes=int(found.disk_bytes * times))

        self._work.start(work, self._on_estimate)

    def _key(self, method: str, settings: dict[str, Any]) -> tuple[Any, ...]:
        scan = self._session.scan
        return (str(scan.path) if scan is not None else "", self._session.images.chosen, method, repr(settings))

    def _on_estimate(self, found: tuple[tuple[Any, ...], Any]) -> None:
        self._known, estimate = found
        disk, memory = bytes_text(estimate.disk_bytes), bytes_text(estimate.memory_bytes)
        time = seconds_text(estimate.seconds) if estimate.seconds < 1 else f"about {seconds_text(estimate.seconds)}"
        self._words = f"{time} · {disk} on disk · {memory} of memory"
        if self._wish is not None:
            self.told.emit(self._words)


def _middle(shape: Triple) -> Box:
    """A small box in the middle of a scan."""
    low = [max(0, (n - SMALL) // 2) for n in shape]
    high = [min(n, a + SMALL) for n, a in zip(shape, low, strict=True)]
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
