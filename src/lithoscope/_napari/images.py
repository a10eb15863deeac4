"""Which image of the scan the methods work on and the window shows: the scan itself, or a filtered image of it."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from lithoscope._napari import layers as ours
from lithoscope._napari.shown import Shown, shown_image
from lithoscope.volume.histogram import Histogram

if TYPE_CHECKING:
    from lithoscope._napari.session import Session


class Images(QObject):
    """The images of the open scan."""

    changed = Signal()
    """Another image was chosen, or there are others to choose."""

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._session = session
        self.chosen: str | None = None
        """The name of the filtered image; None for the scan itself."""
        self.histogram: Histogram | None = None
        """The grey values of the chosen image inside the field of view."""
        session.scan_changed.connect(self._on_scan)

    def names(self) -> list[str]:
        """The filtered images of the scan."""
        return [] if self._session.scan is None else self._session.scan.images()

    def choose(self, name: str | None) -> None:
        """Show this image of the scan, and have methods work on it."""
        scan = self._session.scan
        if scan is None or name == self.chosen:
            return
        from lithoscope.volume.images import histogram_of

        def read() -> tuple[list[Shown], Histogram]:
            return shown_image(scan, name), histogram_of(scan, name)

        def show(found: tuple[list[Shown], Histogram]) -> None:
            layer = self._session.layer("image")
            if self._session.scan is not scan or layer is None:
                return
            self.chosen, (data, self.histogram) = name, found
            layer.data = data if layer.multiscale else data[0]
            layer.contrast_limits = self.histogram.window() if self.histogram.total else (0.0, 1.0)
            layer.name = ours.layer_name(scan.name, "image") if name is None else f"{scan.name} · {name} image"
            self.changed.emit()

        self._session.reading.start(read, show)

    def _on_scan(self) -> None:
        scan = self._session.scan
        self.chosen = None
        self._session.previewing.clear()
        self.histogram = None if scan is None else scan.histogram
        self.changed.emit()
