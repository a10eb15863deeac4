"""The forest beside scikit-learn's; a stroke to the updated plane; a whole volume.

python benchmarks/forest.py [--json results.json] [--quick]
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from harness import PeakMemory, Row, bound, faster, main, seconds
from lithoscope.classes import ClassTable
from lithoscope.labels.live import LivePreview
from lithoscope.labels.predict import segment
from lithoscope.labels.strokes import strokes
from lithoscope.segmenters import configured, segmenter
from lithoscope.segmenters.trees import Trees
from lithoscope.volume.box import Box

STROKES = 30


def voxels(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(size=(n, 20)) + y[:, None] * np.linspace(0, 0.6, 20)).astype(np.float32), y


def trees_row(n, learnt):
    import torch
    from sklearn.ensemble import RandomForestClassifier

    x, y = voxels(learnt, 0)
    forest = RandomForestClassifier(150, criterion="entropy", max_depth=15, max_features=None, max_samples=0.1, random_state=0, n_jobs=-1)
    forest.fit(x, y)
    asked, _ = voxels(n, 1)
    trees, features = Trees.of(forest), torch.from_numpy(np.ascontiguousarray(asked.T))
    shares = forest.predict_proba(asked)
    first, second = np.sort(shares, axis=1).T[:-3:-1]
    wrong = int((trees.best(features) - 1 != shares.argmax(1))[first > second + 1e-9].sum())
    theirs, ours = side_by_side(lambda: forest.predict(asked), lambda: trees.best(features))
    leaves = int((trees.feature < 0).sum()) // trees.count
    note = f"grown on {learnt:,}, {leaves} leaves a tree; {wrong} classes differ; load {os.getloadavg()[0]:.0f}"
    return faster(f"150 trees of depth 15 over {n:,} voxels", "scikit-learn", theirs, ours, 3, note)


def side_by_side(one, other, rounds=5):
    """The least seconds of each, taken in turn, so that what else the machine does falls on both."""
    pairs = [(seconds(one, 1), seconds(other, 1)) for _ in range(rounds)]
    return min(a for a, _ in pairs), min(b for _, b in pairs)


def scan_of(folder, shape):
    from scipy.ndimage import gaussian_filter

    from lithoscope.volume.convert import import_scan

    rng = np.random.default_rng(0)
    phase = np.digitize(gaussian_filter(rng.normal(size=shape).astype(np.float32), 2), [-0.03, 0.04])
    np.save(folder / "a.npy", (phase * 70 + 40 + rng.normal(0, 20, shape)).clip(0, 255).astype(np.uint8))
    return import_scan(folder / "a.npy", folder / f"{'-'.join(map(str, shape))}.zarr", field_of_view=None), phase.astype(np.uint8) + 1


def paint(store, truth, z, rng):
    y, x = rng.integers(0, truth.shape[1] - 8), rng.integers(0, truth.shape[2] - 30)
    box = Box((z, y, x), (z + 1, y + 8, x + 30))
    store.write(box, truth[box.slices] == truth[z, y, x], np.uint8(truth[z, y, x]))


def live_rows(folder, edge, dimensions):
    scan, truth = scan_of(folder, (12, edge, edge))
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": dimensions}))
    plane = Box((6, 0, 0), (7, edge, edge))
    start = time.perf_counter()
    for _ in live.prepare(plane, near=0):
        pass
    ready = time.perf_counter() - start
    rng, took, worked = np.random.default_rng(0), [], []
    with strokes(scan) as store:
        for k in range(STROKES + 8):
            paint(store, truth, 6, rng)
            if k >= 8:
                start, busy = time.perf_counter(), time.process_time()
                live.learn(store, ClassTable.numbered(3))
                live.view(plane, certain=False)
                took.append(1e3 * (time.perf_counter() - start))
                worked.append(1e3 * (time.process_time() - busy))
    cores = f"{np.median(worked):.0f} ms of processor time; load {os.getloadavg()[0]:.0f}"
    note = f"features of the plane before: {ready:.1f} s; p95 {np.percentile(took, 95):.0f} ms; {cores}"
    return [bound(f"stroke to plane of {edge}², {dimensions}D features kept, p50", float(np.median(took)), 250, "ms", note)]


def volume_row(folder, edge):
    scan, truth = scan_of(folder, (edge, edge, edge))
    rng = np.random.default_rng(0)
    live = LivePreview(scan, configured(segmenter("forest"), {}))
    with strokes(scan) as store:
        for _ in range(30):
            paint(store, truth, edge // 2, rng)
        live.learn(store, ClassTable.numbered(3))
    start = time.perf_counter()
    with PeakMemory() as memory:
        segment(scan, live.fitted, output="r")
    took = time.perf_counter() - start
    return bound(f"memory of the forest over {edge}³, 3D", memory.peak / 2**30, 2, "GB", f"{edge**3 / took / 1e6:.1f} Mvoxel/s")


def measure(quick: bool) -> list[Row]:
    n = 50_000 if quick else 500_000
    rows = [trees_row(n, 1800), trees_row(n, 20_000)]
    with tempfile.TemporaryDirectory() as name:
        for dimensions in (2, 3):
            folder = Path(name) / str(dimensions)
            folder.mkdir()
            rows += live_rows(folder, 256 if quick else 1000, dimensions)
        rows.append(volume_row(Path(name), 64 if quick else 384))
    return rows


if __name__ == "__main__":
    main("Forest", measure)
