"""Clicks on the layer that is painted on, while one of our click tools is in hand instead of napari's brush."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

HAND = "pan_zoom"
"""The mode in which napari leaves clicks alone."""


class Clicks(QObject):
    """One tool at a time; it is put away when another brush is taken in hand or the layer goes."""

    ended = Signal()

    def __init__(self, session: "Session", act: Callable[[str, Triple], None]) -> None:
        super().__init__(session)
        self._session = session
        self._act = act
        self._layer: Any = None
        self.tool = ""
        """What clicks do now, or nothing of ours."""

    def start(self, tool: str) -> None:
        """Have clicks do this; an empty name gives them back to napari."""
        if self._layer is not None:
            self._layer.mouse_drag_callbacks.remove(self._on_drag)
            self._layer.events.mode.disconnect(self._on_mode)
            if self._layer.mode == HAND:
                self._layer.mouse_pan, self._layer.cursor = True, "standard"
            self._layer = None
        self.tool = tool
        layer = self._session.painting.brush() if tool else None
        if layer is not None:
            self._session.viewer.layers.selection.active = layer
            layer.visible = True
            layer.mode = HAND
            layer.mouse_pan = False
            layer.cursor = "cross"
            layer.mouse_drag_callbacks.append(self._on_drag)
            layer.events.mode.connect(self._on_mode)
            self._layer = layer

    def _on_mode(self, event: Any = None) -> None:
        if self._layer is not None and self._layer.mode != HAND:
            self.tool = ""
            self.ended.emit()

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        """A press acts at once; the 3D brush goes on while the button is held, and all of it is one stroke."""
        at = self._place(layer, event.position)
        if event.button != 1 or event.modifiers or at is None:
            return
        if self.tool != "ball":
            self._act(self.tool, at)
            return
        layer.data.begin()
        try:
            self._act("ball", at)
            yield
            while event.type == "mouse_move":
                for place in _between(at, self._place(layer, event.position)):
                    self._act("ball", place)
                    at = place
                yield
        finally:
            layer.data.commit()
        layer.events.paint(value=[])

    def _place(self, layer: Any, position: Any) -> Triple | None:
        z, y, x = (round(float(p)) for p in layer.world_to_data(position)[-3:])
        inside = all(0 <= p < n for p, n in zip((z, y, x), layer.data.shape, strict=True))
        return (z, y, x) if inside else None


def _between(start: Triple, end: Triple | None) -> list[Triple]:
    """The voxels of a straight way, its start left out."""
    if end is None or end == start:
        return []
    steps = max(abs(a - b) for a, b in zip(start, end, strict=True))
    way = (tuple(round(a + (b - a) * k / steps) for a, b in zip(start, end, strict=True)) for k in range(1, steps + 1))
    return [(z, y, x) for z, y, x in way]
