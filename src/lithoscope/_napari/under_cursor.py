"""What is under the cursor: its class, and how large the piece is that it belongs to, looked up in a thread."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject

from lithoscope._napari.background import Background
from lithoscope.labels.correcting import Pointed, pointed_at
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope._napari.session import Session


class UnderCursor(QObject):
    """Follows the cursor while it is watched, over the result on show or else the strokes."""

    def __init__(self, session: "Session", tell: Callable[[str], None]) -> None:
        super().__init__(session)
        self._session = session
        self._tell = tell
        self._looking = Background(self, newest_only=True)
        self._last: Triple | None = None
        session.closing.connect(self._looking.close)

    def watch(self, wanted: bool) -> None:
        """Follow the cursor, or stop."""
        events = self._session.viewer.cursor.events.position
        events.disconnect(self._on_moved)
        if wanted:
            events.connect(self._on_moved)

    def _on_moved(self, event: Any = None) -> None:
        layer, scan = self._session.layer("result") or self._session.layer("strokes"), self._session.scan
        if layer is None or scan is None:
            return
        labels = layer.data if hasattr(layer.data, "read") else _Boxes(layer.data[0])
        z, y, x = (round(float(p)) for p in layer.world_to_data(self._session.viewer.cursor.position)[-3:])
        shape = scan.shape
        if not all(0 <= p < n for p, n in zip((z, y, x), shape, strict=True)):
            self._tell("Under the cursor: –")
        elif (z, y, x) != self._last:
            self._last = (z, y, x)
            self._looking.start(lambda: pointed_at(labels, (z, y, x), shape), self._show)

    def _show(self, found: Pointed) -> None:
        table = self._session.palette
        if not found.label:
            self._tell("Under the cursor: nothing painted")
            return
        name = table[found.label].name if found.label in table else f"class {found.label}"
        scan = self._session.scan
        size = f"{'over ' if found.more else ''}{found.voxels:,} voxel{'s' if found.voxels != 1 else ''}"
        if scan is not None and scan.voxel is not None:
            z, y, x = scan.voxel.um
            size += f" · {volume_text(found.voxels * z * y * x)}"
        self._tell(f"Under the cursor: {name} · {size}")


def volume_text(um3: float) -> str:
    """A volume in a unit that reads well: "48 µm³", "0.0044 mm³"."""
    return f"{um3:,.4g} µm³" if um3 < 1e5 else f"{um3 / 1e9:,.3g} mm³"


class _Boxes:
    """A result that is only looked at, read in boxes."""

    def __init__(self, level: Any) -> None:
        self._level = level

    def read(self, box: Box) -> npt.NDArray[Any]:
        return np.asarray(self._level[box.slices])
