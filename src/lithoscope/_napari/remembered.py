"""What a scan remembers of its window: method, settings, image and result on show, place of the sliders: `window.json` of its sidecar."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QWidget

from lithoscope._napari.actions import plain
from lithoscope._napari.session import Session
from lithoscope.errors import StorageError
from lithoscope.volume.store import write_json

if TYPE_CHECKING:
    from lithoscope._napari.method_panel import MethodPanel

NAME = "window.json"


class Remembered(QObject):
    """Restores the state of the Segment dock with its scan, and keeps it a moment after it changed."""

    def __init__(self, session: Session, methods: "MethodPanel", hints: QWidget) -> None:
        super().__init__(methods)
        self._session = session
        self._methods = methods
        self._hints = hints
        self._ready = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(500)
        self._later.timeout.connect(self.save)
        methods.form.changed.connect(self._on_change)
        methods.method.currentIndexChanged.connect(self._on_change)
        methods.plot.settled.connect(self._on_change)
        session.results_changed.connect(self._on_change)
        session.plane_changed.connect(self._on_change)
        session.images.changed.connect(self._on_change)

    def on_scan(self) -> None:
        """Show the scan as it was left."""
        self._ready = False
        scan = self._session.scan
        if scan is None:
            return
        state = self._load()
        self._hints.setVisible(not hints_file().exists())
        if state.get("method"):
            self._methods.choose(str(state["method"]), state.get("settings") or {})
        if state.get("image") in self._session.images.names():
            self._session.images.choose(state["image"])
        if state.get("shown") in self._session.results():
            self._session.show_result(state["shown"])
        point = state.get("point")
        if isinstance(point, list) and len(point) == self._session.viewer.dims.ndim:
            self._session.viewer.dims.point = point
        self._ready = True

    def hints_read(self) -> None:
        """The person has read the hints of a first run; they are not shown again, for any scan."""
        self._hints.hide()
        try:
            write_json(hints_file(), {"read": True})
        except StorageError:
            return  # they will be shown once more

    def save(self) -> None:
        """Keep the state now."""
        scan = self._session.scan
        if scan is None or self._session.readonly or not scan.path.exists():
            return
        state = {
            "method": self._methods.name,
            "settings": plain(self._methods.values()) if not self._methods.form.error() else {},
            "image": self._session.images.chosen,
            "shown": self._session.shown,
            "point": [float(p) for p in self._session.viewer.dims.point],
        }
        try:
            write_json(scan.sidecar / NAME, state)
        except StorageError:
            return  # a view that is not remembered is no loss

    def _on_change(self, *_: Any) -> None:
        if self._ready:
            self._later.start()

    def _load(self) -> dict[str, Any]:
        assert self._session.scan is not None
        try:
            found = json.loads((self._session.scan.sidecar / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def hints_file() -> Path:
    """The file that says that this person has read the hints."""
    import platformdirs

    return Path(platformdirs.user_config_dir("lithoscope", appauthor=False)) / "hints.json"
