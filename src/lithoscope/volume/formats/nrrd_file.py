"""NRRD: `.nrrd` files and `.nhdr` headers, as 3D Slicer writes them; headers by pynrrd, values read plane by plane."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.extras import needed
from lithoscope.volume.formats.source import DAMAGE, by, checked_shape, one_line, stored_dtype
from lithoscope.volume.formats.values import Part, Values, checked_dtype, listed, three
from lithoscope.volume.voxel import Voxel

KINDS = {
    spelling: code
    for code, spellings in {
        "i1": "signed char,int8,int8_t", "u1": "uchar,unsigned char,uint8,uint8_t",
        "i2": "short,short int,signed short,signed short int,int16,int16_t",
        "u2": "ushort,unsigned short,unsigned short int,uint16,uint16_t",
        "i4": "int,signed int,int32,int32_t", "u4": "uint,unsigned int,uint32,uint32_t",
        "i8": "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t",
        "u8": "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t", "f4": "float", "f8": "double",
    }.items()
    for spelling in spellings.split(",")
}  # fmt: skip
PACKED = ("gzip", "gz")


class NrrdSource:
    """The volume of an NRRD file as (z, y, x)."""

    def __init__(self, path: Path, wish: Wish = NOTHING) -> None:
        nrrd = needed("nrrd", path, "an NRRD file")
        self.path = path
        try:
            with path.open("rb") as file:
                header = nrrd.read_header(file)
                end = file.tell()
                lines = file.read(1 << 20).decode("utf-8", "replace").splitlines() if _data_file(header).startswith("LIST") else []
            sizes, said = [int(n) for n in header["sizes"]], str(header["type"])
        except (nrrd.NRRDError, *DAMAGE) as error:
            raise UnreadableError(f"{path} is damaged or no NRRD file: {one_line(error)}") from error
        kind = checked_dtype(KINDS, said, path)
        depths = self._axes(header, sizes)
        extra = [(k, n) for k, n in depths if k != "space"]
        picks = dict(zip((k for k, _ in extra), chosen(path, extra, wish), strict=True))
        space = [n for k, n in depths if k == "space"]
        self.shape = checked_shape(three(space, path), kind, path)
        self.dtype = stored_dtype(kind, path)
        encoding = str(header.get("encoding", "raw")).lower()
        if encoding not in ("raw", *PACKED):
            raise UnreadableError(f"{path} is written as {encoding}; save it again as raw or gzip")
        times = dict(extra).get("t", 1)
        self._values = Values(
            self._parts(header, lines, end, self.shape[0] * times),
            self.shape,
            kind.newbyteorder(">" if header.get("endian") == "big" else "<"),
            packed=encoding in PACKED,
            channels=dict(extra).get("c", 1),
            channel=picks.get("c", 0),
            skip=picks.get("t", 0) * self.shape[0],
            name=path.name,
        )
        self.metadata: dict[str, Any] = {"format": "NRRD", "name": path.name, "dtype": str(kind), **described(wish)}
        self.voxel = self._voxel(header, [i for i, (k, _) in enumerate(depths) if k == "space"])
        for key in ("content", "sample name"):
            if header.get(key):
                self.metadata["sample"] = str(header[key])

    def _axes(self, header: Any, sizes: list[int]) -> list[tuple[str, int]]:
        """What each axis, fastest first, is: `space`, channels (`c`, only the fastest) or time (`t`, only the slowest)."""
        if len(sizes) <= 3:
            return [("space", n) for n in sizes]
        if len(sizes) > 4:
            raise UnreadableError(f"{self.path} has {len(sizes)} axes of {by(tuple(sizes))}; a scan has three: z, y, x")
        directions = header.get("space directions")
        kinds = [str(k) for k in header.get("kinds") or ()]
        if directions is not None:
            lost = [i for i, row in enumerate(directions) if row is None or np.isnan(np.asarray(row, float)).any()]
        else:
            lost = [i for i, k in enumerate(kinds) if k not in ("domain", "space", "???", "none")]
        if lost == [0]:
            return [("c", sizes[0]), *(("space", n) for n in sizes[1:])]
        if lost in ([3], []):
            return [*(("space", n) for n in sizes[:3]), ("t", sizes[3])]
        raise UnreadableError(
            f"{self.path} has the axes {', '.join(kinds) or by(tuple(sizes))}; only z, y, x beside one of channels or time are read"
        )

    def _parts(self, header: Any, lines: list[str], end: int, depth: int) -> list[Part]:
        if int(header.get("line skip", header.get("lineskip", 0)) or 0):
            raise UnreadableError(f"{self.path} skips lines of its data file; save it again as raw or gzip")
        skip = int(header.get("byte skip", header.get("byteskip", 0)) or 0)
        where = _data_file(header)
        if not where:
            return [Part(self.path, depth, -1 if skip == -1 else end + skip)]
        return listed(where, lines, self.path.parent, depth, self.path.name) or [Part(self.path.parent / where, depth, skip)]

    def _voxel(self, header: Any, space: list[int]) -> Voxel | None:
        if header.get("space directions") is not None:
            rows = [np.asarray(header["space directions"][i], float) for i in space]
            size = [float(np.linalg.norm(row)) for row in rows]
        elif header.get("spacings") is not None:
            size = [float(header["spacings"][i]) for i in space]
        else:
            return None
        units = header.get("space units") or [(header.get("units") or [""] * 8)[i] for i in space]
        unit = str(units[0]).strip() if units else ""
        patient = str(header.get("space", "")).lower()
        known = bool(unit) or any(word in patient for word in ("left", "right", "lps", "ras", "las"))
        if not np.isfinite(size).all() or (not known and set(size) == {1.0}):
            return None
        if not unit:
            self.metadata["unit"] = "taken to be mm, as the file names none"
        x, y, z = (*size, size[-1])[:3]
        try:
            return Voxel((z, y, x), unit or "millimeter")
        except InputError:
            return None

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        return np.ascontiguousarray(self._values.planes(z0, z1), dtype=self.dtype)

    def close(self) -> None:
        self._values.close()


def _data_file(header: Any) -> str:
    """The file that holds the values, or nothing when they follow the header."""
    return str(header.get("data file", header.get("datafile", "")) or "").strip()
