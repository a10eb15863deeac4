"""The contract of what turns grey values into features of a voxel."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt


class Extractor(ABC):
    """Turns an image into channels. Equal keys mean equal features."""

    channels: int

    @abstractmethod
    def key(self) -> str:
        """A hash over code version, settings, weights, adapter and PCA basis: the name of its cache."""

    @abstractmethod
    def halo(self) -> tuple[int, int, int]:
        """How many voxels (z, y, x) beyond a place its features depend on."""

    @abstractmethod
    def extract(
        self, image: npt.NDArray[Any], window: tuple[float, float], voxel_um: tuple[float, float, float] | None
    ) -> npt.NDArray[np.float32]:
        """Features (channels, z, y, x) of an image (z, y, x) of native dtype, on its own grid; the halo's are not to be used."""

    def extract_at(
        self,
        image: npt.NDArray[Any],
        window: tuple[float, float],
        voxel_um: tuple[float, float, float] | None,
        origin: tuple[int, int, int],
    ) -> npt.NDArray[np.float32]:
        """The same for an image whose first voxel lies at `origin` on the scan's grid, for extractors to which that matters."""
        return self.extract(image, window, voxel_um)
