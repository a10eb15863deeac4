"""Layers of a scan: their names, scale, units, contrast and metadata are decided here and nowhere else.

A scan has at most four, in one order: image, result, preview, strokes.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from lithoscope._napari.journalled import Journal
from lithoscope._napari.journalled import Labels as JournalledLabels
from lithoscope._napari.plane_data import PlaneData
from lithoscope._napari.shown import shown, shown_image
from lithoscope.classes import Class, ClassTable
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.labels.results import Result
    from lithoscope.volume.scan import Scan

Kind = Literal["image", "result", "preview", "strokes"]
ORDER: tuple[Kind, ...] = ("image", "result", "preview", "strokes")

KEY = "lithoscope"
"""The one key of `layer.metadata` that is ours: {"kind", "path", …}."""

SHADES = 12
"""Shades between sure and doubtful."""
SURE = 0.5
"""How much colour is left to what is sure where certainty is shown."""
DOUBT = "#ff2bd6"
"""The colour of what is not sure at all."""


def layer_name(scan: str, kind: Kind, result: str = "") -> str:
    """What the layer list shows: "soil", "soil · strokes", "soil · otsu"."""
    return scan if kind == "image" else f"{scan} · {result if kind == 'result' else kind}"


def placed(voxel: Voxel | None) -> dict[str, Any]:
    """Scale, units and axis labels of every layer of a scan."""
    size, unit = (voxel.size, voxel.unit) if voxel is not None else ((1.0, 1.0, 1.0), "pixel")
    return {"scale": size, "units": (unit,) * 3, "axis_labels": ("z", "y", "x")}


def image_data(scan: "Scan") -> tuple[Any, dict[str, Any], str]:
    """The image layer of a scan as napari's (data, keywords, type)."""
    levels = shown_image(scan)
    low, high = scan.window
    keywords = {
        "name": layer_name(scan.name, "image"),
        "multiscale": len(levels) > 1,
        "contrast_limits": (float(low), float(high)),
        "projection_mode": "none",  # the plane as it is on disk; napari's default makes the mean of it, in 64 bits
        "metadata": {KEY: {"kind": "image", "path": str(scan.path)}},
        **placed(scan.voxel),
    }
    return (levels if len(levels) > 1 else levels[0]), keywords, "image"


def image_layer(scan: "Scan") -> Image:
    """The image layer of a scan, every level read as it is looked at."""
    data, keywords, _ = image_data(scan)
    return Image(data, **keywords)


def strokes_layer(scan: "Scan", store: Journal, classes: ClassTable, *, editable: bool) -> JournalledLabels:
    """What people painted, to be painted on."""
    return _painted(scan, store, classes, "strokes", editable=editable)


def corrected_layer(scan: "Scan", store: Journal, classes: ClassTable, result: str, *, editable: bool) -> JournalledLabels:
    """A result with its corrections laid over it, to be painted on."""
    return _painted(scan, store, classes, "result", result, editable=editable)


def _painted(scan: "Scan", store: Journal, classes: ClassTable, kind: Kind, result: str = "", *, editable: bool) -> JournalledLabels:
    layer = JournalledLabels(
        store,
        name=layer_name(scan.name, kind, result),
        metadata={KEY: {"kind": kind, "path": str(scan.path), "result": result}},
        colormap=colormap(classes),
        opacity=0.7 if kind == "strokes" else 0.5,
        multiscale=False,
        **placed(scan.voxel),
    )
    layer.editable = editable
    layer.brush_size = 10
    layer.locked = kind == "strokes"
    return layer


def result_layer(scan: "Scan", result: "Result", name: str, corrected: Journal | None) -> Labels:
    """A result to be looked at: with its corrections, if there are any, laid over it."""
    levels = [corrected] if corrected is not None else shown(result.levels, f"{scan.uuid}-{name}-{result.record.uuid}")
    layer = Labels(
        levels if len(levels) > 1 else levels[0],
        name=layer_name(scan.name, "result", name),
        metadata={KEY: {"kind": "result", "path": str(scan.path), "result": name}},
        colormap=None if result.numbered else colormap(result.classes),
        opacity=0.5,
        multiscale=len(levels) > 1,
        **placed(scan.voxel),
    )
    layer.editable = False
    return layer


def preview_layer(scan: "Scan") -> Labels:
    """One plane of what a method would say, which goes with the slider."""
    layer = Labels(
        np.zeros((1, 1, 1), np.uint8),
        name=layer_name(scan.name, "preview"),
        metadata={KEY: {"kind": "preview", "path": str(scan.path)}},
        opacity=0.5,
        **placed(scan.voxel),
    )
    layer.editable = False
    return layer


def grey_layer(scan: "Scan", values: npt.NDArray[Any], limits: tuple[float, float]) -> Image:
    """One plane (z, y, x; one thick) of grey values, moved along with the slider."""
    metadata = {KEY: {"kind": "preview", "path": str(scan.path)}}
    return Image(values.copy(), name=layer_name(scan.name, "preview"), metadata=metadata, contrast_limits=limits, **placed(scan.voxel))


def show_plane(layer: Layer, values: npt.NDArray[Any], origin: Sequence[int], factor: Sequence[int], scan: "Scan") -> None:
    """Lay `values` (z, y, x; one thick) at voxel `origin` of the scan, each of its voxels `factor` of the scan's."""
    stays = _place(layer, origin, factor, scan)
    if stays and layer.data.shape == values.shape and layer.data.dtype == values.dtype:
        np.copyto(layer.data, values)
        layer.refresh(thumbnail=False, extent=False, highlight=False)
    else:
        layer.data = values.copy()  # what is shown is painted over when the next comes


def show_labels(layer: Labels, labels: npt.NDArray[Any], origin: Sequence[int], factor: Sequence[int], scan: "Scan") -> None:
    """Lay labels (z, y, x) at voxel `origin` of the scan, each of its voxels `factor` of the scan's.

    Those of one plane go with the slider without any of napari's work for a layer that moves or gets other data.
    """
    axis = next((a for a, n in enumerate(labels.shape) if n == 1 and scan.shape[a] > 1), None)
    if axis is None:
        _place(layer, origin, factor, scan)
        layer.data = labels.copy()
        return
    index, beside = divmod(origin[axis], factor[axis])
    planes = max(-(-scan.shape[axis] // factor[axis]), index + 1)
    start = list(origin)
    start[axis] = beside
    stays = _place(layer, start, factor, scan)
    if stays and isinstance(layer.data, PlaneData) and layer.data.fits(labels, axis, planes):
        layer.data.put(labels, index)
        layer.refresh(thumbnail=False, extent=False, highlight=False)
    else:
        layer.data = PlaneData(labels, axis, index, planes)


def _place(layer: Layer, origin: Sequence[int], factor: Sequence[int], scan: "Scan") -> bool:
    """Put a layer's first voxel in its place, and say whether it was there; each change makes napari slice and draw again."""
    size = np.asarray(placed(scan.voxel)["scale"], float)
    scale, place = size * factor, size * (np.asarray(origin) + (np.asarray(factor) - 1) / 2)
    if stays := np.array_equal(layer.scale, scale) and np.array_equal(layer.translate, place):
        return stays
    if not np.array_equal(layer.scale, scale):
        layer.scale = scale
    if not np.array_equal(layer.translate, place):
        layer.translate = place
    return False


def colormap(classes: Iterable[Class]) -> DirectLabelColormap:
    """Colours by class id; what is no class is not drawn."""
    colours: dict[int | None, Any] = {None: (0.0, 0.0, 0.0, 0.0), 0: (0.0, 0.0, 0.0, 0.0)}
    return DirectLabelColormap(color_dict=colours | {c.id: rgba(c.colour) for c in classes})


def shades(classes: ClassTable) -> int:
    """How many shades of each class fit into the labels of one layer."""
    return max(1, min(SHADES, 255 // max(classes.ids, default=1)))


def shaded(labels: npt.NDArray[np.uint8], certainty: npt.NDArray[np.float32], classes: ClassTable) -> npt.NDArray[np.uint8]:
    """Labels that tell the class and how sure it is: id + the highest id · shade, where shade 0 is sure."""
    count = shades(classes)
    shade = np.clip((1 - certainty) ** 2 * count, 0, count - 1).astype(np.uint8)
    return np.where(labels > 0, labels + shade * np.uint8(max(classes.ids, default=1)), np.uint8(0))


def certainty_colormap(classes: ClassTable) -> DirectLabelColormap:
    """Colours for `shaded` labels: thin where the class is sure, towards one glaring colour where it is not."""
    count, highest = shades(classes), max(classes.ids, default=1)
    colours: dict[int | None, Any] = {None: (0.0, 0.0, 0.0, 0.0), 0: (0.0, 0.0, 0.0, 0.0)}
    for shade in range(count):
        doubt = shade / max(count - 1, 1)
        for c in classes:
            mixed = (own + (glaring - own) * doubt for own, glaring in zip(rgba(c.colour)[:3], rgba(DOUBT)[:3], strict=True))
            colours[c.id + highest * shade] = (*mixed, SURE + (1 - SURE) * doubt)
    return DirectLabelColormap(color_dict=colours)


def rgba(colour: str) -> tuple[float, float, float, float]:
    """A colour #rrggbb as four numbers from 0 to 1."""
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return (r, g, b, 1.0)


def about(layer: Any) -> dict[str, Any]:
    """What our metadata says of a layer; empty for layers of others."""
    found = getattr(layer, "metadata", {}).get(KEY, {})
    return dict(found) if isinstance(found, dict) else {}
