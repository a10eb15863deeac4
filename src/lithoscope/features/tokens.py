"""Tokens as features of voxels: what a backbone sees on planes of a scan, reduced by the backbone's own basis.

Over a whole scan tokens are computed once, over windows that start at voxel 0, and kept: see `token_cache`. On a lone block,
as here, windows start at the block's corner; since every token looks at its whole window, the two differ a little.
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
from lithoscope.features.backbones import SHIPPED, Backbone, open_backbone
from lithoscope.features.base import Extractor
from lithoscope.features.basis import Basis
from lithoscope.features.token_grid import Grid, plane_tokens, upsampled, windowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Plane = Literal["z", "y", "x", "all"]
VERSION = 1
"""Raised whenever the same settings begin to give other numbers."""

AXES = {"z": (0,), "y": (1,), "x": (2,), "all": (0, 1, 2)}


@dataclass(frozen=True)
class Tokens(Extractor):
    """Tokens of planes across one axis or all three.

    `backbone` is a name, a folder or a file. `scale` enlarges planes first, so that a token covers `patch / scale` voxels;
    `density` 2 lays tokens twice as close by looking again half a patch further on. `layers` are counted from 1, -1 is the
    last. `side` is how many tokens the network sees along a side at once. `reduced` channels are kept of each plane, in the
    backbone's own basis or the one given; 0 keeps them all.
    """

    backbone: str = SHIPPED
    plane: Plane = "z"
    layers: tuple[int, ...] = (-1,)
    scale: float = 1.0
    density: int = 1
    side: int = 28
    overlap: float = 0.25
    reduced: int = 64
    device: str = "cpu"
    basis: Basis | None = field(default=None, repr=False, compare=False)

    @cached_property
    def opened(self) -> Backbone:
        """The backbone, opened when it is first asked for."""
        path = Path(self.backbone)
        return open_backbone(path if path.exists() else self.backbone, device=self.device)

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
        settings = [VERSION, self.plane, self.layers, self.scale, self.density, self.side, self.overlap, self.reduced]
        told = [*settings, self.opened.sha256, None if self.used is None else self.used.key()]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]

    def halo(self) -> tuple[int, int, int]:
        """None: tokens come from a cache over the whole scan. A lone block is seen as it is."""
        return (0, 0, 0)

    def of_plane(self, plane: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.float32]:
        """Tokens (rows, columns, width) of a plane (y, x) of native dtype."""
        project: Callable[[Tensor], Tensor] | None = None if self.used is None else self.used.project
        return plane_tokens(
            self.opened.network,
            windowed(plane, window),
            self.grid,
            layers=self.layers,
            side=self.side,
            overlap=self.overlap,
            project=project,
        )

    def extract(
        self, image: npt.NDArray[Any], window: tuple[float, float], voxel_um: tuple[float, float, float] | None
    ) -> npt.NDArray[np.float32]:
        made = np.empty((self.channels, *image.shape), np.float32)
        for number, axis in enumerate(self.axes):
            into = made[number * self.width : (number + 1) * self.width]
            for index in range(image.shape[axis]):
                plane = np.take(image, index, axis)
                rows, columns = plane.shape
                fine = upsampled(self.of_plane(plane, window), self.grid, (0, rows), (0, columns), (rows, columns))
                into[(slice(None), *(index if a == axis else slice(None) for a in range(3)))] = fine
        return made
