"""The layers of what the network sees: colours at token resolution, the frame and outline over them, and marked places."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr
from napari.layers import Image, Layer, Points, Vectors

from lithoscope._napari import layers as ours
from lithoscope._napari.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from lithoscope.explain.overlay import Overlay
    from lithoscope.explain.place import Place
    from lithoscope.volume.scan import Scan

OPACITY = 0.6
FRAME, OUTLINE, AT, MARK = "#4dd0ff", "#ffffff", "#ff3b30", "#ffd400"
BESIDE = 1.04
"""How far to the right of the scan, in its widths, a second overlay lies."""


class ExplainLayers:
    """Layers of their own, under the strokes; they go with the scan. One that the person deletes is made again when it is wanted."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._layers: dict[str, Layer] = {}
        self._muted: list[Layer] = []
        self.opacity = OPACITY

    def get(self, name: str) -> Layer | None:
        """The layer of this name, if it is still in the viewer."""
        layer = self._layers.get(name)
        return layer if layer is not None and layer in self._session.viewer.layers else None

    def show(self, scan: "Scan", overlays: "list[Overlay]") -> None:
        """Lay an overlay over its plane; a second one lies beside the scan."""
        from lithoscope.explain.palettes import pixels

        self._mute()
        for name, number in (("seen", 0), ("fine-tuned", 1)):
            if number >= len(overlays):
                self._hide(name)
                continue
            overlay = overlays[number]
            place, data = overlay.place, np.expand_dims(pixels(overlay), overlay.place.axis)
            shift = np.array(place.translate(scan.voxel))
            if number:
                across = place.along[1]
                shift[across] += BESIDE * scan.shape[across] * ours.placed(scan.voxel)["scale"][across]
            layer = self.get(name)
            if not isinstance(layer, Image):
                layer = Image(data, rgb=True, name=f"{scan.name} · {name}", opacity=self.opacity, **self._about(scan, place))
                self._add(name, layer)
            _put(layer, data, place.scale(scan.voxel), shift)
            layer.visible = True
        self._show_lines(scan, overlays[0])

    def show_volume(self, scan: "Scan", path: "Path") -> None:
        """Lay an image at token resolution over the whole scan; it is read as it is looked at."""
        from lithoscope.volume.store import open_array

        if (old := self.get("likeness")) is not None:
            self._session.viewer.layers.remove(old)
        about: Any = zarr.open_group(str(path), mode="r").attrs["ome"]
        transforms = about["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        scale, shift = (next(t[kind] for t in transforms if t["type"] == kind) for kind in ("scale", "translation"))
        placed = {**ours.placed(scan.voxel), "scale": scale, "translate": shift}
        layer = Image(
            open_array(path / "0", readonly=True), name=f"{scan.name} · likeness", colormap="viridis", contrast_limits=(0, 255),
            opacity=self.opacity, metadata={ours.KEY: {"kind": "explain", "path": str(scan.path)}}, multiscale=False, **placed,
        )  # fmt: skip
        self._add("likeness", layer)
        self._hide("seen")

    def mark(self, scan: "Scan", places: npt.NDArray[np.int64], size: float) -> None:
        """Mark places (n, 3) of the scan with rings."""
        layer = self.get("marks")
        if not len(places):
            self._hide("marks")
            return
        if not isinstance(layer, Points):
            layer = Points(
                places.astype(float), name=f"{scan.name} · marked", face_color="transparent", border_color=MARK, border_width=0.12,
                size=size, metadata={ours.KEY: {"kind": "explain", "path": str(scan.path)}}, projection_mode="rescale_linear",
                **ours.placed(scan.voxel),
            )  # fmt: skip
            self._add("marks", layer)
        layer.data = places.astype(float)
        layer.size = size
        layer.visible = True

    def set_opacity(self, opacity: float) -> None:
        """How much of the grey values the overlay covers."""
        self.opacity = opacity
        for name in ("seen", "fine-tuned"):
            if (layer := self.get(name)) is not None:
                layer.opacity = opacity

    def clear(self) -> None:
        """Hide what lies over the plane, and show again what was hidden for it; marks stay."""
        for name in ("seen", "fine-tuned", "lines"):
            self._hide(name)
        for layer in self._muted:
            if layer in self._session.viewer.layers:
                layer.visible = True
        self._muted.clear()

    def forget(self) -> None:
        """The scan has gone, or another one came: take the layers away."""
        for name in list(self._layers):
            if (layer := self.get(name)) is not None:
                self._session.viewer.layers.remove(layer)
        self._layers.clear()
        self._muted.clear()

    def _mute(self) -> None:
        """Hide classes that lie over the image: mixed with them, colours would say something else."""
        for kind in ("preview", "result"):
            layer = self._session.layer(kind)
            if layer is not None and layer.visible:
                layer.visible = False
                self._muted.append(layer)

    def _show_lines(self, scan: "Scan", overlay: "Overlay") -> None:
        lines, colours = drawn_lines(overlay)
        if not len(lines):
            self._hide("lines")
            return
        layer = self.get("lines")
        width = max(0.6, overlay.place.pitch / 10)
        if not isinstance(layer, Vectors):
            layer = Vectors(
                lines, name=f"{scan.name} · frame", edge_color=colours, edge_width=width, vector_style="line", opacity=1.0,
                metadata={ours.KEY: {"kind": "explain", "path": str(scan.path)}}, **ours.placed(scan.voxel),
            )  # fmt: skip
            self._add("lines", layer)
        else:
            layer.data = lines
            layer.edge_color = colours
        layer.edge_width = width
        layer.visible = True

    def _about(self, scan: "Scan", place: "Place") -> dict[str, Any]:
        placed = ours.placed(scan.voxel)
        metadata = {ours.KEY: {"kind": "explain", "path": str(scan.path)}}
        return {**placed, "scale": place.scale(scan.voxel), "translate": place.translate(scan.voxel), "metadata": metadata}

    def _add(self, name: str, layer: Layer) -> None:
        viewer = self._session.viewer
        active = viewer.layers.selection.active
        viewer.add_layer(layer)
        self._layers[name] = layer
        strokes = self._session.layer("strokes")
        if strokes is not None and strokes in viewer.layers and name != "marks":
            place = viewer.layers.index(strokes)
            if viewer.layers.index(layer) > place:
                viewer.layers.move(viewer.layers.index(layer), place)
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active

    def _hide(self, name: str) -> None:
        if (layer := self.get(name)) is not None and layer.visible:
            layer.visible = False


def drawn_lines(overlay: "Overlay") -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """Outline, frame and asked-about token as vectors (n, start and direction, z y x) in voxels, and their colours (n,)."""
    from lithoscope.explain.figure import outline_edges

    place, made, colours = overlay.place, [], []
    corner = np.array(place.first) - place.pitch / 2
    if overlay.outline is not None and overlay.outline.any():
        ends = outline_edges(overlay.outline)[..., ::-1] * place.pitch + corner
        made.append(ends)
        colours += [OUTLINE] * len(ends)
    if overlay.frame is not None:
        a, b = place.along
        made.append(_box(overlay.frame.start[a], overlay.frame.start[b], overlay.frame.stop[a], overlay.frame.stop[b]) - 0.5)
        colours += [FRAME] * 4
    if overlay.at is not None and overlay.at[place.axis] == place.index:
        r, c = place.cell(overlay.at)
        made.append(_box(r, c, r + 1, c + 1) * place.pitch + corner)
        colours += [AT] * 4
    if not made:
        return np.zeros((0, 2, 3)), np.array([], "U7")
    ends = np.concatenate(made)
    lines = np.zeros((len(ends), 2, 3))
    for n, along in enumerate(place.along):
        lines[:, 0, along] = ends[:, 0, n]
        lines[:, 1, along] = ends[:, 1, n] - ends[:, 0, n]
    lines[:, 0, place.axis] = place.index
    return lines, np.array(colours)


def _box(top: float, left: float, bottom: float, right: float) -> npt.NDArray[np.float64]:
    """The four sides of a rectangle (4, 2 ends, along the two axes)."""
    corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]], float)
    return np.stack([corners, np.roll(corners, -1, 0)], 1)


def _put(layer: Image, data: npt.NDArray[Any], scale: Any, place: Any) -> None:
    # Each of these makes napari slice and draw again.
    if not np.allclose(layer.scale, scale):
        layer.scale = scale
    if not np.allclose(layer.translate, place):
        layer.translate = place
    layer.data = data
