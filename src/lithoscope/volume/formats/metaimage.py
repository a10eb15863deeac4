"""MetaImage: `.mhd` headers with their values beside them, and `.mha` files of both, as ITK, Elastix and Avizo write them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.source import checked_shape, stored_dtype
from lithoscope.volume.formats.values import Part, Values, checked_dtype, listed, three
from lithoscope.volume.voxel import Voxel

KINDS = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4",
    "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
LONGEST_HEADER = 1 << 20
UNIT = "millimeter"
"""MetaImage knows no unit; ITK takes millimetres."""


class MetaImageSource:
    """The volume of a MetaImage as (z, y, x)."""

    def __init__(self, path: Path, wish: Wish = NOTHING) -> None:
        self.path = path
        fields, lines, end = read_header(path)
        sizes = _numbers(fields, "DimSize", path, int)
        if len(sizes) != int(fields.get("NDims", len(sizes))):
            raise UnreadableError(f"{path} says NDims = {fields['NDims']} and DimSize = {fields['DimSize']}; mend its header")
        times = sizes.pop() if len(sizes) == 4 else 1
        channels = int(fields.get("ElementNumberOfChannels", 1))
        extra = [*([("c", channels)] if channels > 1 else []), *([("t", times)] if times > 1 else [])]
        picks = dict(zip((kind for kind, _ in extra), chosen(path, extra, wish), strict=True))
        kind = checked_dtype(KINDS, fields.get("ElementType", ""), path)
        self.shape = checked_shape(three(sizes, path), kind, path)
        self.dtype = stored_dtype(kind, path)
        msb = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true"
        self._values = Values(
            self._parts(fields, lines, end, self.shape[0] * times),
            self.shape,
            kind.newbyteorder(">" if msb else "<"),
            packed=fields.get("CompressedData", "False").lower() == "true",
            channels=channels,
            channel=picks.get("c", 0),
            skip=picks.get("t", 0) * self.shape[0],
            name=path.name,
        )
        self.metadata: dict[str, Any] = {"format": "MetaImage", "name": path.name, "dtype": str(kind), **described(wish)}
        self.voxel = self._voxel(fields, path)
        if (directions := fields.get("TransformMatrix", "")) and not np.allclose(_matrix(directions), np.eye(len(_matrix(directions)))):
            self.metadata["directions"] = [float(v) for v in directions.split()]

    def _parts(self, fields: dict[str, str], lines: list[str], end: int, depth: int) -> list[Part]:
        where = fields["ElementDataFile"]
        header = int(fields.get("HeaderSize", 0))
        if where.upper() == "LOCAL":
            return [Part(self.path, depth, end if header == 0 else header)]
        found = listed(where, lines, self.path.parent, depth, self.path.name)
        return found or [Part(self.path.parent / where, depth, header)]

    def _voxel(self, fields: dict[str, str], path: Path) -> Voxel | None:
        key = next((k for k in ("ElementSpacing", "ElementSize") if k in fields), None)
        if key is None:
            return None
        size = [*_numbers(fields, key, path, float), 1.0][:3]
        unit = fields.get("DistanceUnits")
        if unit is None and size == [1.0, 1.0, 1.0]:
            return None
        if unit is None:
            self.metadata["unit"] = "taken to be mm, as the file names none"
        try:
            return Voxel((size[2], size[1], size[0]), unit or UNIT)
        except InputError:
            raise UnreadableError(f"{path} says {key} = {fields[key]}, which is no voxel size; mend its header") from None

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        return np.ascontiguousarray(self._values.planes(z0, z1), dtype=self.dtype)

    def close(self) -> None:
        self._values.close()


def read_header(path: Path) -> tuple[dict[str, str], list[str], int]:
    """The fields of a header, the lines after its last, and the byte at which it ends."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while file.tell() < LONGEST_HEADER:
            line = file.readline(4096)
            key, equals, value = line.decode("utf-8", "replace").partition("=")
            if not line or not equals or not key.strip().isidentifier():
                break
            fields[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                end = file.tell()
                rest = file.read(LONGEST_HEADER).decode("utf-8", "replace").splitlines() if value.split()[:1] == ["LIST"] else []
                return fields, rest, end
    raise UnreadableError(f"{path} is not a MetaImage header, or is cut short: it names no ElementDataFile")


def _numbers(fields: dict[str, str], key: str, path: Path, kind: Any) -> list[Any]:
    try:
        return [kind(part) for part in fields[key].split()]
    except (KeyError, ValueError):
        raise UnreadableError(f"{path} says {key} = {fields.get(key, 'nothing')}; mend its header") from None


def _matrix(text: str) -> npt.NDArray[np.float64]:
    """The square matrix of these numbers; the unit matrix where they are none."""
    try:
        values = np.array([float(v) for v in text.split()])
        edge = int(np.sqrt(len(values)))
        return values.reshape(edge, edge)
    except ValueError:
        return np.eye(3)
