"""The readers: one file a format, each giving the planes of a volume."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats import dicom, hdf5
from lithoscope.volume.formats.axes import NOTHING, Wish
from lithoscope.volume.formats.flat import NpySource, RawProposal, RawSource, propose_raw
from lithoscope.volume.formats.folder import PICTURE, TIFF, FolderSource, PictureSource
from lithoscope.volume.formats.metaimage import MetaImageSource
from lithoscope.volume.formats.nifti import NiftiSource
from lithoscope.volume.formats.nrrd_file import NrrdSource
from lithoscope.volume.formats.source import Source, understood
from lithoscope.volume.formats.tiff import TiffSource
from lithoscope.volume.formats.txm import TxmSource
from lithoscope.volume.formats.vgstudio import VgiSource
from lithoscope.volume.formats.zarr_array import ZarrSource, is_zarr

__all__ = ["RawProposal", "Source", "open_source", "propose_raw"]

RAW = (".raw", ".bin", ".dat", ".vol", ".img")
TIFFS = (*TIFF, ".btf", ".tf8", ".tf2")
KNOWN = "TIFF stacks, folders of TIFF, PNG, JPEG or DICOM slices, .raw, .npy, Zarr, HDF5, NIfTI, .nrrd, .mhd, .mha, .vgi and .txm"
OF_SEVERAL: dict[str, Callable[[Path, Wish], Source]] = {
    **dict.fromkeys(TIFFS, TiffSource), **dict.fromkeys(PICTURE, PictureSource), **dict.fromkeys((".mhd", ".mha"), MetaImageSource),
    **dict.fromkeys((".nrrd", ".nhdr"), NrrdSource), ".nii": NiftiSource,
}  # fmt: skip
"""Readers of files that may hold channels or time points."""
OF_ONE_VOLUME: dict[str, Callable[[Path], Source]] = {".npy": NpySource, ".vgi": VgiSource, ".txm": TxmSource, ".txrm": TxmSource}


def open_source(
    path: Path | str,
    *,
    shape: Triple | None = None,
    dtype: Any = None,
    byte_order: str | None = None,
    pattern: str | None = None,
    dataset: str | None = None,
    channel: int | None = None,
    time: int | None = None,
    separate: bool = False,
    classes: bool = False,
) -> Source:
    """The volume in a file or folder.

    `shape`, `dtype` and `byte_order` are for raw files, `pattern` for folders, `dataset` for stores and for folders of several DICOM
    series, `channel` and `time` for files of several volumes; the slices of a folder may be `separate` images.
    Where `classes` are wanted, a palette's colours are not looked at.
    """
    place, wish = Path(path), Wish(channel, time, classes)
    if not place.exists():
        if (inner := hdf5.split(place)) is not None:
            place, dataset = inner[0], dataset or inner[1]
        elif "*" in place.name and place.parent.is_dir():
            place, pattern = place.parent, pattern or place.name
        else:
            raise MissingError(f"there is no {place}; look at the path")
    try:
        if place.is_dir():
            return _folder(place, pattern, dataset, wish, separate=separate)
        if pattern is not None:
            raise InputError(f"{place} is a file; --pattern chooses slices of a folder")
        if not place.stat().st_size:
            raise UnreadableError(f"{place} is an empty file; copy it again")
        if shape is not None or dtype is not None or place.suffix.lower() in RAW:
            return _bare(place, shape, dtype, byte_order)
        with understood(place):
            return _file(place, dataset, wish)
    except PermissionError as error:
        if isinstance(error, InputError):
            raise
        raise UnreadableError(f"{place} may not be read; look at its permissions") from error


def _folder(place: Path, pattern: str | None, dataset: str | None, wish: Wish, *, separate: bool) -> Source:
    if is_zarr(place):
        return ZarrSource(place, dataset, wish)
    files = [f for f in place.glob(pattern or "*") if not f.name.startswith(".")]
    pictures = any(f.suffix.lower() in (*TIFFS, *PICTURE) for f in files)
    if not pictures and (slices := [f for f in files if dicom.is_dicom(f)]):
        with understood(place):
            return dicom.DicomSource(place, slices, dataset, wish)
    return FolderSource(place, pattern, wish, separate=separate)


def _bare(place: Path, shape: Triple | None, dtype: Any, byte_order: str | None) -> Source:
    """A raw file; where nothing is said of it, the header beside it is asked."""
    if shape is None and dtype is None:
        for header in (place.with_suffix(".mhd"), place.with_suffix(".vgi"), place.with_suffix(".nhdr")):
            if header.exists() and (header.suffix == ".vgi" or place.name in header.read_text("utf-8", "replace")):
                return _file(header, None, NOTHING)
    return RawSource(place, shape, dtype, byte_order)


def _file(place: Path, dataset: str | None, wish: Wish) -> Source:
    """A file of a kind that says of itself what it holds."""
    suffix = ".nii" if place.name.lower().endswith(".nii.gz") else place.suffix.lower()
    if suffix in hdf5.SUFFIXES:
        return hdf5.Hdf5Source(place, dataset, wish)
    if suffix not in OF_ONE_VOLUME and suffix not in OF_SEVERAL and dicom.is_dicom(place):
        return dicom.DicomSource(place, [place], dataset, wish)
    if dataset is not None:
        raise InputError(f"{place.name} holds no datasets to choose from; leave out --dataset")
    if suffix in OF_SEVERAL:
        return OF_SEVERAL[suffix](place, wish)
    if suffix not in OF_ONE_VOLUME:
        raise UnreadableError(f"{place.name} is of a kind that is not read; {KNOWN} are")
    if wish:
        raise InputError(f"{place.name} holds one volume; leave out --channel and --time")
    return OF_ONE_VOLUME[suffix](place)
