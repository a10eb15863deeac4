"""Import: a source in any format becomes a scan of ours, in one pass and with little memory."""

import shutil
import uuid as uuids
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
import zarr

from lithoscope.errors import InputError, MissingError, ResourceError, TakenError, UnreadableError
from lithoscope.job import Progress, Report, silent
from lithoscope.record import now, versions
from lithoscope.volume import field_of_view as fov
from lithoscope.volume import ome
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.counting import Counter, levelwise
from lithoscope.volume.field_of_view import FieldOfView
from lithoscope.volume.formats import Source, open_source
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.prepared import Prepared, scaled
from lithoscope.volume.pyramid import level_factors, level_steps, reduce_image
from lithoscope.volume.scan import HISTOGRAM, Scan, hash_header, inside_only, sample_planes
from lithoscope.volume.sidecar import SCHEMA, read_state, save_histogram, sidecar_of, write_state
from lithoscope.volume.store import Layout, create_levels, storage_errors
from lithoscope.volume.voxel import Voxel

SPARE = 64 << 20
"""Bytes that must stay free on the disk beyond what an import needs."""


def import_scan(
    source: Path | str,
    target: Path | str,
    *,
    voxel: Voxel | None = None,
    shape: Triple | None = None,
    dtype: Any = None,
    byte_order: str | None = None,
    pattern: str | None = None,
    dataset: str | None = None,
    channel: int | None = None,
    time: int | None = None,
    crop: str | None = None,
    bin: int = 1,
    separate_slices: bool = False,
    field_of_view: FieldOfView | str | None = "auto",
    overwrite: bool = False,
    report: Report = silent,
) -> Scan:
    """The scan that `source` becomes at `target`, an OME-Zarr 0.5 image of native dtype.

    `voxel` is the size in the source and wins over the file's own; `crop` is in the source's voxels, `bin` averages afterwards,
    and `field_of_view` is in the voxels of the scan that results.
    """
    place = checked_target(Path(target), overwrite=overwrite)
    opened = open_source(
        source, shape=shape, dtype=dtype, byte_order=byte_order, pattern=pattern, dataset=dataset, channel=channel, time=time,
        separate=separate_slices,
    )  # fmt: skip
    try:
        box = Box.whole(opened.shape) if crop is None else Box.parse(crop, opened.shape)
        prepared = Prepared(opened, box, bin, separate_slices=separate_slices)
        if voxel is not None:
            prepared.voxel = scaled(voxel, prepared.factors)
        return write_scan(prepared, place, separate_slices=separate_slices, field_of_view=field_of_view, overwrite=overwrite, report=report)
    finally:
        opened.close()


def checked_target(target: Path, *, overwrite: bool) -> Path:
    """A path at which a scan may be written."""
    if target.suffix != ".zarr" or target.name == ".zarr":
        raise InputError(f"a scan is a folder named like berea.zarr; call it {target.name or 'scan'}.zarr")
    if not target.parent.is_dir():
        raise MissingError(f"the folder {target.parent} does not exist; make it first")
    if target.exists():
        if not overwrite:
            raise TakenError(f"{target} exists already; choose another name or overwrite it: --overwrite")
        if not any((target / mark).exists() for mark in ("zarr.json", ".zgroup", ".zarray")):
            raise TakenError(f"{target} is not a scan and is not overwritten; choose another name")
    return target


def write_scan(
    source: Source,
    target: Path,
    *,
    separate_slices: bool = False,
    field_of_view: FieldOfView | str | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> Scan:
    """The scan made of a source's planes; a failure, a cancel or a kill leaves nothing that opens as one."""
    checked_target(target, overwrite=overwrite)
    draft = target.with_name(target.name + ".partial")
    notes = sidecar_of(target)
    notes_draft = notes.with_name(notes.name + ".partial")
    for stale in (draft, notes_draft):
        _remove(stale)
    with storage_errors(draft):
        draft.mkdir()
    try:
        slabs = _Slabs(source, Layout.of(source.shape, source.dtype))
        _check_memory(slabs)
        view = _field_of_view(field_of_view, slabs, notes_draft, report)
        _check_disk(slabs, target)
        written = _write_levels(slabs, draft, view, report)
        uuid = _kept_uuid(notes, written.content_hash) or str(uuids.uuid4())
        _describe(draft, target, source, slabs.layout, written, uuid, separate_slices=separate_slices)
        save_histogram(notes_draft / HISTOGRAM, written.histogram)
        state = {"uuid": uuid, "content_hash": written.content_hash, "field_of_view": None if view is None else view.to_json()}
        write_state(notes_draft, state)
        _put_in_place(draft, target, notes_draft, notes, uuid)
    except BaseException:
        for unfinished in (draft, notes_draft):
            with suppress(OSError):
                _remove(unfinished)
        raise
    return Scan.open(target)


@dataclass(frozen=True, slots=True)
class _Written:
    histogram: Histogram
    content_hash: str


class _Slabs:
    """Whole planes of a source, one shard thick, each read while the one before is worked on."""

    def __init__(self, source: Source, layout: Layout) -> None:
        self.source, self.layout = source, layout
        self.shape, self.dtype, self.depth = source.shape, source.dtype, layout.shard[0]
        self._only: npt.NDArray[Any] | None = None
        self._sample: npt.NDArray[Any] | None = None

    @property
    def sampled(self) -> int:
        """How many planes are looked at before the others."""
        return min(32, max(8, self.shape[0] // 16))

    @property
    def sample(self) -> npt.NDArray[Any]:
        """Some planes (n, y, x) spread over the source: a sixteenth of them, 8 to 32."""
        if self._sample is None:
            chosen = sample_planes(self.shape, self.sampled)
            if self.shape[0] <= self.depth:
                self._only = self._read(0)
                self._sample = self._only[chosen]
            else:
                self._sample = np.concatenate([self.source.planes(z, z + 1) for z in chosen])
        return self._sample

    def _read(self, z: int) -> npt.NDArray[Any]:
        if self._only is not None:
            return self._only
        slab = self.source.planes(z, min(z + self.depth, self.shape[0]))
        wanted = (min(self.depth, self.shape[0] - z), *self.shape[1:])
        if slab.shape != wanted or slab.dtype != self.dtype:
            raise UnreadableError(f"planes {z} to {z + wanted[0]} of the source are {slab.shape} {slab.dtype}, not {wanted} {self.dtype}")
        return np.ascontiguousarray(slab)

    def __len__(self) -> int:
        return -(-self.shape[0] // self.depth)

    def __iter__(self) -> Iterator[tuple[Box, npt.NDArray[Any]]]:
        starts = range(0, self.shape[0], self.depth)
        with ThreadPoolExecutor(1, thread_name_prefix="reading") as reader:
            coming = reader.submit(self._read, 0)
            for z in starts:
                slab = coming.result()
                if z + self.depth < self.shape[0]:
                    coming = reader.submit(self._read, z + self.depth)
                yield Box((z, 0, 0), (z + len(slab), *self.shape[1:])), slab
                del slab


def _write_levels(slabs: _Slabs, draft: Path, view: FieldOfView | None, report: Report) -> _Written:
    """Write every level, and count and hash on the way."""
    with storage_errors(draft):
        levels = create_levels(draft, slabs.layout, slabs.dtype, "image")
    steps = level_steps(slabs.shape)
    factors = level_factors(slabs.shape)
    sample = None if levelwise(slabs.dtype) else slabs.sample
    if sample is not None and view is not None:
        sample = inside_only(sample, slabs.shape, view.inside, slabs.sampled)
    counter = Counter(slabs.dtype, sample)
    digest = xxhash.xxh3_128()
    digest.update(hash_header(slabs.shape, slabs.dtype))

    def count(box: Box, slab: npt.NDArray[Any]) -> None:
        digest.update(slab.data)
        counter.add(slab, None if view is None else view.inside(box))

    report(Progress(0, len(slabs), "importing"))
    with ThreadPoolExecutor(1, thread_name_prefix="counting") as counting:
        for done, (box, slab) in enumerate(slabs, 1):
            counted = counting.submit(count, box, slab)
            part: npt.NDArray[Any] = slab
            for level, step, factor in zip(levels, steps, factors, strict=True):
                part = part if step == (1, 1, 1) else reduce_image(part, step)
                z = box.start[0] // factor[0]
                with storage_errors(draft):
                    level[z : z + len(part)] = part
            counted.result()
            del slab, part
            report(Progress(done, len(slabs), "importing"))
    return _Written(counter.histogram(), digest.hexdigest())


def _field_of_view(wish: FieldOfView | str | None, slabs: _Slabs, notes: Path, report: Report) -> FieldOfView | None:
    """The field of view asked for or proposed; a mask is taken into the sidecar."""
    if isinstance(wish, str):
        wish = fov.propose(slabs.sample, slabs.shape) if wish.strip().lower() == "auto" else fov.parse(wish, slabs.shape)
    if isinstance(wish, fov.Mask) and wish.array is None:
        from lithoscope.volume.masks import take_in

        return take_in(wish.path, slabs.shape, slabs.layout, notes, report=report)
    return wish


def _check_memory(slabs: _Slabs) -> None:
    """Refuse planes so large that a slab of them does not fit: one is read while another is written."""
    import psutil

    needed = 3 * min(slabs.depth, slabs.shape[0]) * slabs.shape[1] * slabs.shape[2] * slabs.dtype.itemsize
    available = psutil.virtual_memory().available
    if needed > available:
        raise ResourceError(
            f"planes of {slabs.shape[1]} × {slabs.shape[2]} need {needed / 1e9:.1f} GB of memory to import, "
            f"{available / 1e9:.1f} GB are free; use --crop or --bin"
        )


def _check_disk(slabs: _Slabs, target: Path) -> None:
    """Refuse before the start what the disk will not hold, judged by how well some planes compress."""
    from numcodecs import Blosc

    some = slabs.sample[:: max(1, len(slabs.sample) // 4)]
    packed = len(Blosc(cname="zstd", clevel=1, shuffle=Blosc.SHUFFLE).encode(np.ascontiguousarray(some.reshape(-1)[: 1 << 25])))
    ratio = min(1.0, packed / min(some.nbytes, (1 << 25) * some.itemsize))
    cells = sum(z * y * x for z, y, x in ((1 / a, 1 / b, 1 / c) for a, b, c in level_factors(slabs.shape)))
    needed = int(np.prod(slabs.shape, dtype=object) * slabs.dtype.itemsize * cells * ratio) + SPARE
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise ResourceError(
            f"the scan needs about {needed / 1e9:.1f} GB and {target.parent} has {free / 1e9:.1f} GB free; "
            "free some, or use --crop or --bin"
        )


def _describe(draft: Path, target: Path, source: Source, layout: Layout, written: _Written, uuid: str, *, separate_slices: bool) -> None:
    """Write the group's metadata, last of all, and check it: only now is the folder an image."""
    own = {
        "schema": SCHEMA, "uuid": uuid, "content_hash": written.content_hash, "separate_slices": separate_slices,
        "shard": list(layout.shard), "source": source.metadata, "created": now(), "version": versions().get("lithoscope", ""),
    }  # fmt: skip
    name = target.name.removesuffix(".zarr")
    with storage_errors(draft):
        attributes = {"ome": ome.attributes(name, level_factors(source.shape), source.voxel), "lithoscope": own}
        zarr.create_group(str(draft), attributes=attributes, zarr_format=3)
    ome.validate(draft)


def _kept_uuid(notes: Path, content_hash: str) -> str | None:
    """The uuid of a sidecar that lies there already and speaks of the very same values."""
    state = read_state(notes)
    return str(state["uuid"]) if state.get("content_hash") == content_hash and "uuid" in state else None


def _put_in_place(draft: Path, target: Path, notes_draft: Path, notes: Path, uuid: str) -> None:
    """Give draft and sidecar their names. A sidecar of other values is put aside, never deleted: it holds people's work."""
    with storage_errors(target):
        if notes.exists() and read_state(notes).get("uuid") == uuid:
            for item in notes_draft.iterdir():
                _remove(notes / item.name)
                item.replace(notes / item.name)
            notes_draft.rmdir()
        else:
            if notes.exists():
                notes.rename(_free(notes.with_name(f"{notes.stem} before {now()[:10]}{notes.suffix}")))
            notes_draft.replace(notes)
        if target.exists():
            old = target.with_name(target.name + ".old.partial")
            _remove(old)
            target.rename(old)
            draft.rename(target)
            _remove(old)
        else:
            draft.rename(target)


def _free(path: Path) -> Path:
    """A name like `path` that nothing has yet."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1
    return candidate


def _remove(path: Path) -> None:
    """Remove a file or folder if it is there."""
    with storage_errors(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
