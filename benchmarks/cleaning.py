"""Cleaning and separating: connected components against cc3d, watershed against scikit-image, and whole results on disk (issue 12)."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from harness import PeakMemory, Row, at_most, bound, faster, main, seconds
from lithoscope.classes import ClassTable
from lithoscope.labels.clean import clean, clean_in_place, together
from lithoscope.labels.cleaning.components import Components
from lithoscope.labels.results import create
from lithoscope.labels.separate import find_grains, separate
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan

BLOCK = (128, 256, 256)
STEPS = (
    "islands=200", "holes=all,class=3", "holes=200,class=3", "largest", "through=z", "majority=1", "median=2", "opening=5,class=3",
    "closing=3,class=1", "merge=2+3",
)  # fmt: skip


def phases(edge: int, seed: int = 0) -> np.ndarray:
    """Three phases with specks, as a threshold leaves them, (edge, edge, edge)."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(edge,) * 3).astype(np.float32), 3, mode="wrap")
    field += rng.normal(0, field.std() / 4, field.shape).astype(np.float32)
    return (np.digitize(field, np.quantile(field[::4, ::4, ::4], [0.25, 0.4])) + 1).astype(np.uint8)


def numbered(labels: np.ndarray, *, measured: bool = True) -> np.ndarray:
    """Every voxel's component, by blocks."""
    whole = Box.whole(labels.shape)
    found = Components(labels, whole, together(whole, BLOCK), lambda block: block, measured=measured)
    if len(found.boxes) == 1:
        return found.part(0).numbers
    out = np.empty(labels.shape, np.uint32)
    count = found.count_crossing
    for part in found:
        names = np.arange(count, count + len(part.keys), dtype=np.uint32)
        reaching = part.crossing >= 0
        names[reaching] = part.crossing[reaching] + 1
        names[0] = 0
        np.take(names, part.numbers, out=out[part.box.slices], mode="clip")
        count += len(part.keys)
    return out


def components_rows(edge: int) -> list[Row]:
    """With their sizes, as islands and the largest piece need them, and without, as holes and what leads through; always with faces."""
    import cc3d

    labels = phases(edge)

    def peer() -> np.ndarray:
        return cc3d.connected_components(labels, connectivity=6, out_dtype=np.uint32)

    with_sizes = seconds(lambda: cc3d.statistics(peer(), no_slice_conversion=True))
    alone, ours = seconds(peer), seconds(lambda: numbered(labels))
    plain = seconds(lambda: numbered(labels, measured=False))
    return [
        at_most(f"components of 3 classes with their sizes, {edge}³, in memory", "cc3d", with_sizes, ours, 1.5),
        at_most(f"components alone, {edge}³, in memory", "cc3d", alone, plain, 1.5),
    ]


def grains_row(edge: int) -> Row:
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    labels = (phases(edge) > 2).astype(np.uint8) + np.uint8(1)

    def peer() -> np.ndarray:
        mask = labels == 2
        far = ndimage.distance_transform_edt(mask)
        markers = np.zeros(mask.shape, np.int32)
        peaks = peak_local_max(far, min_distance=3, labels=mask.astype(np.int32))
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        return watershed(-far, markers, mask=mask)

    def ours() -> np.ndarray:
        target = np.zeros(labels.shape, np.uint32)
        return find_grains(lambda box: labels[box.slices], 2, Box.whole(labels.shape), BLOCK, target).names[target]

    return faster(f"grains of a class, {edge}³, in memory", "scikit-image", seconds(peer, 1), seconds(ours, 1), 1)


def scan_of(folder: Path, edge: int, tile: int) -> Scan:
    """A scan whose result "a" holds a tile again and again."""
    np.save(folder / "grey.npy", np.zeros((2, 2, 2), np.uint8))
    np.lib.format.open_memmap(folder / "grey.npy", "w+", np.uint8, (edge,) * 3)
    scan = import_scan(folder / "grey.npy", folder / "scan.zarr", field_of_view=None)
    (folder / "grey.npy").unlink()
    labels = phases(tile)
    with create(scan, "a", RunRecord("segment", "otsu", {}, {}), ClassTable.numbered(3)) as writer:
        for box in blocks(scan.box, scan.shard):
            at = [np.arange(a, b) % tile for a, b in zip(box.start, box.stop, strict=True)]
            writer.write(box, labels[np.ix_(*at)])
            writer.done(box)
        writer.finish(writer.record)
    return scan


def disk_rows(edge: int) -> list[Row]:
    folder = Path(tempfile.mkdtemp())
    try:
        scan = scan_of(folder, edge, min(edge, 256))
        rows = []
        for step in STEPS:
            with PeakMemory() as memory:
                took = seconds(lambda step=step: clean(scan, "a", [step], output="b", overwrite=True), 1)
            rows.append(bound(f"clean {step}, {edge}³, Zarr to Zarr", memory.peak / 2**30, 2, "GB", f"{took:.0f} s"))
        with PeakMemory() as memory:
            took = seconds(lambda: clean_in_place(scan, "a", ["islands=200"]), 1)
        rows.append(bound(f"clean islands=200 as a correction, {edge}³", memory.peak / 2**30, 2, "GB", f"{took:.0f} s"))
        with PeakMemory() as memory:
            took = seconds(lambda: separate(scan, "a", output="g", id=3, overwrite=True), 1)
        rows.append(bound(f"separate, {edge}³, Zarr to Zarr", memory.peak / 2**30, 2, "GB", f"{took:.0f} s"))
        return rows
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(quick: bool) -> list[Row]:
    return [*components_rows(128 if quick else 320), grains_row(64 if quick else 160), *disk_rows(96 if quick else 1024)]


if __name__ == "__main__":
    main("Cleaning and separating", measure)
