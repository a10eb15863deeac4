"""Zarr arrays of version 2 and 3, and the images of OME-Zarr groups, read to be imported."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from lithoscope.errors import ChoiceError, InputError, MissingError, UnreadableError
from lithoscope.volume import ome
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.source import DAMAGE, by, checked_shape, one_line, stored_dtype
from lithoscope.volume.store import fast_codecs
from lithoscope.volume.view import Volume
from lithoscope.volume.voxel import Voxel

MARKS = ("zarr.json", ".zarray", ".zgroup")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return any((path / mark).exists() for mark in MARKS)


class ZarrSource:
    """An array in a Zarr store as (z, y, x)."""

    def __init__(self, path: Path, dataset: str | None = None, wish: Wish = NOTHING) -> None:
        self.voxel: Voxel | None = None
        self._wish = wish
        self.metadata: dict[str, Any] = {"format": "Zarr", "name": path.name, **described(wish)}
        try:
            with fast_codecs():
                node = zarr.open(str(path), mode="r")
        except (*DAMAGE, FileNotFoundError) as error:
            raise UnreadableError(f"{path} cannot be opened as Zarr: {one_line(error)}") from error
        self._array = self._chosen(node, path, dataset)
        self.path = path
        self.shape = checked_shape(tuple(self._array.shape), self._array.dtype, path)
        self.dtype = stored_dtype(self._array.dtype, path)
        self.metadata["dtype"] = str(self._array.dtype)

    def _chosen(self, node: Any, path: Path, dataset: str | None) -> Array3D:
        if isinstance(node, zarr.Group):
            if dataset is None and ("multiscales" in node.attrs or "ome" in node.attrs):
                about = ome.multiscale_of(node, path)
                self.voxel = about.voxel
                self.metadata["format"] = f"OME-Zarr {about.version}"
                return _as_volume(self._member(node, path, about.paths[0]), path, about.axes, self._wish)
            if dataset is None:
                arrays = sorted(name for name, _ in node.arrays())
                if len(arrays) != 1:
                    known = ", ".join(arrays[:8]) if arrays else "none at its top"
                    problem = f"{path} is a group of Zarr arrays ({known}); choose one with --dataset"
                    raise ChoiceError(problem, {"dataset": arrays_in(node)})
                dataset = arrays[0]
            node = self._member(node, path, dataset)
        elif dataset is not None:
            raise InputError(f"{path} is an array, and has no dataset {dataset!r} in it; leave the dataset out")
        return _as_volume(node, path, None, self._wish)

    def _member(self, group: zarr.Group, path: Path, name: str) -> zarr.Array[Any]:
        try:
            with fast_codecs():
                found = group[name]
        except (*DAMAGE, FileNotFoundError):
            raise MissingError(f"there is no array {name!r} in {path}") from None
        if not isinstance(found, zarr.Array):
            raise InputError(f"{name!r} in {path} is a group, not an array; give the path of one of its arrays")
        return found

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        try:
            return np.ascontiguousarray(self._array[z0:z1], dtype=self.dtype)
        except DAMAGE as error:
            raise UnreadableError(f"{self.path} is damaged: {one_line(error)}") from error

    def close(self) -> None: ...


def arrays_in(group: zarr.Group) -> dict[str, str]:
    """The arrays at the top of a group and one below, by name, with shape and type in words."""
    found = dict(group.arrays())
    for name, inner in group.groups():
        found |= {f"{name}/{own}": array for own, array in inner.arrays()}
    return {name: f"{name}: {by(found[name].shape)} {found[name].dtype}" for name in sorted(found) if found[name].ndim >= 2}


def _as_volume(array: zarr.Array[Any], path: Path, axes: tuple[str, ...] | None, wish: Wish) -> Array3D:
    """The array as (z, y, x); without names the last three axes are that, and one before them is time."""
    if axes is None:
        names = array.metadata.dimension_names if array.metadata.zarr_format == 3 else None
        if names and set(names) <= set("tczyx") and len(set(names)) == array.ndim:
            axes = tuple(str(n) for n in names)
        elif array.ndim in (2, 3, 4):
            axes = ("t", "z", "y", "x")[4 - array.ndim :]
        else:
            raise UnreadableError(f"{path} has {array.ndim} axes of {by(array.shape)}; a scan has three: z, y, x")
    extra = [(a, int(n)) for a, n in zip(axes, array.shape, strict=True) if a in "ct"]
    picks = dict(zip((a for a, _ in extra), chosen(path, extra, wish), strict=True))
    return array if axes == ("z", "y", "x") else Volume(array, axes, path, picks)
