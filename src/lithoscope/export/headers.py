"""Bare values with a header that other programs read: MetaImage (`.mhd` beside `.raw`, `.mha`) and NRRD."""

import gzip
from pathlib import Path
from typing import IO

import numpy as np

from lithoscope.export.writers import Mask

_MET = {"uint8": "MET_UCHAR", "uint16": "MET_USHORT"}


def metaimage_header(mask: Mask, data: str) -> str:
    """The text of a MetaImage header; lengths are in mm, as ITK takes them."""
    z, y, x = mask.shape
    lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False", "CompressedData = False"]
    if mask.voxel is not None:
        lines.append("ElementSpacing = " + " ".join(f"{s / 1000:.12g}" for s in reversed(mask.voxel.um)))
    lines += [f"DimSize = {x} {y} {z}", f"ElementType = {_MET[mask.dtype.name]}", f"ElementDataFile = {data}"]
    return "\n".join(lines) + "\n"


def write_mha(path: Path, mask: Mask) -> None:
    """Header and values in one file."""
    with path.open("wb") as file:
        file.write(metaimage_header(mask, "LOCAL").encode())
        _write_values(file, mask)


def write_nrrd(path: Path, mask: Mask, *, packed: bool) -> None:
    """An NRRD of version 4, its values as one gzip stream if `packed`."""
    z, y, x = mask.shape
    size = mask.voxel.size if mask.voxel else (1.0, 1.0, 1.0)
    unit = "" if mask.voxel is None else {"micrometer": "um", "inch": "in"}.get(mask.voxel.unit, mask.voxel.symbol)
    lines = [
        "NRRD0004", f"type: {mask.dtype.name}", "dimension: 3", "space dimension: 3", f"sizes: {x} {y} {z}",
        f"space directions: ({size[2]:.12g},0,0) (0,{size[1]:.12g},0) (0,0,{size[0]:.12g})", "kinds: domain domain domain",
        "endian: little", f"encoding: {'gzip' if packed else 'raw'}", "space origin: (0,0,0)",
    ]  # fmt: skip
    if unit:
        lines.append(f'space units: "{unit}" "{unit}" "{unit}"')
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n\n").encode())
        if packed:
            with gzip.GzipFile("", "wb", 1, file, mtime=0) as stream:
                _write_values(stream, mask)
        else:
            _write_values(file, mask)


def _write_values(file: "IO[bytes] | gzip.GzipFile", mask: Mask) -> None:
    for slab in mask.slabs():
        file.write(np.ascontiguousarray(slab, slab.dtype.newbyteorder("<")).data)
