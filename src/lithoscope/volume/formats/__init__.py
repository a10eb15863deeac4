"""The readers: one file a format, each giving the planes of a volume."""

from pathlib import Path
from typing import Any

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats.flat import NpySource, RawProposal, RawSource, propose_raw
from lithoscope.volume.formats.folder import PICTURE, TIFF, FolderSource, PictureSource
from lithoscope.volume.formats.source import Source
from lithoscope.volume.formats.tiff import TiffSource
from lithoscope.volume.formats.zarr_array import ZarrSource, is_zarr

__all__ = ["RawProposal", "Source", "open_source", "propose_raw"]

RAW = (".raw", ".bin", ".dat", ".vol", ".img")
KNOWN = "TIFF stacks, folders of TIFF, PNG or JPEG slices, .raw, .npy and Zarr"


def open_source(
    path: Path | str,
    *,
    shape: Triple | None = None,
    dtype: Any = None,
    byte_order: str | None = None,
    pattern: str | None = None,
    dataset: str | None = None,
) -> Source:
    """The volume in a file or folder. `shape`, `dtype` and `byte_order` are for raw files, `pattern` for folders, `dataset` for stores."""
    place = Path(path)
    if not place.exists():
        if "*" in place.name and place.parent.is_dir():
            return FolderSource(place.parent, place.name)
        raise MissingError(f"there is no {place}; look at the path")
    try:
        return _opened(place, shape, dtype, byte_order, pattern, dataset)
    except PermissionError as error:
        if isinstance(error, InputError):
            raise
        raise UnreadableError(f"{place} may not be read; look at its permissions") from error


def _opened(place: Path, shape: Triple | None, dtype: Any, byte_order: str | None, pattern: str | None, dataset: str | None) -> Source:
    if place.is_dir():
        if is_zarr(place):
            return ZarrSource(place, dataset)
        return FolderSource(place, pattern)
    if not place.stat().st_size:
        raise UnreadableError(f"{place} is an empty file; copy it again")
    suffix = place.suffix.lower()
    if pattern is not None:
        raise InputError(f"{place} is a file; --pattern chooses slices of a folder")
    if suffix in RAW or shape is not None:
        return RawSource(place, shape, dtype, byte_order)
    if suffix in TIFF or suffix in (".btf", ".tf8", ".tf2"):
        return TiffSource(place)
    if suffix == ".npy":
        return NpySource(place)
    if suffix in PICTURE:
        return PictureSource(place)
    raise UnreadableError(f"{place.name} is of a kind that is not read; {KNOWN} are")
