"""Small scans of unlike textures, and the network that tests see them by."""

import uuid

import numpy as np
from segment_data import scan_of

from lithoscope.job import Cancelled

BACKBONE = "random-tiny"
SMALL = {"backbone": BACKBONE, "patch": 16, "stride": 8, "magnify": 1.0}


def textured(kind: str, shape=(24, 40, 48), seed=0) -> np.ndarray:
    """Stripes, grains or plain noise."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    if kind == "stripes":
        field = np.sin((x + 0.5 * y + 0.2 * z) * 0.8)
    elif kind == "grains":
        field = np.sign(gaussian_filter(rng.normal(size=shape), 2.5))
    else:
        field = np.zeros(shape)
    return np.clip(128 + 60 * field + rng.normal(0, 12, shape), 0, 255).astype(np.uint8)


def small_scan(folder, name: str, values: np.ndarray | None = None, **more):
    """A scan of this name, its texture being its name unless values are given."""
    values = textured(name.split("-")[0]) if values is None else values
    return scan_of(values, folder / f"{name}.zarr", uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, name)), **more)


def cancelled_after(calls: int):
    """A report that cancels the work after so many calls."""
    heard = 0

    def report(progress):
        nonlocal heard
        heard += 1
        if heard > calls:
            raise Cancelled

    return report
