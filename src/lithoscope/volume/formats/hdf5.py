"""HDF5 and NeXus: one dataset of a file, found by name, by NeXus's own pointers, or because it is the only volume in it."""

import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import ChoiceError, InputError, MissingError, UnreadableError
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.extras import needed
from lithoscope.volume.formats.source import DAMAGE, by, checked_shape, one_line, stored_dtype
from lithoscope.volume.voxel import Voxel

SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx", ".he5")
LISTED = 8
_ENERGIES = ("incident_energy", "energy")


class Hdf5Source:
    """A dataset of an HDF5 file as (z, y, x)."""

    def __init__(self, path: Path, dataset: str | None = None, wish: Wish = NOTHING) -> None:
        self._h5py = needed("h5py", path, "an HDF5 file")
        self.path = path
        try:
            self._file = self._h5py.File(path, "r")
        except (OSError, *DAMAGE) as error:
            raise UnreadableError(f"{path} is damaged or no HDF5 file: {one_line(error)}") from error
        try:
            self._open(dataset, wish)
        except (OSError, *DAMAGE) as error:
            self.close()
            if isinstance(error, InputError | MissingError):
                raise
            raise UnreadableError(f"{path} is damaged: {one_line(error)}; copy it again") from error

    def _open(self, dataset: str | None, wish: Wish) -> None:
        found = self._chosen(dataset)
        self._array, self._name = found, found.name.lstrip("/")
        name = f"{self._name} in {self.path.name}"
        axes = _axes(found)
        extra = [(a, int(n)) for a, n in zip(axes, found.shape, strict=True) if a in "ct"]
        self._picks = dict(zip((a for a, _ in extra), chosen(name, extra, wish), strict=True))
        space = [(a, int(n)) for a, n in zip(axes, found.shape, strict=True) if a in "zyx"]
        if [a for a, _ in space] not in (["z", "y", "x"], ["y", "x"]):
            raise UnreadableError(f"{name} has the axes {','.join(axes)} of {by(found.shape)}; only z,y,x in this order are a volume")
        self._axes = axes
        self.shape = checked_shape((*([1] if len(space) == 2 else []), *(n for _, n in space)), found.dtype, name)
        self.dtype = stored_dtype(found.dtype, name)
        self.metadata: dict[str, Any] = {
            "format": "HDF5", "name": self.path.name, "dataset": self._name, "dtype": str(found.dtype), **described(wish),
        }  # fmt: skip
        self._missing_filter()
        self.metadata |= self._nexus()
        self.voxel = self._voxel()

    def _chosen(self, dataset: str | None) -> Any:
        if dataset is not None:
            try:
                found = self._file[dataset]
            except (KeyError, ValueError):
                raise MissingError(f"there is no dataset {dataset!r} in {self.path}; {self._known()}") from None
            if not isinstance(found, self._h5py.Dataset):
                inside = self._signal(found)
                if inside is None:
                    raise InputError(f"{dataset!r} in {self.path} is a group, not a dataset; {self._known()}")
                found = inside
            return found
        signal = self._default()
        if signal is not None:
            return signal
        volumes = [d for d in self._datasets() if len(d.shape) >= 3]
        if len(volumes) == 1:
            return volumes[0]
        if not volumes and len(planes := self._datasets()) == 1:
            return planes[0]
        problem = f"{self.path} holds {'several volumes' if volumes else 'no volume'}; {self._known()}"
        raise ChoiceError(problem, {"dataset": _labelled(volumes)}) if volumes else InputError(problem)

    def _known(self) -> str:
        """The datasets that could be meant, in words."""
        all_ = sorted(self._datasets(), key=lambda d: -d.size)
        if not all_:
            return "it holds no array of grey values"
        names = ", ".join(f"{d.name.lstrip('/')} ({by(d.shape)} {d.dtype})" for d in all_[:LISTED])
        more = f" and {len(all_) - LISTED} more" if len(all_) > LISTED else ""
        return f"choose one with --dataset: {names}{more}"

    def _datasets(self) -> list[Any]:
        return _arrays(self._file, self._h5py.Dataset)

    def _default(self) -> Any:
        """The dataset to which NeXus's `default` attributes lead, or None."""
        node: Any = self._file
        for _ in range(8):
            name = _text(node.attrs.get("default"))
            if not name or name not in node:
                break
            node = node[name]
            if isinstance(node, self._h5py.Dataset):
                return node
        return None if node is self._file else self._signal(node)

    def _signal(self, group: Any) -> Any:
        name = _text(group.attrs.get("signal"))
        return group[name] if name and name in group and isinstance(group[name], self._h5py.Dataset) else None

    def _missing_filter(self) -> None:
        """Refuse what is compressed by a plug-in that is not here, before anything is written."""
        plist = self._array.id.get_create_plist()
        for number in range(plist.get_nfilters()):
            code, _, _, name = plist.get_filter(number)
            if not self._h5py.h5z.filter_avail(code):
                with suppress(ImportError):
                    importlib.import_module("hdf5plugin")  # registers what it brings
                if not self._h5py.h5z.filter_avail(code):
                    called = name.decode("ascii", "replace") or str(code)
                    raise UnreadableError(
                        f"{self._name} in {self.path.name} is compressed by {called}; install its reader: pip install hdf5plugin"
                    )

    def _nexus(self) -> dict[str, Any]:
        """Energy and sample, where NeXus or Data Exchange say them."""
        said: dict[str, Any] = {}

        def look(_name: str, node: Any) -> None:
            if not isinstance(node, self._h5py.Group):
                return
            kind, last = _text(node.attrs.get("NX_class")), node.name.rpartition("/")[2]
            if (kind == "NXsample" or last == "sample") and "name" in node:
                said.setdefault("sample", _text(node["name"][()]))
            if kind in ("NXbeam", "NXmonochromator") or last in ("monochromator", "beam"):
                for key in _ENERGIES:
                    if key in node and node[key].size == 1:
                        unit = _text(node[key].attrs.get("units", ""))
                        said.setdefault("energy", f"{float(np.ravel(node[key][()])[0]):g} {unit}".strip())

        self._file.visititems(look)
        return {key: value for key, value in said.items() if value}

    def _voxel(self) -> Voxel | None:
        """From the attributes that image tools write, or from the spacing of NeXus's coordinates along z, y and x."""
        attributes = self._array.attrs
        for key in ("element_size_um", "voxel_size_um", "voxel_size", "resolution"):
            if key in attributes and np.size(attributes[key]) in (1, 3):
                size = np.broadcast_to(np.asarray(attributes[key], float).ravel(), (3,))
                unit = "um" if key.endswith("_um") else _text(attributes.get("unit", attributes.get("units", "")))
                if unit:
                    return _checked(size.tolist(), unit)
        names = [_text(n) for n in np.atleast_1d(self._array.parent.attrs.get("axes", []))]
        if len(names) != len(self._axes):
            return None
        steps: dict[str, tuple[float, str]] = {}
        for axis, name in zip(self._axes, names, strict=True):
            if name in self._array.parent and self._array.parent[name].size > 1:
                along = np.asarray(self._array.parent[name][()], float)
                step = float(np.median(np.diff(along)))
                if np.allclose(np.diff(along), step, rtol=0.01):
                    steps[axis] = (abs(step), _text(self._array.parent[name].attrs.get("units", "")))
        if not {"y", "x"} <= set(steps) or len({unit for _, unit in steps.values()}) != 1:
            return None
        sizes = [steps.get(a, steps["y"])[0] for a in "zyx"]
        return _checked(sizes, steps["x"][1])

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        keys = {"z": slice(z0, z1), **self._picks}
        try:
            found = np.asarray(self._array[tuple(keys.get(a, slice(None)) for a in self._axes)])
        except (OSError, *DAMAGE) as error:
            raise UnreadableError(f"{self.path} is damaged: {one_line(error)}; copy it again") from error
        return np.ascontiguousarray(found.reshape((z1 - z0, *self.shape[1:])), dtype=self.dtype)

    def close(self) -> None:
        self._file.close()


def datasets(path: Path) -> dict[str, str]:
    """The arrays of numbers of a file, the largest first: name, and name with shape and type in words."""
    h5py = needed("h5py", path, "an HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            return _labelled(_arrays(file, h5py.Dataset))
    except (OSError, *DAMAGE) as error:
        raise UnreadableError(f"{path} is damaged or no HDF5 file: {one_line(error)}") from error


def _arrays(file: Any, dataset: type[Any]) -> list[Any]:
    """Every array of numbers with at least two axes."""
    found: list[Any] = []

    def look(_name: str, node: Any) -> None:
        if isinstance(node, dataset) and len(node.shape or ()) >= 2 and node.dtype.kind in "iufb":
            found.append(node)

    file.visititems(look)
    return found


def _labelled(arrays: list[Any]) -> dict[str, str]:
    names = [(d.name.lstrip("/"), d) for d in sorted(arrays, key=lambda d: -d.size)]
    return {name: f"{name}: {by(d.shape)} {d.dtype}" for name, d in names}


def split(path: Path) -> tuple[Path, str] | None:
    """The file and the dataset of a path that goes on inside an HDF5 file: `scan.h5/entry/data`."""
    for parent in path.parents:
        if parent.suffix.lower() in SUFFIXES and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def _axes(dataset: Any) -> list[str]:
    """What each axis is, one of z, y, x, c, t: from its labels where there are any; else the last three are z, y, x."""
    count = len(dataset.shape)
    labels = [str(dim.label).lower()[:1] for dim in dataset.dims]
    if sorted(labels) == sorted(set(labels)) and set(labels) <= set("zyxct") and {"y", "x"} <= set(labels):
        return labels
    if count == 2:
        return ["y", "x"]
    if count > 5 or count < 2:
        raise UnreadableError(f"{dataset.name.lstrip('/')} has {count} axes of {by(dataset.shape)}; a scan has three: z, y, x")
    if count == 4 and dataset.shape[-1] <= 4 < min(dataset.shape[:-1]):
        return ["z", "y", "x", "c"]
    return [*["t", "c"][: count - 3], "z", "y", "x"]


def _text(value: Any) -> str:
    """An attribute as text: HDF5 gives bytes, arrays of them, or text."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)


def _checked(size: list[float], unit: str) -> Voxel | None:
    try:
        return Voxel((size[0], size[1], size[2]), unit)
    except InputError:
        return None
