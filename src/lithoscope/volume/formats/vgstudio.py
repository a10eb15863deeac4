"""VGStudio: a `.vgi` text that describes the bare values of a `.vol` beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.formats.source import checked_shape, stored_dtype
from lithoscope.volume.formats.values import Part, Values, checked_dtype, three
from lithoscope.volume.voxel import Voxel

KINDS = {
    "unsigned integer 8": "u1", "unsigned integer 16": "u2", "unsigned integer 32": "u4", "signed integer 8": "i1", "integer 8": "i1",
    "signed integer 16": "i2", "integer 16": "i2", "signed integer 32": "i4", "integer 32": "i4", "float 32": "f4", "float 64": "f8",
}  # fmt: skip
Sections = list[tuple[str, dict[str, str]]]


class VgiSource:
    """The first volume of a VGStudio description as (z, y, x)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        sections = read_sections(path)
        about = _first(sections, "representation")
        files = [fields for name, fields in sections if name.startswith("file") and "name" in fields]
        if not files:
            raise UnreadableError(f"{path} names no file of values; it is damaged or no VGStudio description")
        said = {**about, **files[0]}
        sizes = _sizes(said, path)
        spelt = " ".join(said.get("datatype", "unsigned integer").lower().split()).removesuffix(" int")
        kind = checked_dtype(KINDS, f"{spelt} {said.get('bitsperelement', '')}".strip(), path)
        self.shape = checked_shape(three(sizes, path), kind, path)
        self.dtype = stored_dtype(kind, path)
        big = said.get("endian", "little").lower().startswith("big")
        self._values = Values(self._parts(files), self.shape, kind.newbyteorder(">" if big else "<"), name=path.name)
        self.metadata: dict[str, Any] = {"format": "VGStudio", "name": path.name, "dtype": str(kind)}
        title = next((fields["title"] for _, fields in sections if fields.get("title")), None)
        if title:
            self.metadata["sample"] = title
        self.voxel = _voxel(_first(sections, "geometry"))

    def _parts(self, files: list[dict[str, str]]) -> list[Part]:
        """The files one after the other along z; those of a second volume are left out."""
        parts, depth = [], 0
        for fields in files:
            if fields.get("fileformat", "raw").lower() != "raw":
                raise UnreadableError(f"{self.path} holds values of the format {fields['fileformat']}; export them as raw")
            planes = _sizes(fields, self.path)[2] if "size" in fields else self.shape[0]
            if depth + planes > self.shape[0]:
                break
            name = fields["name"].replace("\\", "/").rpartition("/")[2]
            parts.append(Part(self.path.parent / name, planes, int(float(fields.get("skipheader", 0)))))
            depth += planes
        if depth != self.shape[0]:
            raise UnreadableError(f"{self.path} lists files of {depth} planes for a volume of {self.shape[0]}; it is damaged")
        return parts

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        return np.ascontiguousarray(self._values.planes(z0, z1), dtype=self.dtype)

    def close(self) -> None:
        self._values.close()


def read_sections(path: Path) -> Sections:
    """The sections of a VGStudio text in order: names and keys in small letters, braces left out."""
    found: Sections = []
    for line in path.read_bytes()[: 1 << 22].decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            found.append((text[1:-1].strip().lower(), {}))
        elif found and "=" in text:
            key, _, value = text.partition("=")
            found[-1][1].setdefault(key.strip().lower(), value.strip())
    return found


def _first(sections: Sections, name: str) -> dict[str, str]:
    return next((fields for found, fields in sections if found == name), {})


def _sizes(fields: dict[str, str], path: Path) -> list[int]:
    try:
        x, y, z = (int(n) for n in fields["size"].split())
    except (KeyError, ValueError):
        raise UnreadableError(f"{path} says size = {fields.get('size', 'nothing')}; a volume has three sizes: mend it") from None
    return [x, y, z]


def _voxel(geometry: dict[str, str]) -> Voxel | None:
    try:
        x, y, z = (float(v) for v in geometry["resolution"].split())
        return Voxel((z, y, x), geometry.get("unit", "mm"))
    except (KeyError, ValueError, InputError):
        return None
