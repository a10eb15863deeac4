"""The part of a scan that was measured: a shape or a mask; what lies outside is neither counted nor segmented."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box, Triple

Inside = npt.NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class Cylinder:
    """A cylinder along z: voxels within `r` of (`cy`, `cx`) in every plane, all in voxels."""

    cy: float
    cx: float
    r: float

    def __post_init__(self) -> None:
        if not self.r > 0:
            raise InputError(f"a cylinder of radius {self.r} holds nothing; give a positive radius: cylinder:CY,CX,R")

    def inside(self, box: Box) -> Inside:
        """Which voxels of `box` lie in it, (z, y, x), or None when all do."""
        y = np.arange(box.start[1], box.stop[1])[:, None] - self.cy
        x = np.arange(box.start[2], box.stop[2])[None, :] - self.cx
        plane = y * y + x * x <= self.r * self.r
        return None if plane.all() else np.broadcast_to(plane, box.shape)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "cylinder", "cy": self.cy, "cx": self.cx, "r": self.r}

    def __str__(self) -> str:
        return f"cylinder:{self.cy:g},{self.cx:g},{self.r:g}"


@dataclass(frozen=True, slots=True)
class BoxView:
    """A box of voxels."""

    box: Box

    def inside(self, box: Box) -> Inside:
        """Which voxels of `box` lie in it, (z, y, x), or None when all do."""
        common = box.intersect(self.box)
        if common == box:
            return None
        found = np.zeros(box.shape, np.bool_)
        if common.size:
            found[common.within(box).slices] = True
        return found

    def to_json(self) -> dict[str, Any]:
        return {"kind": "box", "box": self.box.to_json()}

    def __str__(self) -> str:
        return f"box:{self.box}"


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask of the scan's shape, not 0 inside: an array in a Zarr, or a file that is still to be taken in.

    `digest` tells it from another mask that was taken in before.
    """

    path: Path
    array: Array3D | None = None
    digest: str = ""

    def inside(self, box: Box) -> Inside:
        """Which voxels of `box` lie in it, (z, y, x), or None when all do; reflected beyond the scan's faces."""
        if self.array is None:
            raise InputError(f"the mask {self.path} has not been taken into the scan; set it as field of view first")
        found = read(self.array, box) != 0
        return None if found.all() else found

    def to_json(self) -> dict[str, Any]:
        return {"kind": "mask", "path": self.path.name, **({"digest": self.digest} if self.digest else {})}

    def __str__(self) -> str:
        return f"mask:{self.path.name}"


FieldOfView = Cylinder | BoxView | Mask


def check_holds(view: FieldOfView | None, shape: Triple) -> None:
    """Refuse a shape that holds no voxel of a scan of `shape`; a mask is looked at when it is taken in."""
    if isinstance(view, Cylinder):
        inside = view.inside(Box((0, 0, 0), (1, shape[1], shape[2])))
        if inside is not None and not inside.any():
            raise InputError(f"field of view '{view}' holds no voxel of the scan, whose planes are {shape[1]} × {shape[2]}")
    elif isinstance(view, BoxView) and not view.box.intersect(Box.whole(shape)).size:
        raise InputError(f"field of view '{view}' holds no voxel of the scan, which is {' × '.join(map(str, shape))} (z × y × x)")


def parse(text: str, shape: Triple) -> FieldOfView | None:
    """The field of view written `none`, `cylinder:CY,CX,R`, `box:z0:z1,y0:y1,x0:x1` or as the path of a mask."""
    kind, _, rest = text.strip().partition(":")
    if text.strip().lower() == "none":
        return None
    if kind == "cylinder":
        try:
            cy, cx, r = (float(part) for part in rest.split(","))
        except ValueError:
            raise InputError(f"field of view {text!r} is not of the form cylinder:CY,CX,R with three numbers in voxels") from None
        cylinder = Cylinder(cy, cx, r)
        check_holds(cylinder, shape)
        return cylinder
    if kind == "box":
        return BoxView(Box.parse(rest, shape))
    path = Path(text.strip())
    from lithoscope.volume.formats.hdf5 import split

    if not path.exists() and split(path) is None:
        raise MissingError(
            f"field of view {text!r} is neither auto, none, cylinder:CY,CX,R, box:z0:z1,y0:y1,x0:x1 nor an existing mask file"
        )
    return Mask(path)


def from_json(data: dict[str, Any] | None, sidecar: Path) -> FieldOfView | None:
    """The field of view that `to_json` wrote; a mask lies in the scan's sidecar."""
    if data is None:
        return None
    if data["kind"] == "cylinder":
        return Cylinder(float(data["cy"]), float(data["cx"]), float(data["r"]))
    if data["kind"] == "box":
        return BoxView(Box.from_json(data["box"]))
    if data["kind"] == "mask":
        from lithoscope.volume.store import open_array

        path = sidecar / Path(data["path"]).name
        if not path.exists():
            raise MissingError(f"the mask {path} that is the scan's field of view is gone; set the field of view again")
        return Mask(path, open_array(path, readonly=True), str(data.get("digest", "")))
    raise InputError(f"field of view of kind {data['kind']!r} is not known; set it again: cylinder:CY,CX,R, box:… or a mask")


SLACK = 2.0
"""A shape fits a border that it misses by no more voxels than this …"""
SLICES = 0.9
"""… on this part of the slices …"""
CONSTANT_INSIDE = 0.01
"""… if no more of the inside than this equals the constant outside."""
SMALLEST_OUTSIDE = 0.01
"""A shape that leaves out less than this part of a plane is not worth having."""


def propose(planes: npt.NDArray[Any], shape: Triple) -> FieldOfView | None:
    """The cylinder or box that a scan of `shape` seems to lie in, judged by some of its planes (n, y, x), or None.

    Proposed only if what lies outside is one constant, the shape fits the border within two voxels on 90 % of the slices, and
    under 1 % of the inside has that constant.
    """
    if min(planes.shape[1:]) < 16 or not planes.size:
        return None
    corners = planes[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    if planes.dtype.kind == "f" and np.isnan(corners).all():
        content = ~np.isnan(planes)
    elif (corners == corners[0, 0]).all():
        content = planes != corners[0, 0]
    else:
        return None
    if content.mean() > 1 - SMALLEST_OUTSIDE or not content.any():
        return None
    for shape_of in (_circle, _rectangle):
        candidate = shape_of(content, shape)
        if candidate is not None and _fits(candidate, content):
            return candidate
    return None


def _border(plane: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The outermost content of each row and column that does not touch the plane's edge: points (n, 2) as y, x."""
    points = []
    for axis, lines in ((0, plane), (1, plane.T)):
        rows = np.flatnonzero(lines.any(1))
        first = lines[rows].argmax(1)
        last = lines.shape[1] - 1 - lines[rows][:, ::-1].argmax(1)
        for ends, edge in ((first, 0), (last, lines.shape[1] - 1)):
            free = ends != edge
            pair = (rows[free], ends[free])
            points.append(np.stack(pair if axis == 0 else pair[::-1], 1))
    return np.concatenate(points).astype(np.float64)


def _circle(content: npt.NDArray[np.bool_], shape: Triple) -> Cylinder | None:
    """The circle through the border of all planes, by least squares, twice without the points that lie far from it."""
    points = np.concatenate([_border(plane) for plane in content])
    if len(points) < 32:
        return None
    kept = points
    cy = cx = r = 0.0
    for _ in range(4):
        system = np.c_[2 * kept, np.ones(len(kept))]
        (cy, cx, rest), *_ = np.linalg.lstsq(system, (kept**2).sum(1), rcond=None)
        r = float(np.sqrt(max(rest + cy * cy + cx * cx, 0.0)))
        misses = np.abs(np.hypot(points[:, 0] - cy, points[:, 1] - cx) - r)
        kept = points[misses <= max(SLACK, 2 * float(np.median(misses)))]
        if len(kept) < 32:
            return None
    if not 8 <= r <= max(shape[1:]):
        return None
    return Cylinder(round(float(cy), 1), round(float(cx), 1), round(r + 0.5, 1))


def _rectangle(content: npt.NDArray[np.bool_], shape: Triple) -> BoxView | None:
    """The box around the median extent of the planes' content."""
    extents = []
    for plane in content:
        rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
        if rows.size:
            extents.append((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    y0, y1, x0, x1 = (int(v) for v in np.median(np.array(extents), axis=0))
    if y1 - y0 < 8 or x1 - x0 < 8:
        return None
    return BoxView(Box((0, y0, x0), (shape[0], y1, x1)))


def _fits(candidate: Cylinder | BoxView, content: npt.NDArray[np.bool_]) -> bool:
    """Whether the candidate's border is the content's on enough planes, and its inside is content."""
    _, height, width = content.shape
    y, x = np.mgrid[0:height, 0:width]
    if isinstance(candidate, Cylinder):
        beyond = np.hypot(y - candidate.cy, x - candidate.cx) - candidate.r
    else:
        (_, y0, x0), (_, y1, x1) = candidate.box.start, candidate.box.stop
        beyond = np.maximum(np.maximum(y0 - y, y - y1 + 1), np.maximum(x0 - x, x - x1 + 1)).astype(np.float64)
    inside, outside = beyond <= 0, beyond > SLACK
    if outside.mean() < SMALLEST_OUTSIDE or not inside.any():
        return False
    if 1 - content[:, inside].mean() > CONSTANT_INSIDE:
        return False
    fitting = 0
    rim = (beyond <= -SLACK) & (beyond > -SLACK - 2)
    for plane in content:
        clean = not plane[outside].any()
        fitting += bool(clean and (not rim.any() or plane[rim].mean() >= 0.9))
    return fitting >= SLICES * len(content)
