"""A scan on disk: an OME-Zarr image, ours or used in place, with what is known of it."""

import json
import uuid as uuids
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import xxhash
import zarr

from lithoscope.errors import InputError, MissingError, StorageError, UnreadableError
from lithoscope.job import Progress, Report, silent
from lithoscope.volume import field_of_view as fov
from lithoscope.volume import ome
from lithoscope.volume.blocks import Array3D, read
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.counting import Counter, levelwise
from lithoscope.volume.field_of_view import FieldOfView
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.pyramid import level_factors
from lithoscope.volume.sidecar import check_schema, load_histogram, read_state, save_histogram, sidecar_of, write_state
from lithoscope.volume.store import Layout, fast_codecs, open_array, storage_errors, triple
from lithoscope.volume.view import Volume
from lithoscope.volume.voxel import Voxel

PERCENTILES = (0.01, 0.5, 1, 5, 25, 50, 75, 95, 99, 99.5, 99.99)
HISTOGRAM = "histogram.npz"
IMAGES = "images"
SAMPLE_PLANES = 32
FEW_SLICES = 8
COARSE_Z = 3.0


class _Kept:
    """Stands for "leave it as it is" where None means "there is none"."""


KEEP = _Kept()


class Scan:
    """One scan. `levels` are read-only to a scan that is not ours (`ours`), which is never written to."""

    SUFFIX: ClassVar[str] = ".zarr"

    def __init__(self, path: Path, group: zarr.Group, *, readonly: bool) -> None:
        self.path = path
        self.name = path.name.removesuffix(".zarr").removesuffix(".ome")
        self.readonly = readonly
        own = group.attrs.get("lithoscope")
        self.ours = isinstance(own, dict)
        self.own: dict[str, Any] = cast(dict[str, Any], own) if isinstance(own, dict) else {}
        check_schema(self.own, path)
        self._group = group
        described = ome.multiscale_of(group, path)
        self.levels: list[Array3D] = [self._level(described.axes, name) for name in described.paths]
        self.shape: Triple = triple(self.levels[0].shape)
        self.dtype: np.dtype[Any] = np.dtype(self.levels[0].dtype)
        if self.dtype.kind not in "iuf":
            raise UnreadableError(f"{path} holds values of type {self.dtype}; only grey values, whole or float, are a scan")
        if not Box.whole(self.shape).size:
            raise UnreadableError(f"{path} is empty: its shape is {self.shape}")
        self.level_factors: list[Triple] = [
            triple([max(1, round(n / m)) for n, m in zip(self.shape, level.shape, strict=True)]) for level in self.levels
        ]
        self.sidecar = sidecar_of(path)
        self._state = read_state(self.sidecar)
        self.uuid: str = str(self.own.get("uuid") or self._state.get("uuid") or self._derived_uuid())
        if self._state.get("uuid", self.uuid) != self.uuid:
            raise InputError(f"{self.sidecar} belongs to another scan than {path}; move it elsewhere, or give the scan its old name back")
        given = self._state.get("voxel")
        self.voxel: Voxel | None = described.voxel if given is None or self.ours else Voxel.from_json(given)
        self.separate_slices = bool(self.own.get("separate_slices", False))
        self.metadata: dict[str, Any] = dict(self.own.get("source") or {"format": f"OME-Zarr {described.version}"})

    @classmethod
    def open(cls, path: Path | str, *, readonly: bool = False) -> Self:
        """The scan at `path`: an OME-Zarr 0.4 or 0.5 image, written by Lithoscope or used in place."""
        place = Path(path)
        if place.name in ("", ".."):  # the folder in which one stands, or above it: names and sidecars go by the real one
            place = place.resolve()
        if not place.exists():
            raise MissingError(f"there is no scan at {place}; look at the path, or import one: lithoscope import SOURCE {place}")
        if place.name.endswith(".partial"):
            raise UnreadableError(f"{place} is an import that was not finished; import it again")
        try:
            with fast_codecs():
                group = zarr.open_group(str(place), mode="r")
        except (zarr.errors.BaseZarrError, FileNotFoundError, ValueError, KeyError, TypeError, NotADirectoryError):
            raise UnreadableError(f"{place} is not an OME-Zarr image; import it: lithoscope import {place} SCAN.zarr") from None
        return cls(place, group, readonly=readonly)

    def _level(self, axes: tuple[str, ...], name: str) -> Array3D:
        """One level as an array of (z, y, x)."""
        try:
            with fast_codecs():
                array = self._group[name]
        except (KeyError, ValueError, TypeError, FileNotFoundError) as error:
            raise UnreadableError(f"level {name!r} of {self.path} cannot be opened; the copy may be incomplete") from error
        if not isinstance(array, zarr.Array) or array.ndim != len(axes):
            raise UnreadableError(f"level {name!r} of {self.path} is not an array of the axes {','.join(axes)}")
        if axes == ("z", "y", "x"):
            return array
        return Volume(array, axes, self.path)

    def _derived_uuid(self) -> str:
        """The uuid of a scan used in place that nobody gave one: always the same for the same metadata."""
        text = json.dumps([self._group.attrs.asdict(), list(self.shape), str(self.dtype), self.path.name], sort_keys=True, default=str)
        return str(uuids.uuid5(uuids.NAMESPACE_URL, text))

    def __repr__(self) -> str:
        return f"Scan({str(self.path)!r}, {self.shape}, {self.dtype})"

    @property
    def shard(self) -> Triple:
        """The voxels (z, y, x) that a block must cover to write whole shards of every level."""
        own = self.own.get("shard")
        return triple(own) if own else Layout.of(self.shape, self.dtype).shard

    @property
    def layout(self) -> Layout:
        """How images and labels of this scan's shape are laid out."""
        return Layout(self.shape, self.shard)

    def check_present(self) -> None:
        """Raise `MissingError` when the scan has been deleted or moved while open: chunks that are gone read as zeros."""
        if not any((self.path / mark).exists() for mark in ("zarr.json", ".zattrs")):
            raise MissingError(f"the scan {self.path} is gone: it was deleted or moved while it was open; open it where it lies now")

    @property
    def box(self) -> Box:
        """All of it."""
        return Box.whole(self.shape)

    @property
    def labels_folder(self) -> Path:
        """Where the label images of results live: in the scan when it is ours, else in the sidecar."""
        return self.path / "labels" if self.ours else self.sidecar / "labels"

    def array(self, image: str | None = None) -> Array3D:
        """The full-size grey values (z, y, x) of the scan, or of one of its filtered images."""
        if image is None:
            return self.levels[0]
        known = self.images()
        if image not in known:
            raise MissingError(f"{self.name} has no image {image!r}; its images are {', '.join(known) or 'none yet'}")
        return open_array(self.sidecar / IMAGES / image / "0", readonly=True)

    def images(self) -> list[str]:
        """The names of the filtered images of this scan."""
        return _names(self.sidecar / IMAGES)

    def results(self) -> list[str]:
        """The names of the finished label images of this scan."""
        return _names(self.labels_folder)

    @cached_property
    def field_of_view(self) -> FieldOfView | None:
        """The part that was measured, or None for all of it."""
        return fov.from_json(self._state.get("field_of_view"), self.sidecar)

    @property
    def knows_field_of_view(self) -> bool:
        """Whether somebody said what it is, none included: an import does, a scan used in place comes without."""
        return "field_of_view" in self._state

    def inside(self, box: Box) -> npt.NDArray[np.bool_] | None:
        """Which voxels of `box` lie in the field of view, or None when all do; reflected beyond the faces, as the image is read."""
        if self.field_of_view is None:
            return None
        if box.intersect(self.box) == box:
            return self.field_of_view.inside(box)
        found = read(_Inside(self.field_of_view, self.shape), box)
        return None if found.all() else found

    @cached_property
    def histogram(self) -> Histogram:
        """The grey values inside the field of view; counted now if nobody has, and kept in the sidecar."""
        found = load_histogram(self.sidecar / HISTOGRAM)
        return found if found is not None else self.count()

    @property
    def percentiles(self) -> dict[str, float]:
        """Grey values by percentile ("50": the median) inside the field of view; empty when nothing finite is there."""
        histogram = self.histogram
        return {f"{q:g}": histogram.percentile(q) for q in PERCENTILES} if histogram.total else {}

    @property
    def window(self) -> tuple[float, float]:
        """The .5 and 99.5 percentiles: between them the scan is shown, and networks see it."""
        return self.histogram.window() if self.histogram.total else (0.0, 1.0)

    @property
    def content_hash(self) -> str:
        """xxh3_128 over the full-size values in order z, y, x; the same whatever chunks they lie in."""
        known = self.own.get("content_hash") or self._state.get("content_hash")
        if not known:
            self.count()
            known = self._state["content_hash"]
        return str(known)

    def count(self, report: Report = silent) -> Histogram:
        """Read the whole scan once: its histogram inside the field of view, and its content hash."""
        array, depth = self.levels[0], min(self.shard[0], self.shape[0])
        counter = Counter(self.dtype, None if levelwise(self.dtype) else inside_only(self.sample(), self.shape, self.inside))
        digest = xxhash.xxh3_128()
        digest.update(hash_header(self.shape, self.dtype))
        steps = range(0, self.shape[0], depth)
        for done, z in enumerate(steps):
            report(Progress(done, len(steps), "counting grey values"))
            box = Box((z, 0, 0), (min(z + depth, self.shape[0]), self.shape[1], self.shape[2]))
            slab = np.ascontiguousarray(read(array, box))
            self.check_present()
            counter.add(slab, self.inside(box))
            digest.update(slab.data)
        report(Progress(len(steps), len(steps), "counting grey values"))
        histogram = counter.histogram()
        self.__dict__["histogram"] = histogram
        self._state["content_hash"] = digest.hexdigest()
        self._remember(histogram)
        return histogram

    def sample(self) -> npt.NDArray[Any]:
        """Up to 32 planes (n, y, x) spread evenly over the scan."""
        return np.stack([read(self.levels[0], Box((z, 0, 0), (z + 1, *self.shape[1:])))[0] for z in sample_planes(self.shape)])

    def _remember(self, histogram: Histogram) -> None:
        if self.readonly:
            return
        try:
            save_histogram(self.sidecar / HISTOGRAM, histogram)
            self._save_state()
        except StorageError:
            if self.ours:
                raise

    def _save_state(self) -> None:
        self._state["uuid"] = self.uuid
        write_state(self.sidecar, self._state)

    def set(
        self,
        *,
        voxel: Voxel | _Kept | None = KEEP,
        field_of_view: FieldOfView | str | _Kept | None = KEEP,
        report: Report = silent,
    ) -> None:
        """Change the voxel size or the field of view ("auto", "none", "cylinder:…", a mask's path); the latter counts again."""
        if self.readonly:
            raise InputError(f"{self.path} was opened read-only; open it for writing to change it")
        self.check_present()
        if not isinstance(voxel, _Kept):
            self._set_voxel(voxel)
        if not isinstance(field_of_view, _Kept):
            chosen = self._chosen(field_of_view, report)
            self.__dict__.pop("histogram", None)
            self.__dict__["field_of_view"] = chosen
            self._state["field_of_view"] = None if chosen is None else chosen.to_json()
            self.count(report)
            for stale in (self.sidecar / IMAGES).glob(f"*/{HISTOGRAM}"):
                stale.unlink(missing_ok=True)
            self._drop_masks()

    def _drop_masks(self) -> None:
        """Remove masks that are the field of view no longer, once that is on the disk."""
        from lithoscope.volume.masks import drop_others

        view = self._state["field_of_view"]
        if read_state(self.sidecar).get("field_of_view", view) == view:
            drop_others(self.sidecar, None if view is None else view.get("path"))

    def _set_voxel(self, voxel: Voxel | None) -> None:
        self.voxel = voxel
        if self.ours:
            with storage_errors(self.path):
                group = zarr.open_group(str(self.path), mode="r+")
                group.attrs["ome"] = ome.attributes(self.name, self.level_factors, voxel)
        else:
            self._state["voxel"] = None if voxel is None else voxel.to_json()
            self._save_state()
        for folder, labels in ((self.sidecar / IMAGES, False), (self.labels_folder, True)):
            for name in _names(folder):
                with storage_errors(folder):
                    group = zarr.open_group(str(folder / name), mode="r+")
                    if "lithoscope" not in group.attrs:  # labels of another program
                        continue
                    known = cast(dict[str, Any], group.attrs["ome"])
                    described = ome.attributes(name, level_factors(self.shape), voxel, labels=labels)
                    group.attrs["ome"] = {**known, "multiscales": described["multiscales"]}

    def _chosen(self, wish: FieldOfView | str | None, report: Report) -> FieldOfView | None:
        if isinstance(wish, str):
            wish = fov.propose(self.sample(), self.shape) if wish.strip().lower() == "auto" else fov.parse(wish, self.shape)
        if isinstance(wish, fov.Mask) and wish.array is None:
            from lithoscope.volume.masks import take_in

            return take_in(wish.path, self.shape, self.layout, self.sidecar, report=report)
        fov.check_holds(wish, self.shape)
        return wish

    def dimensions(self) -> tuple[int, str]:
        """Whether methods should look at planes (2) or at the volume (3) unless told, and why."""
        if self.separate_slices:
            return 2, "the slices are separate images"
        if self.shape[0] < FEW_SLICES:
            return 2, f"the scan has only {self.shape[0]} slices" if self.shape[0] > 1 else "the scan is a single slice"
        if self.voxel is not None and self.voxel.size[0] > COARSE_Z * max(self.voxel.size[1:]):
            z, y, x = self.voxel.size
            return 2, f"the spacing along z ({z:g}) is over three times that in the plane ({max(y, x):g} {self.voxel.symbol})"
        return 3, "the slices are close enough to be a volume"

    def info(self) -> dict[str, Any]:
        """What is known, as plain JSON."""
        histogram = self.histogram
        dimensions, reason = self.dimensions()
        return {
            "name": self.name,
            "uuid": self.uuid,
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "voxel_size": None if self.voxel is None else list(self.voxel.size),
            "unit": None if self.voxel is None else self.voxel.unit,
            "levels": [list(level.shape) for level in self.levels],
            "percentiles": self.percentiles,
            "minimum": histogram.minimum if histogram.total else None,
            "maximum": histogram.maximum if histogram.total else None,
            "nan": histogram.nan,
            "infinite": histogram.infinite,
            "bin_width": histogram.bin_width,
            "fov": None if self.field_of_view is None else str(self.field_of_view),
            "results": self.results(),
            "images": self.images(),
            "separate_slices": self.separate_slices,
            "dimensions": dimensions,
            "dimensions_reason": reason,
            "content_hash": self.content_hash,
            "source": self.metadata,
        }


def inside_only(
    planes: npt.NDArray[Any], shape: Triple, inside: Callable[[Box], "npt.NDArray[np.bool_] | None"], count: int = SAMPLE_PLANES
) -> npt.NDArray[Any]:
    """What of the planes of `sample_planes` (n, y, x) lies inside, flat, so that what lies outside chooses no bins; all if nothing does."""
    parts = []
    for plane, z in zip(planes, sample_planes(shape, count), strict=True):
        within = inside(Box((z, 0, 0), (z + 1, shape[1], shape[2])))
        parts.append(plane.ravel() if within is None else plane[within[0]])
    found = np.concatenate(parts)
    return found if found.size else planes


@dataclass(frozen=True)
class _Inside:
    """A field of view as an array (z, y, x), so that it is read and reflected just as the image is."""

    view: FieldOfView
    shape: Triple
    dtype: ClassVar[np.dtype[np.bool_]] = np.dtype(np.bool_)

    def __getitem__(self, key: tuple[slice, slice, slice]) -> npt.NDArray[np.bool_]:
        z, y, x = key
        box = Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
        inside = self.view.inside(box)
        return np.ones(box.shape, np.bool_) if inside is None else inside


def sample_planes(shape: Triple, count: int = SAMPLE_PLANES) -> list[int]:
    """The z of up to `count` planes spread evenly, the first and last half a step from the faces."""
    n = min(count, shape[0])
    return [int((i + 0.5) * shape[0] / n) for i in range(n)]


def hash_header(shape: Triple, dtype: Any) -> bytes:
    """What the content hash begins with, so that equal bytes of another shape or dtype differ."""
    return f"{shape[0]},{shape[1]},{shape[2]},{np.dtype(dtype).newbyteorder('<').str};".encode()


def _names(folder: Path) -> list[str]:
    """The folders of arrays or groups directly below `folder`, unfinished ones left out."""
    if not folder.is_dir():
        return []
    hidden = (".partial", ".draft")
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and not entry.name.endswith(hidden) and (entry / "zarr.json").exists()
    )
