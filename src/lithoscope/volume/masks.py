"""Masks taken in: a file that marks the field of view becomes an array in the scan's sidecar."""

import shutil
from pathlib import Path

import numpy as np
import xxhash

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.box import Triple
from lithoscope.volume.field_of_view import Mask
from lithoscope.volume.formats import open_source
from lithoscope.volume.store import Layout, create_array, open_array, storage_errors

NAME = "field_of_view"
"""Masks that were taken in lie in folders of this name and a part of their digest: one that is in use is never written over."""


def take_in(file: Path, shape: Triple, layout: Layout, sidecar: Path, *, report: Report = silent) -> Mask:
    """Copy a mask of the scan's shape (or one plane, for every slice) into the sidecar; what is not 0 is inside."""
    source = open_source(file)
    try:
        flat = source.shape[0] == 1 and source.shape[1:] == shape[1:]
        if source.shape != shape and not flat:
            raise InputError(f"the mask {file} is {_by(source.shape)}, the scan {_by(shape)} (z × y × x); give one of the scan's shape")
        draft = sidecar / f"{NAME}.zarr.partial"
        with storage_errors(draft):
            shutil.rmtree(draft, ignore_errors=True)
            sidecar.mkdir(parents=True, exist_ok=True)
        array = create_array(draft, shape, np.uint8, chunks=layout.chunks()[0], shards=layout.shard, kind="labels")
        found, digest = False, xxhash.xxh3_128()
        for z in range(0, shape[0], layout.shard[0]):
            report(Progress(z, shape[0], "reading the mask"))
            stop = min(z + layout.shard[0], shape[0])
            slab = (source.planes(0, 1) if flat else source.planes(z, stop)) != 0
            found = found or bool(slab.any())
            digest.update(np.packbits(slab).data)
            with storage_errors(draft):
                array[z:stop] = np.broadcast_to(slab, (stop - z, *shape[1:])).astype(np.uint8)
    finally:
        source.close()
    if not found:
        shutil.rmtree(draft, ignore_errors=True)
        raise InputError(f"the mask {file} is 0 everywhere; it must be other than 0 inside the field of view")
    place = sidecar / f"{NAME}-{digest.hexdigest()[:12]}.zarr"
    with storage_errors(place):
        shutil.rmtree(place, ignore_errors=True)
        draft.rename(place)
    return Mask(place, open_array(place, readonly=True), digest.hexdigest())


def drop_others(sidecar: Path, kept: str | None) -> None:
    """Remove the masks that were taken in but the one in the folder `kept`."""
    for place in sidecar.glob(f"{NAME}*.zarr"):
        if place.name != kept:
            shutil.rmtree(place, ignore_errors=True)


def _by(shape: Triple) -> str:
    return " × ".join(str(n) for n in shape)
