"""Where the person looks: the plane of the scan in view, the place in its middle, and how to go to another place."""

from typing import TYPE_CHECKING, Any

from napari.layers import Layer

from lithoscope._napari.preview import Plane
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

PIXELS = 3.0
"""A place that one is taken to is shown with at least so many pixels of the screen a voxel."""


def plane_in_view(viewer: Any, image: Layer, scan: "Scan") -> Plane | None:
    """The plane of the scan in view, or None in 3D and where the slider is beside the scan."""
    dims = viewer.dims
    if dims.ndisplay != 2:
        return None
    beyond = dims.ndim - 3
    hidden = [axis - beyond for axis in dims.not_displayed if axis >= beyond]
    if len(hidden) != 1:
        return None
    axis = hidden[0]
    index = round(float(image.world_to_data(dims.point)[-3:][axis]))
    return Plane(axis, index) if 0 <= index < scan.shape[axis] else None


def place_in_view(viewer: Any, image: Layer, scan: "Scan") -> Triple:
    """The voxel (z, y, x) in the middle of the view."""
    dims = viewer.dims
    point = list(dims.point)
    for axis, place in zip(dims.displayed, viewer.scene.camera.center[-len(dims.displayed) :], strict=True):
        point[axis] = place
    z, y, x = (min(max(round(float(p)), 0), n - 1) for p, n in zip(image.world_to_data(point)[-3:], scan.shape, strict=True))
    return (z, y, x)


def go_to(viewer: Any, image: Layer, place: Triple) -> None:
    """Bring a voxel (z, y, x) into the middle of the view, near enough to be seen."""
    dims, camera = viewer.dims, viewer.scene.camera
    point = list(dims.point)
    point[-3:] = [float(p) for p in image.data_to_world(place)[-3:]]
    dims.point = point
    if dims.ndisplay == 2:
        camera.center = (0.0, *(point[axis] for axis in dims.displayed))
        finest = min(float(image.scale[-3:][axis - dims.ndim]) for axis in dims.displayed)
        camera.zoom = max(camera.zoom, PIXELS / finest)


def look_across(viewer: Any, axis: int) -> None:
    """Look at planes across an axis of the scan, where planes across another one are in view."""
    dims = viewer.dims
    beyond = dims.ndim - 3
    if dims.ndisplay == 2 and axis + beyond not in dims.not_displayed:
        dims.order = (*dims.order[:-3], *(beyond + a for a in (axis, *(b for b in range(3) if b != axis))))


def look_at_plane(viewer: Any, image: Layer, axis: int, index: int) -> None:
    """Bring one plane of the scan into view, in 2D."""
    dims = viewer.dims
    dims.ndisplay = 2
    look_across(viewer, axis)
    voxel = list(image.world_to_data(dims.point)[-3:])
    voxel[axis] = index
    point = list(dims.point)
    point[dims.ndim - 3 + axis] = float(image.data_to_world(voxel)[-3:][axis])
    dims.point = point
