"""Labels made elsewhere, wherever they lie: a TIFF, a folder of slices, an array in a Zarr, or a name in the scan itself."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import xxhash

from lithoscope.errors import InputError, MissingError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels.changes import Labels
from lithoscope.labels.corrections import corrected
from lithoscope.labels.editable import EditableArray
from lithoscope.labels.results import open_result
from lithoscope.labels.strokes import strokes
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.formats import open_source
from lithoscope.volume.formats.hdf5 import split
from lithoscope.volume.formats.source import by
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

STROKES = "strokes"
SAME_SCALE = 0.01
"""Voxel sizes that differ by no more than this part are the same: files round them."""
MAX_VALUES = 1000
"""An image of more distinct values is of grey levels, not of classes."""


class Planes(Protocol):
    """What labels are read from: planes of any type of number."""

    shape: Triple

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]: ...

    def close(self) -> None: ...


class GivenLabels:
    """Labels of the scan's shape that someone gave: their planes, the values in them, what they are called and what is odd in them."""

    def __init__(self, name: str, planes: Planes, notes: Sequence[str] = ()) -> None:
        self.name, self._planes, self.notes = name, planes, tuple(notes)
        self.shape: Triple = planes.shape

    def slabs(self, depth: int) -> Iterator[tuple[Box, npt.NDArray[Any]]]:
        """All of it, in slabs of `depth` planes."""
        for z in range(0, self.shape[0], depth):
            box = Box((z, 0, 0), (min(z + depth, self.shape[0]), self.shape[1], self.shape[2]))
            yield box, self._planes.planes(z, box.stop[0])

    def read(self, box: Box) -> npt.NDArray[Any]:
        """The values of a box, as they were given."""
        return self._planes.planes(box.start[0], box.stop[0])[:, box.slices[1], box.slices[2]]


class Contents:
    """What was found in labels: how often each value, how many zeros inside the field of view, and a hash of it all."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.inside, self.zeros_inside = 0, 0
        self._digest = xxhash.xxh3_128()

    def add(self, name: str, slab: npt.NDArray[Any], inside: npt.NDArray[np.bool_] | None) -> None:
        """Count a slab."""
        self._digest.update(np.ascontiguousarray(slab).data)
        if slab.dtype == np.uint8:
            all_counts = np.bincount(slab.reshape(-1), minlength=256)
            values = np.flatnonzero(all_counts)
            counts = all_counts[values]
        else:
            values, counts = np.unique(slab, return_counts=True)
        if slab.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.round(values)).all()):
            odd = values[~np.isfinite(values) | (values != np.round(values))][0]
            raise InputError(f"{name} holds {odd:g}: grey values, not classes; give an image of whole numbers, one for each class")
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self.counts[int(value)] = self.counts.get(int(value), 0) + int(count)
        if len(self.counts) > MAX_VALUES:
            raise InputError(f"{name} holds more than {MAX_VALUES} values: grey values, not classes; segment it first")
        zero = slab == 0
        self.inside += slab.size if inside is None else int(np.count_nonzero(inside))
        self.zeros_inside += int(np.count_nonzero(zero if inside is None else zero & inside))

    @property
    def values(self) -> list[int]:
        return sorted(self.counts)

    @property
    def digest(self) -> str:
        """The xxh3_128 of the values as they were given."""
        return self._digest.hexdigest()


def contents(scan: "Scan", given: GivenLabels, *, depth: int, report: Report = silent) -> Contents:
    """All that is in the labels, read once."""
    found = Contents()
    for box, slab in given.slabs(depth):
        found.add(given.name, slab, scan.inside(box))
        report(Progress(box.stop[0], given.shape[0], f"looking at {given.name}"))
    return found


@contextmanager
def open_given(scan: "Scan", where: str | Path, *, channel: int | None = None, dataset: str | None = None) -> Iterator[GivenLabels]:
    """The labels at a path, or under a name in the scan (a result as corrected, or "strokes"), of the scan's own shape.

    Of a file that holds several, `channel` and `dataset` say which, as for the import of a scan.
    """
    planes = _opened(scan, where, channel, dataset)
    name = Path(where).name
    try:
        if planes.shape != scan.shape:
            sizes = f"{name} is {by(planes.shape)}, {scan.name} is {by(scan.shape)} (z × y × x)"
            raise InputError(f"{sizes}; labels are never resized: export them on the scan's grid")
        known = str(where) in scan.results()
        yield GivenLabels(name, planes, _kept_notes(scan, name) if known else scale_notes(scan, name, getattr(planes, "voxel", None)))
    finally:
        planes.close()


def scale_notes(scan: "Scan", name: str, voxel: Voxel | None) -> list[str]:
    """What is to be said where a file of labels tells of other voxels than the scan has; nothing where either does not know."""
    if scan.voxel is None or voxel is None or all(isclose(a, b, rel_tol=SAME_SCALE) for a, b in zip(voxel.um, scan.voxel.um, strict=True)):
        return []
    return [
        f"{name} says that its voxels are {voxel}, those of {scan.name} are {scan.voxel}: it is taken voxel by voxel, nothing is resized. "
        "If it shows another part or size of the sample, it does not fit; if a size is wrong, set the scan's: "
        f"lithoscope set {shlex.quote(str(scan.path))} --voxel-size Z Y X"
    ]


def _kept_notes(scan: "Scan", name: str) -> list[str]:
    """What was odd in labels when they were imported under this name."""
    record = open_result(scan, name).record
    return record.notes if record.method == "import" else []


def _opened(scan: "Scan", where: str | Path, channel: int | None, dataset: str | None) -> Planes:
    text = str(where)
    if text == STROKES and not Path(text).exists():
        return _Painted(strokes(scan, readonly=True))
    if text in scan.results():
        return _Painted(corrected(scan, text, readonly=True))
    path = Path(where)
    if not path.exists() and split(path) is None:
        store = next((p for p in path.parents if p.name and p.is_dir() and ((p / "zarr.json").exists() or (p / ".zgroup").exists())), None)
        if store is not None:
            return open_source(store, dataset=path.relative_to(store).as_posix(), channel=channel)
        known = ", ".join(scan.results()) or "none yet"
        raise MissingError(f"there is no file {text}, and {scan.name} has no result of that name; its results are {known}")
    return open_source(path, channel=channel, dataset=dataset, classes=True)


class _Painted:
    """A painted array read as planes."""

    def __init__(self, array: EditableArray) -> None:
        self._array, self.shape = array, array.shape

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        return self._array.read(Box((z0, 0, 0), (z1, self.shape[1], self.shape[2])))

    def close(self) -> None:
        close = getattr(self._array, "close", None)
        if close is not None:
            close()


class AsClasses:
    """Given labels with every value replaced by its class: an array (z, y, x) of uint8, read by slices."""

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, given: GivenLabels, classes: Mapping[int, int], digest: str = "") -> None:
        self.given, self.shape = given, given.shape
        self.classes, self.digest = dict(classes), digest
        self._values = np.array(sorted(classes), np.int64)
        self._classes = np.array([classes[v] for v in sorted(classes)], np.uint8)

    def __getitem__(self, key: tuple[slice, slice, slice]) -> Labels:
        starts, stops = zip(*(part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True)), strict=True)
        return self.of(self.given.read(Box(starts, stops)))

    def of(self, values: npt.NDArray[Any]) -> Labels:
        """The classes of values of any type; each must be known."""
        if values.dtype == np.uint8:
            table = np.zeros(256, np.uint8)
            known = (self._values >= 0) & (self._values < 256)
            table[self._values[known]] = self._classes[known]
            found: Labels = table[values]
            return found
        labels: Labels = self._classes[np.searchsorted(self._values, values.astype(np.int64))]
        return labels
