"""A folder of slices, one image a file, in the order of the numbers in their names."""

import itertools
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.bruker import BrukerLog, find_log, without_previews
from lithoscope.volume.formats.source import COLOUR, DAMAGE, PALETTE, by, checked_shape, natural, one_line, stored_dtype
from lithoscope.volume.formats.tiff import TiffSource, grey_ramp
from lithoscope.volume.voxel import Voxel

TIFF = (".tif", ".tiff")
PICTURE = (".png", ".jpg", ".jpeg", ".bmp")
_NUMBER = re.compile(r"(\d+)")


def slices_of(folder: Path, pattern: str | None = None, log: BrukerLog | None = None, *, separate: bool = False) -> list[Path]:
    """The image files of a folder in natural order; refuses mixed series and missing numbers, unless the slices are `separate`."""
    entries = [f for f in (folder.glob(pattern) if pattern else folder.iterdir()) if f.is_file() and not f.name.startswith(".")]
    if log is not None and pattern is None:
        entries = without_previews(entries, log)
    kinds = Counter(".tif" if f.suffix.lower() in TIFF else f.suffix.lower() for f in entries if f.suffix.lower() in (*TIFF, *PICTURE))
    if not kinds:
        asked = f" that match {pattern!r}" if pattern else ""
        found = ", ".join(sorted({f.suffix for f in entries if f.suffix})[:5])
        raise UnreadableError(
            f"{folder} holds no TIFF, PNG, JPEG or DICOM slices{asked}" + (f", only {found}" if found else "; look at the path")
        )
    if len(kinds) > 1 and not separate:
        raise InputError(f"{folder} holds {' and '.join(sorted(kinds))} files; choose with --pattern '*{kinds.most_common(1)[0][0]}'")
    chosen = [f for f in entries if f.suffix.lower() in (*TIFF, *PICTURE)]
    files = sorted(chosen, key=lambda f: natural(f.name))
    if not separate:
        _check_series(files)
    return files


def _check_series(files: list[Path]) -> None:
    """The names must differ in numbers only, and the numbers must be without gaps."""
    if len(files) < 2:
        return
    skeletons = Counter(_NUMBER.sub("*", f.stem) for f in files)
    if len(skeletons) > 1:
        if all("*" not in s for s in skeletons):
            return
        names = ", ".join(f"{s} ({n})" for s, n in skeletons.most_common(4))
        most = next(f for f in files if _NUMBER.sub("*", f.stem) == skeletons.most_common(1)[0][0])
        pattern = _NUMBER.sub("*", escape(most.stem)) + escape(most.suffix)
        raise InputError(f"{files[0].parent} holds several series: {names}; choose with --pattern '{pattern}'")
    numbers = np.array([[int(n) for n in _NUMBER.findall(f.stem)] for f in files], dtype=object)
    varying = [k for k in range(numbers.shape[1]) if len(set(numbers[:, k])) > 1]
    if not varying:
        raise InputError(f"{files[0].name} and {files[1].name} have the same number; keep one of them")
    if len(varying) > 1:
        return
    column = [int(n) for n in numbers[:, varying[0]]]
    steps = [b - a for a, b in itertools.pairwise(column)]
    if 0 in steps:
        at = steps.index(0)
        raise InputError(f"{files[at].name} and {files[at + 1].name} have the same number; keep one of them")
    usual = Counter(steps).most_common(1)[0][0] if len(steps) > 2 else min(steps)
    for number, step in zip(column[:-1], steps, strict=True):
        if step != usual:
            lacking = number + usual
            raise InputError(
                f"slice {lacking} is missing in {files[0].parent}: the numbers go from {number} to {number + step}; "
                f"restore it, or choose slices without a gap with --pattern"
            )


class FolderSource:
    """The slices of a folder as (z, y, x); sizes and types must agree. `separate` slices need no numbers in their names."""

    def __init__(self, folder: Path, pattern: str | None = None, wish: Wish = NOTHING, *, separate: bool = False) -> None:
        self.folder, self._wish = folder, wish
        log = None if separate else find_log(folder)
        self.files = slices_of(folder, pattern, log, separate=separate)
        first, self.voxel = read_slice(self.files[0], wish, want_voxel=True)
        self.shape: Triple = checked_shape((len(self.files), *first.shape), first.dtype, folder)
        self.dtype = stored_dtype(first.dtype, self.files[0])
        self.metadata: dict[str, Any] = {
            "format": f"folder of {self.files[0].suffix.lower()} slices", "name": folder.name, "dtype": str(first.dtype),
            "first": self.files[0].name, "last": self.files[-1].name, **described(wish),
        }  # fmt: skip
        if log is not None:
            self.voxel = log.voxel or self.voxel
            self.metadata |= {**log.metadata, "format": f"Bruker {self.files[0].suffix.lower()} slices"}
        self._raw = first.dtype
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="slices")
        for index in range(len(self.files)) if separate else {len(self.files) // 2, len(self.files) - 1} - {0}:
            self._plane(index)

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        out = np.empty((z1 - z0, *self.shape[1:]), self.dtype)

        def fill(z: int) -> None:
            out[z - z0] = self._plane(z)

        for _ in self._pool.map(fill, range(z0, z1)):
            pass
        return out

    def _plane(self, z: int) -> npt.NDArray[Any]:
        file = self.files[z]
        plane, _ = read_slice(file, self._wish)
        if plane.shape != self.shape[1:]:
            raise InputError(
                f"{file.name} is {by(plane.shape)} pixels, {self.files[0].name} {by(self.shape[1:])}; all slices must be of one size"
            )
        if plane.dtype.newbyteorder("=") != self._raw.newbyteorder("="):
            raise InputError(f"{file.name} is {plane.dtype}, {self.files[0].name} {self._raw}; all slices must be of one type")
        return plane

    def close(self) -> None:
        self._pool.shutdown(wait=True)


class PictureSource:
    """A single PNG or JPEG as a scan of one slice."""

    def __init__(self, path: Path, wish: Wish = NOTHING) -> None:
        plane, self.voxel = read_slice(path, wish)
        self.shape = checked_shape((1, *plane.shape), plane.dtype, path)
        self.dtype = stored_dtype(plane.dtype, path)
        self._plane = plane.astype(self.dtype)[None]
        self.metadata: dict[str, Any] = {
            "format": path.suffix.lower().lstrip("."),
            "name": path.name,
            "dtype": str(plane.dtype),
            **described(wish),
        }

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        return self._plane[z0:z1]

    def close(self) -> None: ...


def read_slice(path: Path, wish: Wish = NOTHING, *, want_voxel: bool = False) -> tuple[npt.NDArray[Any], Voxel | None]:
    """One slice (y, x) in the type that it is stored in, and its voxel size if wanted and known."""
    if path.suffix.lower() not in TIFF:
        return _read_picture(path, wish), None
    source = TiffSource(path, wish)
    try:
        if source.shape[0] != 1:
            raise InputError(f"{path} holds {source.shape[0]} slices; import such a stack by itself, not as one slice of a folder")
        return source.planes(0, 1)[0], source.voxel if want_voxel else None
    finally:
        source.close()


def _read_picture(path: Path, wish: Wish) -> npt.NDArray[Any]:
    import PIL.Image

    try:
        with PIL.Image.open(path) as image:
            ramp = image.mode == "P" and grey_ramp(np.reshape(image.getpalette("RGB") or [], (-1, 3)).T)
            grey = ramp or (wish.classes and image.mode == "P") or image.mode in ("1", "L", "I", "F", "I;16", "I;16B", "I;16L")
            if not grey and image.mode == "P":
                raise UnreadableError(f"{path} {PALETTE}")
            if not grey and wish.channel is None:
                raise UnreadableError(f"{path} is in colour ({image.mode}); {COLOUR}")
            values = np.asarray(image)
            picks = chosen(path, [] if grey else [("c", values.shape[2])], wish)
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except (*DAMAGE, OSError, PIL.Image.DecompressionBombError) as error:
        raise UnreadableError(f"{path} is damaged or not an image: {one_line(error)}") from error
    if not grey:
        values = np.ascontiguousarray(values[..., picks[0]])
    return values.astype(np.uint8) if values.dtype.kind == "b" else values
