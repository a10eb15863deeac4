"""The layer of the plane in view as a method sees it: made when there is something to show, repainted after that."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from lithoscope._napari import layers as ours
from lithoscope._napari.layer_stack import LayerStack
from lithoscope._napari.preview import Plane
from lithoscope.classes import ClassTable
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


class PreviewLayer:
    """At most one layer of the stack."""

    def __init__(self, stack: LayerStack) -> None:
        self._stack = stack
        self._look: tuple[ClassTable, bool] | None = None

    def show(
        self,
        scan: "Scan",
        labels: npt.NDArray[np.uint8],
        classes: ClassTable,
        origin: Triple,
        factor: Triple = (1, 1, 1),
        certainty: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Lay labels (z, y, x; one thick) over the plane at `origin`; with `certainty`, as large, they glare the more the less it is."""
        layer, look = self._stack.get("preview"), (classes, certainty is not None)
        if not isinstance(layer, Labels):
            layer, self._look = ours.preview_layer(scan), None
            self._stack.add("preview", layer)
        if look != self._look:
            layer.colormap = ours.colormap(classes) if certainty is None else ours.certainty_colormap(classes)
        self._look = look
        shown = labels if certainty is None else ours.shaded(labels, certainty, classes)
        ours.show_labels(layer, shown, origin, factor, scan)
        self._stack.bring_back("preview")

    def show_grey(self, scan: "Scan", plane: Plane, values: npt.NDArray[Any], limits: tuple[float, float]) -> None:
        """Lay grey values (two axes) over a plane of the scan."""
        layer, grey = self._stack.get("preview"), np.expand_dims(values, plane.axis)
        if not isinstance(layer, Image):
            layer = ours.grey_layer(scan, grey, limits)
            self._stack.add("preview", layer)
        origin = [0, 0, 0]
        origin[plane.axis] = plane.index
        ours.show_plane(layer, grey, origin, (1, 1, 1), scan)
        if self._stack.bring_back("preview"):
            layer.contrast_limits = limits
