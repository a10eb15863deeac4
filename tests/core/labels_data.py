"""A small scan for the tests of labels."""

from pathlib import Path

import numpy as np
import zarr

from lithoscope.volume import ome
from lithoscope.volume.box import Box
from lithoscope.volume.pyramid import level_factors, reduce_image
from lithoscope.volume.scan import Scan
from lithoscope.volume.store import Layout, create_levels
from lithoscope.volume.voxel import Voxel


def make_scan(path: Path, shape=(70, 80, 90), *, shard=None, seed=0, ours=True) -> Scan:
    """A scan of random grey values at `path`."""
    values = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
    layout = Layout(shape, shard) if shard else Layout.of(shape, "uint8")
    factors = level_factors(shape)
    for array, factor in zip(create_levels(path, layout, "uint8", "image"), factors, strict=True):
        array[Box.whole(array.shape).slices] = reduce_image(values, factor)
    about = {"ome": ome.attributes(path.stem, factors, Voxel((2.0, 2.0, 2.0)))}
    if ours:
        about["lithoscope"] = {"schema": 1, "uuid": "00000000-0000-0000-0000-000000000001", "shard": list(layout.shard)}
    zarr.open_group(str(path), mode="a", zarr_format=3).attrs.update(about)
    return Scan.open(path)
