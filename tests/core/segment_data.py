"""Scans of given grey values, in shards small enough for several blocks."""

from pathlib import Path

import numpy as np
import zarr

from lithoscope.volume import ome
from lithoscope.volume.box import Box
from lithoscope.volume.pyramid import level_factors, reduce_image
from lithoscope.volume.scan import Scan
from lithoscope.volume.store import Layout, create_levels
from lithoscope.volume.voxel import Voxel


def scan_of(values, path: Path, *, shard=(32, 32, 32), fov=None, voxel=(2.0, 2.0, 2.0), **own) -> Scan:
    """A scan of ours at `path` that holds `values`."""
    layout, factors = Layout(values.shape, shard), level_factors(values.shape)
    for array, factor in zip(create_levels(path, layout, values.dtype, "image"), factors, strict=True):
        array[Box.whole(array.shape).slices] = reduce_image(values, factor)
    about = {"schema": 1, "uuid": "00000000-0000-0000-0000-000000000001", "shard": list(shard), **own}
    attributes = {"ome": ome.attributes(path.stem, factors, Voxel(voxel)), "lithoscope": about}
    zarr.open_group(str(path), mode="a", zarr_format=3).attrs.update(attributes)
    scan = Scan.open(path)
    if fov is not None:
        scan.set(field_of_view=fov)
    return scan


def brushed(truth, ids, z):
    """Strokes on plane z of a truth (z, y, x): patches of one class each, 34 voxels apart, so that some can be held back."""
    said = np.zeros(truth.shape, np.uint8)
    for i, y in enumerate(range(0, truth.shape[1] - 11, 46)):
        for j, x in enumerate(range(0, truth.shape[2] - 11, 46)):
            place = (z, slice(y, y + 12), slice(x, x + 12))
            id = ids[(i + j) % len(ids)]
            said[place] = np.where(truth[place] == id, id, 0)
    return said


def three_phases(shape, dtype="u1", seed=0):
    """Blobs of three grey values with noise."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 3)
    phase = np.digitize(field, np.quantile(field, [0.3, 0.7]))
    noisy = np.array([60.0, 120.0, 190.0])[phase] + rng.normal(0, 15, shape)
    if np.dtype(dtype).kind == "f":
        return (noisy / 255).astype(dtype)
    return (noisy.clip(0, 255) * (1 if np.dtype(dtype).itemsize == 1 else 100)).astype(dtype)
