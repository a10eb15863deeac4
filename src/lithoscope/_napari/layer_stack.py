"""The layers of the open scan within the viewer: at most four, in one order, each with our keys."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Layer

from lithoscope._napari.layers import ORDER, Kind

LARGEST_IN_3D = 512**3
"""napari draws single-scale layers whole in 3D; ours are hidden there when they hold more voxels than this."""


class LayerStack:
    """Layers by kind. Deleting one in the viewer takes it out of the stack; `forget` is how the session hears of it."""

    def __init__(self, viewer: Callable[[], Any], bind_keys: Callable[[Layer], None]) -> None:
        self._viewer = viewer
        self._bind_keys = bind_keys
        self._layers: dict[Kind, Layer] = {}
        self._hidden: list[Layer] = []
        self._away: set[Kind] = set()

    def get(self, kind: Kind) -> Layer | None:
        return self._layers.get(kind)

    def overlays(self) -> list[Layer]:
        """The layers that lie over the image, lowest first."""
        return [self._layers[kind] for kind in ORDER[1:] if kind in self._layers]

    def all(self) -> list[Layer]:
        return list(self._layers.values())

    def kind_of(self, layer: Layer) -> Kind | None:
        return next((kind for kind, own in self._layers.items() if own is layer), None)

    def add(self, kind: Kind, layer: Layer) -> None:
        """Put a layer in its place in the order; another of its kind goes. What was active stays so."""
        self.drop(kind)
        viewer = self._viewer()
        active = viewer.layers.selection.active
        self._layers[kind] = layer  # before the viewer tells of it
        if layer not in viewer.layers:
            viewer.add_layer(layer)
        self._bind_keys(layer)
        below = [self._layers[k] for k in ORDER[: ORDER.index(kind)] if k in self._layers]
        place = max((viewer.layers.index(b) for b in below), default=-1) + 1
        if kind != "image" and viewer.layers.index(layer) != place:
            viewer.layers.move(viewer.layers.index(layer), place)
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active

    def put_away(self, kind: Kind) -> None:
        """Hide a layer that will soon be wanted again: napari takes a quarter of a second to remove one."""
        layer = self._layers.get(kind)
        if layer is not None and layer.visible:
            layer.visible = False
            self._away.add(kind)

    def bring_back(self, kind: Kind) -> bool:
        """Show a layer that was put away, and say whether it was; one that the person hid stays hidden."""
        if kind not in self._away:
            return False
        self._away.discard(kind)
        self._layers[kind].visible = True
        return True

    def drop(self, kind: Kind) -> None:
        """Take a layer out of the viewer."""
        self._away.discard(kind)
        layer = self._layers.pop(kind, None)
        if layer is not None:
            self.remove(layer)

    def remove(self, layer: Layer) -> None:
        """Remove a layer from the viewer if it is there."""
        viewer = self._viewer()
        if viewer is not None and layer in viewer.layers:
            layer.locked = False
            viewer.layers.remove(layer)

    def forget(self, kind: Kind) -> None:
        """The person deleted this layer."""
        self._away.discard(kind)
        self._layers.pop(kind, None)

    def take(self) -> list[Layer]:
        """Let go of all layers, which stay in the viewer, topmost first."""
        former = [*reversed(self.overlays()), *([self._layers["image"]] if "image" in self._layers else [])]
        self._layers.clear()
        self._away.clear()
        self._hidden.clear()
        return former

    def fit_dimensions(self) -> bool:
        """Hide painted layers that napari would read whole in 3D, and show them again in 2D; whether any are hidden now."""
        dims = self._viewer().dims
        if dims.ndisplay == 3:
            for layer in self.overlays():
                if layer.visible and not layer.multiscale and int(np.prod(layer.data.shape)) > LARGEST_IN_3D:
                    layer.visible = False
                    self._hidden.append(layer)
        else:
            for layer in self._hidden:
                layer.visible = True
            self._hidden.clear()
        return bool(self._hidden)
