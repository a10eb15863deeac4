"""Brush stamps on any plane of a 2048³ scan, through what napari's Labels layer does with each (DESIGN §7)."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from harness import Row, bound, main
from lithoscope.labels.store import LabelStore

EDGE = 2048
STAMPS = 20
RADIUS = 10


def stamps(array: Any, axis: int, seed: int) -> float:
    """The milliseconds that a stroke of twenty overlapping stamps takes on the middle plane of an axis."""
    rng = np.random.default_rng(seed)
    at = rng.integers(200, EDGE - 400, 2)
    yy, xx = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    disc = np.expand_dims(yy**2 + xx**2 <= RADIUS**2, axis)
    start = time.perf_counter()
    for step in range(STAMPS):
        first = [int(at[0]) + 4 * step, int(at[1]) + 3 * step]
        ranges = [slice(a, a + 2 * RADIUS + 1) for a in first]
        ranges.insert(axis, slice(EDGE // 2, EDGE // 2 + 1))
        box = tuple(ranges)
        old = np.asarray(array[box])
        array[box] = np.where(disc, np.uint8(1 + step % 3), old)
    return (time.perf_counter() - start) * 1000


def typical(array: Any, axis: int, strokes: int) -> float:
    """The median of many strokes."""
    return float(np.median([stamps(array, axis, seed) for seed in range(strokes)]))


def measure(quick: bool) -> list[Row]:
    strokes = 5 if quick else 41
    rows = []
    with tempfile.TemporaryDirectory() as name:
        chunks = zarr.create_array(Path(name) / "peer", shape=(EDGE,) * 3, chunks=(1, 256, 256), dtype="uint8")
        with LabelStore(Path(name) / "ours", (EDGE,) * 3) as store:
            for axis, plane in enumerate("zyx"):
                theirs = typical(chunks, axis, min(strokes, 5))
                with store.stroke():
                    ours = typical(store, axis, strokes)
                note = f"zarr in 1 × 256 × 256 chunks {theirs:.0f} ms"
                rows.append(bound(f"{STAMPS} brush stamps on a {plane} plane of {EDGE}³", ours, 5, "ms", note))
    return rows


if __name__ == "__main__":
    main("Brush", measure)
