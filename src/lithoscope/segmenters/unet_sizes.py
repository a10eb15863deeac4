"""The UNet's presets: the published networks, one for the processor, and a tiny one for trials; in planes and in space."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """A preset: its network, its crops, and how long and fast it is taught."""

    features: int
    levels: int
    side: int
    batch: int
    steps: int
    rate: float
    dropout: float
    slices: int = 3


PLANES: dict[str, Size] = {
    "tiny": Size(4, 1, 16, 4, 30, 1e-2, 0.0),
    "light": Size(16, 2, 96, 6, 200, 3e-3, 0.1, 5),
    "small": Size(32, 4, 160, 12, 1000, 5e-4, 0.5),
    "large": Size(64, 4, 160, 12, 1000, 3e-4, 0.5),
}
SPACE: dict[str, Size] = {
    "tiny": Size(4, 1, 12, 4, 30, 1e-2, 0.0),
    "light": Size(8, 2, 32, 4, 200, 3e-3, 0.1),
    "small": Size(32, 3, 64, 4, 1000, 5e-4, 0.2),
    "large": Size(64, 3, 64, 4, 1000, 3e-4, 0.2),
}
