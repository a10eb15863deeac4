"""NIfTI: `.nii` and `.nii.gz`, turned to the canonical orientation, so that z, y and x run to the head, the front and the right."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.extras import needed
from lithoscope.volume.formats.rescale import Rescale
from lithoscope.volume.formats.source import COLOUR, DAMAGE, by, checked_shape, one_line, stored_dtype
from lithoscope.volume.formats.values import Part, Values
from lithoscope.volume.voxel import Voxel

UNITS = {"mm": "millimeter", "micron": "micrometer", "meter": "meter"}


class NiftiSource:
    """The volume of a NIfTI file as (z, y, x), whatever the order and direction in which its voxels are stored."""

    def __init__(self, path: Path, wish: Wish = NOTHING) -> None:
        nibabel = needed("nibabel", path, "a NIfTI file")
        self.path = path
        try:
            image = nibabel.load(path)
            header, affine = image.header, image.affine
            stored, sizes = header.get_data_dtype(), tuple(int(n) for n in image.shape)
            slope, intercept = (float(v) for v in (image.dataobj.slope, image.dataobj.inter))
            offset = int(image.dataobj.offset)
            placed = bool(header["sform_code"] or header["qform_code"])
            turns = nibabel.io_orientation(affine)[:3] if placed else np.array([[0, 1], [1, 1], [2, 1]])
            zooms = [float(v) for v in header.get_zooms()[:3]]
            unit = str(header.get_xyzt_units()[0])
        except OSError as error:
            raise UnreadableError(f"{path} is damaged: {one_line(error)}; copy it again") from error
        except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, *DAMAGE) as error:
            raise UnreadableError(f"{path} is damaged or no NIfTI file: {one_line(error)}") from error
        if stored.kind not in "iuf":
            raise UnreadableError(f"{path} holds values of type {stored}, not grey values; {COLOUR}")
        if len(sizes) > 5 or len(sizes) < 2:
            raise UnreadableError(f"{path} has {len(sizes)} axes of {by(sizes)}; a scan has three: z, y, x")
        spatial, times, channels = (*sizes, 1)[:3], (*sizes, 1, 1)[3] if len(sizes) > 3 else 1, sizes[4] if len(sizes) > 4 else 1
        extra = [*([("t", times)] if times > 1 else []), *([("c", channels)] if channels > 1 else [])]
        picks = dict(zip((k for k, _ in extra), chosen(path, extra, wish), strict=True))
        self._image, self._index = image, (picks.get("t", 0), picks.get("c", 0))[: len(sizes) - 3] if len(sizes) > 3 else ()
        # For each of x, y and z: the stored axis that runs along it, and whether it runs backwards.
        self._from = [int(np.flatnonzero(turns[:, 0] == axis)[0]) for axis in range(3)]
        self._back = [bool(turns[stored_axis, 1] < 0) for stored_axis in self._from]
        x, y, z = (spatial[a] for a in self._from)
        self._rescale = Rescale.of(stored, slope, intercept, name=path)
        self.shape: Triple = checked_shape((z, y, x), stored, path)
        self.dtype = stored_dtype(self._rescale.dtype, path)
        self._values: Values | None = None
        if self._from[2] == 2:
            skip = (picks.get("c", 0) * times + picks.get("t", 0)) * spatial[2]
            packed, count = path.suffix.lower() == ".gz", spatial[2] * times * channels
            part = Part(path, count, 0, offset) if packed else Part(path, count, offset)
            self._values = Values(
                [part], (spatial[2], spatial[1], spatial[0]), stored, packed=packed, skip=skip, name=path.name, longer=True
            )
        codes = "".join(str(c) for c in nibabel.aff2axcodes(affine)) if placed else "unknown"
        self.metadata: dict[str, Any] = {"format": "NIfTI", "name": path.name, "dtype": str(stored), "stored": codes, **described(wish)}
        if not self._rescale.plain:
            self.metadata |= {"slope": slope, "intercept": intercept}
        if text := bytes(header["descrip"]).decode("latin-1").strip("\0 "):
            self.metadata["description"] = text
        self.voxel = self._voxel([[*zooms, 1.0, 1.0][a] for a in self._from], unit)

    def _voxel(self, size: list[float], unit: str) -> Voxel | None:
        if unit not in UNITS:
            if set(size) == {1.0}:
                return None
            self.metadata["unit"] = "taken to be mm, as the file names none"
        try:
            return Voxel((size[2], size[1], size[0]), UNITS.get(unit, "millimeter"))
        except InputError:
            return None

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        low, high = (self.shape[0] - z1, self.shape[0] - z0) if self._back[2] else (z0, z1)
        if self._values is not None:
            found = self._rescale(self._values.planes(low, high))
            if self._from[0] == 1:
                found = found.swapaxes(1, 2)
        else:
            found = self._across(low, high)
        step = [-1 if back else 1 for back in (self._back[2], self._back[1], self._back[0])]
        return np.ascontiguousarray(found[:: step[0], :: step[1], :: step[2]], dtype=self.dtype)

    def _across(self, low: int, high: int) -> npt.NDArray[Any]:
        """Planes that lie across the stored ones, as (z, y, x)."""
        key: list[Any] = [slice(None)] * 3
        key[self._from[2]] = slice(low, high)
        try:
            found = np.asarray(self._image.dataobj[(*key, *self._index)])
        except (OSError, zlib.error, *DAMAGE) as error:
            raise UnreadableError(f"{self.path} is damaged: {one_line(error)}; copy it again") from error
        return found.transpose(self._from[2], self._from[1], self._from[0]).astype(self.dtype)

    def close(self) -> None:
        if self._values is not None:
            self._values.close()
