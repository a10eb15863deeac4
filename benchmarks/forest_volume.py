"""The forest over a large volume in three dimensions: the most memory it takes, and how fast it goes.

    python benchmarks/forest_volume.py [--edge 1024] [--planes 256] [--scan SCAN.zarr] [--json results.json] [--quick]

Memory does not grow with the scan but with its shards, so that a slab of some planes of a large scan tells that of the whole; what
was run is said in the row. With --scan the result is written into that scan, and removed again.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from harness import PeakMemory, Row, bound, table
from lithoscope.classes import ClassTable
from lithoscope.labels import results
from lithoscope.labels.predict import segment
from lithoscope.labels.samples import StrokeSamples, Taught
from lithoscope.segmenters import configured, segmenter
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan
from painted import strokes

TILE = 256


def scan_of(folder: Path, edge: int) -> Scan:
    """Three noisy phases, a tile again and again with noise of its own everywhere."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    tile = np.digitize(gaussian_filter(rng.normal(size=(min(TILE, edge),) * 3).astype(np.float32), 3, mode="wrap"), [-0.02, 0.02])
    grey = np.lib.format.open_memmap(folder / "grey.npy", "w+", np.uint8, (edge,) * 3)
    at = np.arange(edge) % len(tile)
    for z in range(edge):
        grey[z] = (tile[at[z]][np.ix_(at, at)] * 70 + 40 + rng.normal(0, 20, (edge, edge))).clip(0, 255)
    scan = import_scan(folder / "grey.npy", folder / "scan.zarr", field_of_view=None)
    (folder / "grey.npy").unlink()
    return scan


def labels_of(scan: Scan, z: int) -> np.ndarray:
    """Strokes (z, y, x) on one plane, along thresholds of what it shows once it is smoothed."""
    from scipy.ndimage import gaussian_filter
    from skimage.filters import threshold_multiotsu

    plane = gaussian_filter(np.asarray(scan.levels[0][z], np.float32), 2)
    made = np.zeros(scan.shape, np.uint8) if scan.box.size < 1 << 28 else _Sparse(scan.shape, z)
    made[z] = strokes((np.digitize(plane, threshold_multiotsu(plane, 3)) + 1).astype(np.uint8), 600, 0)
    return made


class _Sparse:
    """Labels of one plane of a volume, none elsewhere."""

    def __init__(self, shape: tuple[int, int, int], z: int) -> None:
        self.shape, self.dtype, self.ndim, self._z = shape, np.dtype(np.uint8), 3, z
        self._plane = np.zeros(shape[1:], np.uint8)

    def __setitem__(self, z: int, plane: np.ndarray) -> None:
        self._plane[...] = plane

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        first, last, _ = key[0].indices(self.shape[0])
        found = np.zeros((last - first, *self._plane[key[1:]].shape), np.uint8)
        if first <= self._z < last:
            found[self._z - first] = self._plane[key[1:]]
        return found

    def touched(self) -> list[Box]:
        return [Box((self._z, 0, 0), (self._z + 1, *self.shape[1:]))]


def run(scan: Scan, planes: int) -> Row:
    """The row of a run over so many planes in the middle of a scan."""
    depth = min(planes, scan.shape[0])
    first = max(0, (scan.shape[0] - depth) // 2 // scan.shard[0] * scan.shard[0])
    box = Box((first, 0, 0), (min(first + depth, scan.shape[0]), *scan.shape[1:]))
    method = configured(segmenter("forest"), {"dimensions": 3})
    taught = Taught.of(scan, labels_of(scan, scan.shape[0] // 2))
    output, told = "forest-volume-benchmark", [time.perf_counter()]

    def report(progress: object) -> None:
        if time.perf_counter() - told[-1] > 60:
            told.append(time.perf_counter())
            print(f"{progress.done} of {progress.total}, at most {memory.peak / 2**30:.2f} GB", flush=True)

    start, worked = time.perf_counter(), time.process_time()
    with PeakMemory() as memory:
        learnt = method.fit(StrokeSamples.of([taught], ClassTable.numbered(3), method))
        segment(scan, learnt, output=output, box=box, overwrite=True, report=report)
    took, worked = time.perf_counter() - start, time.process_time() - worked
    results.delete(scan, output)
    speed = (
        f"{took / 60:.1f} min, {box.size / took / 1e6:.2f} Mvoxel/s, {box.size / worked / 1e6:.2f} a core; load {os.getloadavg()[0]:.0f}"
    )
    size = "×".join(str(n) for n in box.shape)
    of = "" if box.shape == scan.shape else " of a scan of " + "×".join(str(n) for n in scan.shape)
    return bound(f"memory of the forest over {size}{of}, 3D", memory.peak / 2**30, 2, "GB", speed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", type=int, default=1024, help="voxels along each side of the scan that is made")
    parser.add_argument("--planes", type=int, default=256, help="how many planes are segmented")
    parser.add_argument("--scan", type=Path, help="a scan of one's own")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="smaller data: to see that it runs")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        scan = Scan.open(given.scan) if given.scan else scan_of(folder, 96 if given.quick else given.edge)
        rows = [run(scan, 64 if given.quick else given.planes)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table("The forest over a volume", rows))
    if given.json:
        given.json.write_text(json.dumps({"rows": [asdict(row) for row in rows]}, indent=1))


if __name__ == "__main__":
    main()
