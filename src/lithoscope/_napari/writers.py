"""Saving a labels layer block by block: napari's own writer would hold it whole, at four bytes a voxel."""

from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.errors import InputError


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write labels to a TIFF, slab by slab; returns the path that was written."""
    import tifffile

    level = data[0] if attributes.get("multiscale") else data
    if level.ndim not in (2, 3):
        raise InputError(f"labels of {level.ndim} axes cannot be written as a TIFF stack; save two or three axes")
    shape = (1,) * (3 - level.ndim) + tuple(int(n) for n in level.shape)
    dtype = np.dtype(level.dtype)
    if dtype.itemsize > 4:
        raise InputError(f"labels of type {dtype} are too wide for a TIFF that other programs read; convert them to uint16 first")
    place = Path(path)
    partial = place.with_name(place.name + ".partial")
    scale = [float(s) for s in np.asarray(attributes.get("scale", (1.0,) * level.ndim))][-3:]
    units = attributes.get("units") or ("pixel",)
    unit = str(units[-1])
    metadata: dict[str, Any] = {"axes": "ZYX"}
    if unit != "pixel":
        metadata |= {"spacing": scale[0], "unit": "um" if unit == "micrometer" else unit}
    planes = (np.asarray(level[z] if level.ndim == 3 else level) for z in range(shape[0]))
    try:
        tifffile.imwrite(
            partial,
            planes,
            shape=shape,
            dtype=dtype,
            imagej=dtype.itemsize <= 2 and int(np.prod(shape)) * dtype.itemsize < 1 << 31,
            bigtiff=int(np.prod(shape)) * dtype.itemsize >= 1 << 31,
            resolution=(1 / scale[-1], 1 / scale[-2]),
            metadata=metadata,
        )
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
    return [str(place)]
