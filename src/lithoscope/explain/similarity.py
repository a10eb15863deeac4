"""How like the token under the cursor all others are: the cosine between tokens, over a plane or over a whole scan.

Tokens are taken from their mean, so that 0 means "no more like it than any" and what all tokens share does not count.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.explain.overlay import Overlay
from lithoscope.explain.place import AXES, Cell
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from pathlib import Path

    from lithoscope.explain.plane_tokens import PlaneTokens

Floats = npt.NDArray[np.float32]


class Likeness:
    """The tokens of a plane, ready to be compared: each of length one from the mean of the backbone's tokens."""

    def __init__(self, source: "PlaneTokens", axis: int, index: int) -> None:
        self.source, self.place = source, source.place(axis, index)
        self.tokens, self.inside = directions(source.of(axis, index), _mean(source)), source.inside(axis, index)

    def token(self, voxel: Triple) -> Floats:
        """The direction of the token that holds a voxel."""
        r, c = self.place.cell(voxel)
        rows, columns = self.tokens.shape[:2]
        if not (0 <= r < rows and 0 <= c < columns) or voxel[self.place.axis] != self.place.index:
            said = ",".join(map(str, voxel))
            raise InputError(f"token {said} lies outside plane {AXES[self.place.axis]}={self.place.index} of {self.source.scan.name}")
        one: Floats = self.tokens[r, c]
        return one

    def to(self, token: Floats) -> Floats:
        """The cosine of every token (rows, columns) to one direction."""
        made: Floats = self.tokens @ token
        return made

    def overlay(self, voxel: Triple) -> Overlay:
        """Likeness to the token that holds a voxel, over the plane."""
        return self.given(self.token(voxel), voxel)

    def given(self, token: Floats, at: Triple) -> Overlay:
        """Likeness to a token that may be of another plane."""
        name = self.source.tokens.opened.name
        words, values = ",".join(map(str, at)), self.to(token)
        if self.inside is not None:
            values[~self.inside] = np.nan
        return Overlay(
            "similarity", f"likeness to the token at {words}", values, self.place, (0.0, 1.0), "viridis", ("unlike", "alike"),
            at=at, notes=(name, "cosine from the mean of all tokens"), about={"token": list(at)},
        )  # fmt: skip


def _mean(source: "PlaneTokens") -> Floats | None:
    """What tokens are taken from: nothing where the basis they are kept in has done so already."""
    if source.tokens.used is not None:
        return None
    from lithoscope.explain.pca import colours_for

    return colours_for(source).basis.mean


def directions(tokens: npt.NDArray[Any], mean: Floats | None = None) -> Floats:
    """Tokens (…, channels) at length one."""
    flat = tokens.astype(np.float32)
    if mean is not None:
        flat = flat - mean
    made: Floats = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-9)
    return made


def nearest_cells(values: Floats, count: int) -> list[Cell]:
    """The cells of the highest values, highest first."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf).ravel(), kind="stable")[:count]
    return [(int(i) // values.shape[1], int(i) % values.shape[1]) for i in order]


def over_volume(source: "PlaneTokens", voxel: Triple, axis: int, target: "Path", report: Report = silent) -> tuple[float, Triple]:
    """Likeness to the token that holds a voxel on every plane across an axis, as a new OME-Zarr image at `target` at the
    resolution of tokens: bytes, 255 for alike and 0 for no more alike than any.

    Answers with the best likeness away from the token, and the voxel it is at. Planes whose tokens are not kept yet are worked
    out; what is held in memory is one plane.
    """
    from lithoscope.explain.keeping import new_volume

    query = Likeness(source, axis, voxel[axis]).token(voxel)
    mean, scan = _mean(source), source.scan
    planes, best, where = scan.shape[axis], -1.0, voxel
    about = {"kind": "similarity", "token": list(voxel), "axis": axis, "backbone": source.tokens.opened.name}
    with new_volume(target, scan, source.place(axis, 0), source.of(axis, voxel[axis]).shape[:2], about) as array:
        for index in range(planes):
            report(Progress(index, planes, "comparing tokens"))
            near = directions(source.of(axis, index), mean) @ query
            inside = source.inside(axis, index)
            if inside is not None:
                near[~inside] = 0
            array[(slice(None),) * axis + (index,)] = np.clip(near * 255, 0, 255).round().astype(np.uint8)
            if abs(index - voxel[axis]) > source.tokens.grid.pitch and float(near.max()) > best:
                (cell,) = nearest_cells(near, 1)
                best, where = float(near.max()), source.place(axis, index).voxel(cell)
        report(Progress(planes, planes, "comparing tokens"))
    return best, where
