"""Tokens as features of voxels: what a backbone sees on planes of a scan, reduced by the backbone's own basis.

Windows lie on a grid that starts at the scan's voxel 0, so that a block with its halo gives what the whole scan gives. Over a
whole scan tokens can be computed once and kept: see `token_cache`.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from lithoscope.features import basis as bases
from lithoscope.features.adapters import Adapter
from lithoscope.features.backbones import SHIPPED, Backbone, open_backbone, with_adapter
from lithoscope.features.base import Extractor
from lithoscope.features.basis import Basis
from lithoscope.features.token_grid import Grid, Windows, plane_tokens, windowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Plane = Literal["z", "y", "x", "all"]
VERSION = 3
"""Raised whenever the same settings begin to give other numbers."""

AXES = {"z": (0,), "y": (1,), "x": (2,), "all": (0, 1, 2)}


@dataclass(frozen=True)
class Tokens(Extractor):
    """Tokens of planes across one axis or all three.

    `backbone` is a name, a folder or a file. `scale` enlarges planes first, so that a token covers `patch / scale` voxels;
    `density` 2 lays tokens twice as close by looking again half a patch further on. `layers` are counted from 1, -1 is the
    last. `windows` is what the network sees at once. `reduced` channels are kept of each plane, in the
    backbone's own basis or the one given; 0 keeps them all. With an `adapter` they are those of the backbone as LoRA has taught it,
    `adapter_scale` being by how much it counts.
    """

    backbone: str = SHIPPED
    plane: Plane = "z"
    layers: tuple[int, ...] = (-1,)
    scale: float = 1.0
    density: int = 1
    windows: Windows = field(default_factory=Windows)
    reduced: int = 64
    device: str = "cpu"
    basis: Basis | None = field(default=None, repr=False, compare=False)
    adapter: Adapter | None = field(default=None, repr=False, compare=False)
    adapter_scale: float = 1.0

    @cached_property
    def opened(self) -> Backbone:
        """The backbone, opened when it is first asked for."""
        path = Path(self.backbone)
        found = open_backbone(path if path.exists() else self.backbone, device=self.device)
        return found if self.adapter is None else with_adapter(found, self.adapter, self.adapter_scale)

    @cached_property
    def grid(self) -> Grid:
        """Where tokens lie on a plane."""
        return Grid(self.opened.patch, self.scale, self.density)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes across which planes are taken."""
        return AXES[self.plane]

    @cached_property
    def used(self) -> Basis | None:
        """The basis in use: the one given, else the backbone's own, else none."""
        if not self.reduced:
            return None
        found = self.basis
        if found is None and self.opened.folder is not None:
            folder = self.opened.folder if self.opened.folder.is_dir() else self.opened.folder.parent
            found = bases.load(folder, self.layers)
        return None if found is None else found.shortened(self.reduced)

    @property
    def width(self) -> int:
        """The channels of one token."""
        return self.used.kept if self.used is not None else self.opened.width * len(self.layers)

    @property
    def channels(self) -> int:  # type: ignore[override]
        return self.width * len(self.axes)

    def key(self) -> str:
        settings = [VERSION, self.plane, self.layers, self.scale, self.density, self.windows.side, self.windows.step, self.reduced]
        told = [*settings, self.opened.sha256, None if self.used is None else self.used.key()]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]

    def halo(self) -> tuple[int, int, int]:
        """A window and a token, along the two axes of each plane."""
        reach = int(np.ceil(self.windows.side * self.grid.patch / self.scale + self.grid.pitch)) + 1
        along = [reach if any(a != axis for axis in self.axes) else 0 for a in range(3)]
        return (along[0], along[1], along[2])

    def of_plane(
        self,
        plane: npt.NDArray[Any],
        window: tuple[float, float],
        start: tuple[int, int] = (0, 0),
        wanted: tuple[tuple[int, int], tuple[int, int]] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Tokens (rows, columns, width) of a plane (y, x) of native dtype that begins at the scan's voxel `start`."""
        project: Callable[[Tensor], Tensor] | None = None if self.used is None else self.used.project
        return plane_tokens(
            self.opened.network,
            windowed(plane, window),
            self.grid,
            layers=self.layers,
            windows=self.windows,
            start=start,
            wanted=wanted,
            project=project,
        )

    def extract(
        self, image: npt.NDArray[Any], window: tuple[float, float], voxel_um: tuple[float, float, float] | None
    ) -> npt.NDArray[np.float32]:
        return self.extract_at(image, window, voxel_um, (0, 0, 0))

    def extract_at(
        self,
        image: npt.NDArray[Any],
        window: tuple[float, float],
        voxel_um: tuple[float, float, float] | None,
        origin: tuple[int, int, int],
    ) -> npt.NDArray[np.float32]:
        made = np.empty((self.channels, *image.shape), np.float32)
        for number, axis in enumerate(self.axes):
            into = made[number * self.width : (number + 1) * self.width]
            start, size = [(t[:axis] + t[axis + 1 :]) for t in (origin, image.shape)]
            ranges = ((start[0], start[0] + size[0]), (start[1], start[1] + size[1]))
            for index in range(image.shape[axis]):
                fine = self.at_voxels(np.take(image, index, axis), window, (start[0], start[1]), ranges)
                into[(slice(None), *(index if a == axis else slice(None) for a in range(3)))] = fine
        return made

    def at_voxels(
        self,
        plane: npt.NDArray[Any],
        window: tuple[float, float],
        start: tuple[int, int],
        ranges: tuple[tuple[int, int], tuple[int, int]],
        weight: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Channels (channels, y, x) at two ranges of the scan's voxels, from a plane that begins at voxel `start`.

        With `weight` (classes, width) what is given are the tokens' decision values: between tokens they lie as tokens do.
        """
        r0, r1, vertical = self.grid.weights(*ranges[0])
        c0, c1, across = self.grid.weights(*ranges[1])
        tokens = self.of_plane(plane, window, start, ((r0, r1), (c0, c1)))
        values = tokens if weight is None else tokens @ weight.T
        made: npt.NDArray[np.float32] = np.einsum("yr,rcd,xc->dyx", vertical, values, across, optimize=True)
        return made
