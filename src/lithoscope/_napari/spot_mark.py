"""The mark at the voxel that is to be named, and its keys; the overlays are hidden meanwhile, for they would lead the eye."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer, Points

from lithoscope._napari import layers as ours
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

SIZE = 9
"""Width of the mark in voxels: its middle is the voxel, its arms leave that free."""


class SpotMark:
    """Shown while a spot check is at work."""

    def __init__(self, session: "Session", named: Callable[[int], None], skipped: Callable[[], None], back: Callable[[], None]) -> None:
        self._session = session
        self._named, self._skipped, self._back = named, skipped, back
        self._layer: Points | None = None
        self._hidden: list[Layer] = []

    @property
    def shown(self) -> bool:
        return self._layer is not None and self._layer in self._session.viewer.layers

    def show(self, at: Triple) -> None:
        """Go to a voxel and mark it."""
        session, viewer = self._session, self._session.viewer
        assert session.scan is not None
        if not self.shown:
            self._hidden = [layer for layer in session.overlays() if layer.visible]
            for layer in self._hidden:
                layer.visible = False
            self._layer = Points(
                np.zeros((0, 3)), name="spot check", symbol="cross", size=SIZE, face_color="transparent", border_color="#ffe14d",
                border_width=0.12, **ours.placed(session.scan.voxel),
            )  # fmt: skip
            viewer.add_layer(self._layer)
            self._bind(self._layer)
        assert self._layer is not None
        session.go_to(at)
        self._layer.data = np.array([at], float)
        self._layer.mode = "pan_zoom"
        viewer.layers.selection.active = self._layer

    def hide(self) -> None:
        """Take the mark away and show the overlays again."""
        layer, self._layer = self._layer, None
        viewer = self._session.viewer
        if layer is not None and layer in viewer.layers:
            viewer.layers.remove(layer)
        for hidden in self._hidden:
            hidden.visible = True
        self._hidden = []

    def _bind(self, layer: Any) -> None:
        for n in range(1, 10):
            layer.bind_key(str(n), _Key(self._named, n).press, overwrite=True)
        layer.bind_key("S", _Key(lambda _: self._skipped(), 0).press, overwrite=True)
        layer.bind_key("Backspace", _Key(lambda _: self._back(), 0).press, overwrite=True)


class _Key:
    """A bound method, because napari calls it with the layer."""

    def __init__(self, act: Callable[[int], None], n: int) -> None:
        self._act, self._n = act, n

    def press(self, _: Any) -> None:
        self._act(self._n)
