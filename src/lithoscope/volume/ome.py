"""The OME-Zarr metadata of scans: written as version 0.5, read as 0.4 or 0.5, checked by a kept library."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.voxel import Voxel, in_unit, unit_named


@dataclass(frozen=True, slots=True)
class Multiscale:
    """What an image group says of itself: level paths, full size first, axis names and the size of a voxel."""

    version: str
    axes: tuple[str, ...]
    paths: tuple[str, ...]
    scales: tuple[tuple[float, ...], ...]
    voxel: Voxel | None


def attributes(name: str, factors: list[Triple], voxel: Voxel | None, *, labels: bool = False) -> dict[str, Any]:
    """The value of the `ome` attribute for an image of these level factors; `labels` makes it a label image."""
    from ome_zarr_models.v05.axes import Axis
    from ome_zarr_models.v05.image import ImageAttrs
    from ome_zarr_models.v05.multiscales import Dataset, Multiscale

    size = voxel.size if voxel else (1.0, 1.0, 1.0)
    unit = voxel.unit if voxel else None
    datasets = []
    for level, factor in enumerate(factors):
        scale = [s * f for s, f in zip(size, factor, strict=True)]
        # Means lie in the middle of their cells; picked labels where the first voxel of the cell lies.
        shift = [0.0 if labels else s * (f - 1) / 2 for s, f in zip(size, factor, strict=True)]
        datasets.append(Dataset.build(path=str(level), scale=scale, translation=shift if any(shift) else None))
    axes = tuple(Axis(name=n, type="space", **({"unit": unit} if unit else {})) for n in "zyx")
    multiscale = Multiscale(axes=axes, datasets=tuple(datasets), name=name, type="nearest" if labels else "mean")
    value: dict[str, Any] = ImageAttrs(multiscales=[multiscale], version="0.5").model_dump(exclude_none=True)
    if labels:
        value["image-label"] = {"source": {"image": "../../"}}
    return value


def validate(path: Path) -> None:
    """Check a written image group with the OME-Zarr models; a failure is a bug of the writer."""
    from ome_zarr_models.v05 import Image

    Image.from_zarr(zarr.open_group(str(path), mode="r"))


def multiscale_of(group: zarr.Group, path: Path) -> Multiscale:
    """What the image group at `path` says of itself, or an `UnreadableError` that says what is wrong."""
    plain: dict[str, Any] = dict(group.attrs)
    ome = plain.get("ome")
    holder: dict[str, Any] = ome if isinstance(ome, dict) else plain
    entries = holder.get("multiscales")
    if not isinstance(entries, list) or not entries:
        raise UnreadableError(f"{path} is not an OME-Zarr image; import it: lithoscope import {path} SCAN.zarr")
    version = str(holder.get("version") or entries[0].get("version") or "0.4")
    if version not in ("0.4", "0.5"):
        raise UnreadableError(f"{path} is OME-Zarr {version}; versions 0.4 and 0.5 are read; convert it, or import one of its arrays")
    return _checked(entries[0], version, path)


def _checked(entry: dict[str, Any], version: str, path: Path) -> Multiscale:
    from pydantic import ValidationError

    if version == "0.5":
        from ome_zarr_models.v05.multiscales import Multiscale as Model
    else:
        from ome_zarr_models.v04.multiscales import Multiscale as Model
    try:
        model = Model.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnreadableError(f"the OME-Zarr metadata of {path} is not valid: {where}: {first['msg']}; import one of its arrays") from error
    names = tuple(str(axis.name) for axis in model.axes)
    overall = _scale(model.coordinateTransformations, len(names))
    scales = []
    for dataset in model.datasets:
        own = _scale(dataset.coordinateTransformations, len(names))
        scales.append(tuple(a * b for a, b in zip(own, overall, strict=True)))
    units = {axis.name: axis.unit for axis in model.axes}
    return Multiscale(version, names, tuple(d.path for d in model.datasets), tuple(scales), _voxel(names, scales[0], units))


def _scale(transforms: Any, dimensions: int) -> tuple[float, ...]:
    for transform in transforms or ():
        if transform.type == "scale" and hasattr(transform, "scale"):
            return tuple(float(s) for s in transform.scale)
    return (1.0,) * dimensions


def _voxel(names: tuple[str, ...], scale: tuple[float, ...], units: dict[str, Any]) -> Voxel | None:
    """The voxel size along z, y, x in the unit of x, where the axes carry a unit of length; without a unit nothing is known."""
    unit = next((units[n] for n in "xyz" if units.get(n)), None)
    if unit is None:
        return None
    sizes = dict(zip(names, scale, strict=True))
    try:
        z, y, x = (sizes.get(n, sizes["x"]) * in_unit(str(units.get(n) or unit), str(unit)) for n in "zyx")
        return Voxel((z, y, x), unit_named(str(unit)))
    except (InputError, KeyError):
        return None
