"""What patches are cut from: a scan, or an image of a folder seen as a scan of one slice."""

import hashlib
import uuid as uuids
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError
from lithoscope.retrieval.images import ImageFile, images_in, opened
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.scan import Scan

FACTS = ("sample", "energy", "voltage", "current", "filter", "device")
"""What of a scan's header becomes metadata."""


class Source(Protocol):
    """Grey values (z, y, x) with a name that lasts, and what of them was measured."""

    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def shape(self) -> Triple: ...
    @property
    def flat(self) -> bool: ...
    @property
    def voxel_um(self) -> tuple[float, float, float] | None: ...
    @property
    def window(self) -> tuple[float, float]: ...
    @property
    def content_hash(self) -> str: ...
    @property
    def view(self) -> dict[str, Any] | None: ...
    @property
    def array(self) -> Array3D: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    def inside(self, box: Box) -> "npt.NDArray[np.bool_] | None": ...


@dataclass(frozen=True, eq=False)
class ScanSource:
    """A scan. `flat` when its planes across z are all that is known of it."""

    scan: Scan

    @property
    def uuid(self) -> str:
        return self.scan.uuid

    @property
    def name(self) -> str:
        return self.scan.name

    @property
    def path(self) -> Path:
        return self.scan.path.absolute()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.scan.name, self.scan.path.name, str(self.scan.path))

    @property
    def shape(self) -> Triple:
        return self.scan.shape

    @property
    def flat(self) -> bool:
        return self.scan.separate_slices or self.scan.shape[0] == 1

    @property
    def voxel_um(self) -> tuple[float, float, float] | None:
        return None if self.scan.voxel is None else self.scan.voxel.um

    @property
    def window(self) -> tuple[float, float]:
        return self.scan.window

    @property
    def content_hash(self) -> str:
        return self.scan.content_hash

    @property
    def view(self) -> dict[str, Any] | None:
        """The field of view as JSON, None for all of the scan."""
        return None if self.scan.field_of_view is None else self.scan.field_of_view.to_json()

    @property
    def array(self) -> Array3D:
        return self.scan.array()

    @property
    def facts(self) -> dict[str, Any]:
        """What the scan's own header says of the sample and of how it was measured, and its voxel's edge."""
        told = {k: v for k, v in self.scan.metadata.items() if k in FACTS and isinstance(v, int | float | str) and not isinstance(v, bool)}
        return told if self.voxel_um is None else {**told, "voxel_um": float(max(self.voxel_um))}

    def inside(self, box: Box) -> "npt.NDArray[np.bool_] | None":
        return self.scan.inside(box)


@dataclass(frozen=True, eq=False)
class ImageSource:
    """One image in grey, read when it is looked at."""

    file: ImageFile
    flat: bool = True
    voxel_um: tuple[float, float, float] | None = None
    view: dict[str, Any] | None = None

    @cached_property
    def array(self) -> Array3D:
        picture = opened(self.file)
        grey = picture if picture.mode in ("I", "I;16", "I;16L", "I;16B", "F", "L") else picture.convert("L")
        return cast(Array3D, np.asarray(grey)[None])

    @cached_property
    def content_hash(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:32]

    @property
    def uuid(self) -> str:
        return str(uuids.uuid5(uuids.NAMESPACE_URL, str(self.path)))

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def names(self) -> tuple[str, ...]:
        return self.file.names

    @property
    def path(self) -> Path:
        return self.file.path.absolute()

    @property
    def shape(self) -> Triple:
        z, y, x = self.array.shape
        return (z, y, x)

    @cached_property
    def window(self) -> tuple[float, float]:
        low, high = np.nanpercentile(np.asarray(self.array[:]), (0.5, 99.5))
        return (float(low), float(high)) if high > low else (float(low), float(low) + 1)

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def inside(self, box: Box) -> "npt.NDArray[np.bool_] | None":
        return None


def sources_of(path: Path) -> list[Source]:
    """The scan at `path`, or every image of the folder or the image file that lies there."""
    if not path.exists():
        raise MissingError(f"there is no scan or folder of images at {path}; look at the path")
    if path.is_file():
        return [ImageSource(ImageFile(path.stem, path))]
    if any((path / mark).exists() for mark in ("zarr.json", ".zattrs", ".zgroup")):
        return [ScanSource(Scan.open(path, readonly=True))]
    if path.suffix == ".zarr":
        Scan.open(path)  # says what is wrong with it
    try:
        return [ImageSource(file) for file in images_in(path)]
    except MissingError:
        raise InputError(f"{path} is neither a scan nor a folder of images; import it: lithoscope import {path} SCAN.zarr") from None


def source_at(path: Path) -> Source:
    """The one scan or image at a path that a library remembers."""
    found = sources_of(path)
    if len(found) != 1:
        raise InputError(f"{path} is a folder of images; name one of them")
    return found[0]
