"""How the patches of a library are cut and turned into vectors. It is stored with the library, and the query is treated by it too."""

from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, Self

from lithoscope.errors import InputError
from lithoscope.features.backbones import SHIPPED
from lithoscope.features.token_grid import Windows
from lithoscope.features.tokens import Tokens

PLANES = ("z", "y", "x")
POOLINGS = ("mean", "class")
Pooling = Literal["mean", "class"]

VERSION = 1
"""Raised whenever the same settings begin to give other vectors."""


@dataclass(frozen=True)
class Recipe:
    """`patch` is the edge of a patch in voxels, or 0 for whole images; `stride` how far the next one is. With `patch_um` the edge is
    that long in every scan, whatever its voxels. `scales` are patches so many times as large, seen as coarsely. Planes across `planes`
    through a patch's middle are enlarged by `magnify` and seen by the backbone; `poolings` say what is kept of its tokens."""

    backbone: str = SHIPPED
    sha256: str = ""
    width: int = 0
    patch: int = 32
    stride: int = 16
    patch_um: float | None = None
    scales: tuple[float, ...] = (1.0,)
    planes: tuple[str, ...] = PLANES
    poolings: tuple[str, ...] = ("mean",)
    magnify: float = 2.0
    metric: str = "cosine"
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.patch < 0 or (0 < self.patch < 4):
            raise InputError(f"patch {self.patch} is not 4 voxels or more, nor 0 for whole images")
        if self.patch and not 1 <= self.stride <= self.patch:
            raise InputError(f"stride {self.stride} does not lie between 1 and the patch, {self.patch}")
        if self.patch_um is not None and not self.patch_um > 0:
            raise InputError(f"patch of {self.patch_um:g} µm is not larger than nothing")
        if not self.scales or any(not 0.25 <= s <= 64 for s in self.scales) or len(set(self.scales)) < len(self.scales):
            raise InputError(f"scales {', '.join(f'{s:g}' for s in self.scales)} are not different numbers from .25 to 64")
        if not self.planes or not set(self.planes) <= set(PLANES):
            raise InputError(f"planes {','.join(self.planes)} are not some of z,y,x")
        if not self.poolings or not set(self.poolings) <= set(POOLINGS):
            raise InputError(f"poolings {','.join(self.poolings)} are not some of mean,class")
        if not 0.25 <= self.magnify <= 8:
            raise InputError(f"magnify {self.magnify:g} does not lie between .25 and 8")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the vector columns: one a plane and pooling."""
        return tuple(f"{plane}_{pooling}" for plane in self.planes for pooling in self.poolings)

    def step(self, edge: int) -> int:
        """How far apart patches of this edge begin."""
        return max(1, round(edge * self.stride / self.patch))

    def edge(self, scale: float, voxel_um: float | None) -> int:
        """The edge in voxels of a patch of this scale, in a scan of such voxels."""
        if self.patch_um is None:
            return max(2, round(self.patch * scale))
        if voxel_um is None:
            raise InputError("the library's patches have a length in µm, and the scan's voxel size is not known; set it: lithoscope set")
        return max(2, round(self.patch_um * scale / voxel_um))

    def tokens(self, edge: int, device: str) -> Tokens:
        """The tokens that see a patch of this edge as one of `patch` voxels is seen."""
        scale = self.magnify * (self.patch / edge if self.patch else 1.0)
        return Tokens(backbone=self.backbone, scale=scale, reduced=0, windows=WINDOWS, device=device)

    @cached_property
    def key(self) -> str:
        """A short name of everything that the vectors depend on."""
        import hashlib
        import json

        told = {k: v for k, v in self.to_json().items() if k != "backbone"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
        return cls(**given)

    def changed(self, wishes: dict[str, Any]) -> "Recipe":
        """This recipe with those wishes that are not None."""
        return replace(self, **{k: v for k, v in wishes.items() if v is not None})


WINDOWS = Windows(20, 16)
