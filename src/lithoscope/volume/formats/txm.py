"""Zeiss (Xradia) reconstructions: `.txm` containers, one stream a slice."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.formats.extras import needed
from lithoscope.volume.formats.source import DAMAGE, checked_shape, one_line, stored_dtype
from lithoscope.volume.voxel import Voxel

KINDS = {2: "i1", 3: "u1", 4: "i2", 5: "u2", 6: "i4", 7: "u4", 10: "f4", 11: "f8"}
"""The types of values by Xradia's numbers."""
GROUP = 100
"""Images lie in storages of this many."""


class TxmSource:
    """The slices of a `.txm` as (z, y, x). A `.txrm` holds projections, which are no volume."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() == ".txrm":
            raise UnreadableError(
                f"{path.name} holds projections, not a volume; reconstruct it in the scanner's software and import the .txm"
            )
        olefile = needed("olefile", path, "a Zeiss file")
        self.path = path
        self._errors = (OSError, struct.error, *DAMAGE)
        try:
            self._ole = olefile.OleFileIO(path)
        except self._errors as error:
            raise UnreadableError(f"{path} is damaged or no Zeiss file: {one_line(error)}") from error
        try:
            width, height = (int(self._number(f"ImageInfo/Image{side}", "<I")) for side in ("Width", "Height"))
            count = int(self._number("ImageInfo/NoOfImages", "<I"))
            code = int(self._number("ImageInfo/DataType", "<I"))
            taken = self._number("ImageInfo/ImagesTaken", "<I", count)
        except self._errors as error:
            self.close()
            raise error if isinstance(error, InputError) else UnreadableError(f"{path} is damaged: {one_line(error)}") from error
        if code not in KINDS:
            self.close()
            raise UnreadableError(f"{path} holds values of Xradia's type {code}; export it as 16-bit TIFF")
        self._order = np.dtype(KINDS[code]).newbyteorder("<")
        self.shape = checked_shape((count, height, width), self._order, path)
        lacking = next((n for n in range(1, count + 1) if not self._ole.exists(_stream(n))), None)
        if lacking is not None:
            self.close()
            raise UnreadableError(f"{path} is cut short: it says {count} slices and lacks slice {lacking - 1}; copy it again")
        self.dtype = stored_dtype(self._order, path)
        pixel = next((v for key in ("pixelsize", "PixelSize") if (v := self._number(f"ImageInfo/{key}", "<f", 0.0)) > 0), 0.0)
        self.voxel = Voxel((pixel,) * 3, "um") if pixel and np.isfinite(pixel) else None
        self.metadata: dict[str, Any] = {"format": "Zeiss TXM", "name": path.name, "dtype": str(self.dtype)}
        for key, unit in (("Voltage", "kV"), ("Energy", "")):
            if (value := self._number(f"ImageInfo/{key}", "<f", 0.0)) > 0:
                self.metadata[{"Voltage": "voltage", "Energy": "energy"}[key]] = f"{value:g} {unit}".strip()
        if taken != count:
            self.metadata["images_taken"] = int(taken)

    def _number(self, stream: str, form: str, default: float | None = None) -> float:
        if not self._ole.exists(stream):
            if default is None:
                raise UnreadableError(f"{self.path} lacks {stream}; it is damaged or no reconstruction")
            return default
        (value,) = struct.unpack_from(form, self._ole.openstream(stream).read(8))
        return float(value)

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        out = np.empty((z1 - z0, *self.shape[1:]), self.dtype)
        plane = self.shape[1] * self.shape[2]
        for z in range(z0, z1):
            try:
                values = np.frombuffer(self._ole.openstream(_stream(z + 1)).read(), self._order)
            except self._errors as error:
                raise UnreadableError(f"slice {z} of {self.path} is damaged: {one_line(error)}; copy it again") from error
            if len(values) < plane:
                raise UnreadableError(f"slice {z} of {self.path} has {len(values)} values instead of {plane}; copy it again")
            out[z - z0] = values[:plane].reshape(self.shape[1:])
        return out

    def close(self) -> None:
        self._ole.close()


def _stream(number: int) -> str:
    """Where the image of this number, from 1, lies."""
    return f"ImageData{-(-number // GROUP)}/Image{number}"
