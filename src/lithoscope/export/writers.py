"""One writer for each kind of file: each takes a volume slab by slab and never holds more than one."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume.box import Triple
from lithoscope.volume.voxel import Voxel

Labels = npt.NDArray[Any]
Compression = Literal["zlib", "deflate", "lzw", "none"]
COMPRESSIONS = ("zlib", "deflate", "lzw", "none")

CLASSIC_TIFF = 2**32 - 2**25
"""The bytes of voxels that a TIFF of 4 GB holds for certain; larger ones are BigTIFF, which Fiji reads through Bio-Formats."""


BUFFER = 32 << 20
"""The bytes of slices that are compressed at a time."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A volume to be written: `slabs` yields it in order of z, each a (z, y, x) array of `dtype`."""

    shape: Triple
    dtype: np.dtype[Any]
    slabs: Callable[[], Iterator[Labels]]
    voxel: Voxel | None
    highest: int
    colours: tuple[tuple[int, str], ...] = ()

    @property
    def nbytes(self) -> int:
        z, y, x = self.shape
        return z * y * x * self.dtype.itemsize

    def planes(self) -> Iterator[Labels]:
        """The slices, one at a time."""
        for slab in self.slabs():
            yield from slab


def codec(compression: str) -> dict[str, Any]:
    """What tifffile calls a compression."""
    if compression not in COMPRESSIONS:
        raise InputError(f"compression {compression!r} is not known; use {', '.join(COMPRESSIONS)}")
    if compression == "none":
        return {}
    return {"compression": "lzw" if compression == "lzw" else "zlib", "predictor": False}


def write_tiff(path: Path, mask: Mask, compression: str) -> None:
    """A TIFF of one page a slice, with voxel size and axes as ImageJ writes them; BigTIFF where 4 GB may not do."""
    import tifffile

    big = mask.nbytes > CLASSIC_TIFF
    # tifffile's own ImageJ mode knows neither BigTIFF nor compression; ImageJ and Bio-Formats read this description in both.
    with tifffile.TiffWriter(path, bigtiff=big, byteorder="<") as file:
        file.write(
            mask.planes(),
            shape=mask.shape,
            dtype=mask.dtype,
            photometric="minisblack",
            metadata=None,
            description=imagej_description(mask),
            software="lithoscope",
            buffersize=BUFFER,
            **_resolution(mask.voxel),
            **codec(compression),
        )


def imagej_description(mask: Mask) -> str:
    """The text by which ImageJ knows a stack, its voxel size along z, and the grey levels to show it with."""
    count = mask.shape[0]
    lines = ["ImageJ=1.54f", f"images={count}"]
    if count > 1:
        lines.append(f"slices={count}")
    if mask.voxel is not None:
        lines += [f"unit={_imagej_unit(mask.voxel)}", f"spacing={mask.voxel.size[0]!r}"]
    lines += ["loop=false", "min=0.0", f"max={float(max(mask.highest, 1))}"]
    return "\n".join(lines) + "\n"


def _imagej_unit(voxel: Voxel) -> str:
    return "micron" if voxel.unit == "micrometer" else "inch" if voxel.unit == "inch" else voxel.symbol


def _resolution(voxel: Voxel | None) -> dict[str, Any]:
    """Voxels for each unit along x and y; the unit itself is in the description, as ImageJ wants it."""
    if voxel is None:
        return {}
    return {"resolution": (1 / voxel.size[2], 1 / voxel.size[1]), "resolutionunit": 1}


def write_slices(path: Path, mask: Mask, compression: str, kind: str) -> None:
    """A folder of one TIFF or PNG a slice, named so that any program sorts them right."""
    path.mkdir()
    digits = max(4, len(str(mask.shape[0] - 1)))
    for index, plane in enumerate(mask.planes()):
        file = path / f"slice_{index:0{digits}d}.{kind}"
        if kind == "png":
            from PIL import Image

            Image.fromarray(plane).save(file, compress_level=1)
        else:
            import tifffile

            tifffile.imwrite(file, plane, photometric="minisblack", metadata=None, **_resolution(mask.voxel), **codec(compression))


def write_raw(path: Path, mask: Mask) -> None:
    """Bare voxels, x fastest, lowest byte first."""
    with path.open("wb") as file:
        for slab in mask.slabs():
            file.write(np.ascontiguousarray(slab, slab.dtype.newbyteorder("<")).data)
        file.flush()
        os.fsync(file.fileno())


def raw_note(name: str, mask: Mask) -> str:
    """What a person needs to open a bare file."""
    z, y, x = mask.shape
    kind = "8-bit" if mask.dtype.itemsize == 1 else "16-bit Unsigned"
    size = "unknown" if mask.voxel is None else " × ".join(f"{s:g}" for s in mask.voxel.size) + f" {mask.voxel.symbol} (z × y × x)"
    return (
        f"{name}\nshape (z, y, x): {z} {y} {x}\ndtype: {mask.dtype.name}\nbyte order: little endian\norder: x fastest, then y, then z\n"
        f"header: 0 bytes\nvoxel size: {size}\n"
        f"Fiji: File > Import > Raw…: image type {kind}, width {x}, height {y}, number of images {z}, offset 0, little-endian byte order\n"
    )


def write_npy(path: Path, mask: Mask) -> None:
    """A NumPy array file."""
    with path.open("wb") as file:
        description = np.lib.format.dtype_to_descr(mask.dtype.newbyteorder("<"))
        np.lib.format.write_array_header_1_0(file, {"shape": mask.shape, "fortran_order": False, "descr": description})
        for slab in mask.slabs():
            file.write(np.ascontiguousarray(slab, slab.dtype.newbyteorder("<")).data)


def write_ome_zarr(path: Path, mask: Mask, name: str) -> None:
    """An OME-Zarr 0.5 label image with all its levels; slabs must be as deep as its shards."""
    import zarr

    from lithoscope.volume.ome import attributes
    from lithoscope.volume.pyramid import level_factors, reduce_labels
    from lithoscope.volume.store import Layout, create_levels

    layout = Layout.of(mask.shape, mask.dtype)
    factors = level_factors(mask.shape)
    described = attributes(name, factors, mask.voxel, labels=True)
    described["image-label"] = {"colors": [{"label-value": value, "rgba": _rgba(colour)} for value, colour in mask.colours]}
    zarr.create_group(str(path), zarr_format=3, attributes={"ome": described})
    levels = create_levels(path, layout, mask.dtype, "labels")
    z = 0
    for slab in mask.slabs():
        for level, factor in zip(levels, factors, strict=True):
            skipped = -z % factor[0]
            reduced = reduce_labels(slab[skipped:], factor)
            if len(reduced):
                start = (z + skipped) // factor[0]
                level[start : start + len(reduced)] = reduced
        z += len(slab)


def _rgba(colour: str) -> list[int]:
    return [*bytes.fromhex(colour[1:]), 255]


def slab_depth(shape: Triple, dtype: np.dtype[Any]) -> int:
    """How many slices are read at a time: as many as a shard of the scan holds, so that none is read twice."""
    from lithoscope.volume.store import Layout

    return Layout.of(shape, dtype).shard[0]
