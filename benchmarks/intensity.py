"""The intensity methods: fitting and labelling against scikit-image, scikit-learn and scikit-fuzzy, and whole scans on disk (DESIGN §7)."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from harness import PeakMemory, Row, at_most, bound, faster, main, seconds
from lithoscope.labels.predict import segment
from lithoscope.segmenters import REGISTRY, Block
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan
from lithoscope.volume.store import create_levels


def rock(edge: int, dtype: str, seed: int = 0) -> np.ndarray:
    """Three phases in coarse cells, blurred by noise, (edge, edge, edge)."""
    rng = np.random.default_rng(seed)
    cell = max(edge // 16, 1)
    phase = rng.integers(0, 3, (-(-edge // cell),) * 3).repeat(cell, 0).repeat(cell, 1).repeat(cell, 2)[:edge, :edge, :edge]
    scale, top = (1, 255) if dtype == "uint8" else (256, 65535)
    image = np.empty((edge,) * 3, dtype)
    for z in range(edge):
        grey = np.array([60, 120, 190])[phase[z]] + rng.normal(0, 15, (edge, edge))
        image[z] = (grey * scale).clip(0, top).astype(dtype)
    return image


def labelled(name: str, image: np.ndarray) -> np.ndarray:
    """Array to labels by one of our methods, counting included."""
    return REGISTRY[name](classes=3).fit(ArraySamples(image)).predict(Block.of(image, window=(0.0, 1.0)))


def otsu_row(edge: int) -> Row:
    from skimage.filters import threshold_multiotsu

    image = rock(edge, "uint16")

    def peer() -> np.ndarray:
        return np.digitize(image, threshold_multiotsu(image, classes=3), right=True)

    theirs = seconds(peer, 1)
    return faster(
        f"multi-Otsu, 3 classes, 16-bit, {edge}³, array to labels", "scikit-image", theirs, seconds(lambda: labelled("otsu", image)), 500
    )


def kmeans_row(edge: int) -> Row:
    from sklearn.cluster import KMeans

    image = rock(edge, "uint8")
    theirs = seconds(lambda: KMeans(3, n_init=1, random_state=0).fit_predict(image.reshape(-1, 1).astype(np.float32)), 1)
    ours = seconds(lambda: labelled("kmeans", image), 5)
    inertia = REGISTRY["kmeans"](classes=3).fit(ArraySamples(image)).inertia_
    best = KMeans(3, n_init=20, random_state=0).fit(image.reshape(-1, 1)[::97].astype(np.float64)).cluster_centers_.ravel()
    distance = np.abs(np.arange(256)[:, None] - best).min(1) ** 2
    peer_inertia = float((np.bincount(image.ravel(), minlength=256) * distance).sum())
    note = f"inertia {inertia / peer_inertia:.6f} of scikit-learn's best of 20"
    return faster(f"K-means, 3 classes, 8-bit, {edge}³, array to labels", "scikit-learn, one start", theirs, ours, 50, note)


def fuzzy_row(edge: int) -> Row:
    from skfuzzy import cmeans

    image = rock(edge, "uint8")
    centres: list[np.ndarray] = []

    def peer() -> np.ndarray:
        found, share, *_ = cmeans(image.reshape(1, -1).astype(np.float64), 3, 2, error=0.005, maxiter=1000, seed=0)
        centres.append(np.sort(found.ravel()))
        return share.argmax(0)

    theirs = seconds(peer, 1)
    ours = seconds(lambda: labelled("fuzzy", image), 5)
    away = float(np.abs(REGISTRY["fuzzy"](classes=3).fit(ArraySamples(image)).centres_ - centres[0]).max())
    return faster(
        f"fuzzy C-means, 3 classes, 8-bit, {edge}³, array to labels", "scikit-fuzzy", theirs, ours, 500, f"centres within {away:.1e}"
    )


def copied(scan: Scan, folder: Path) -> None:
    """The scan's full level copied through the same codecs, two blocks at a time."""
    shutil.rmtree(folder, ignore_errors=True)
    target = create_levels(folder, scan.layout, scan.dtype, "image")[0]
    source = scan.array()

    def one(box: Box) -> None:
        target[box.slices] = source[box.slices]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, blocks(scan.box, scan.shard)))


def disk_rows(edge: int) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for dtype, methods in (("uint8", ("otsu", "kmeans", "fuzzy")), ("uint16", ("otsu",)), ("float32", ("otsu",))):
            wide = rock(edge, "uint16" if dtype != "uint8" else "uint8")
            np.save(folder / "image.npy", wide if dtype != "float32" else wide.astype("f4") / 65535)
            scan = import_scan(folder / "image.npy", folder / f"{dtype}.zarr", field_of_view=None)
            copy = seconds(lambda scan=scan, dtype=dtype: copied(scan, folder / f"{dtype}-copy"))
            for method in methods:
                ours = seconds(lambda scan=scan, method=method: segment(scan, REGISTRY[method](), output="r", overwrite=True))
                rows.append(at_most(f"{method}, {dtype}, {edge}³, Zarr to Zarr", "copy through the same codecs", copy, ours, 1.5))
            with PeakMemory() as memory:
                segment(scan, REGISTRY["otsu"](), output="r", overwrite=True)
            rows.append(bound(f"memory of otsu, {dtype}, {edge}³", memory.peak / 2**30, 2, "GB"))
            if dtype == "uint8":
                with PeakMemory() as memory:
                    segment(scan, REGISTRY["fuzzy"](spatial=True), output="s")
                rows.append(bound(f"memory of spatial fuzzy, {dtype}, {edge}³", memory.peak / 2**30, 2, "GB"))
            shutil.rmtree(folder / f"{dtype}.zarr")
    return rows


def measure(quick: bool) -> list[Row]:
    if quick:
        return [kmeans_row(64), fuzzy_row(48), *disk_rows(128)]
    return [kmeans_row(256), fuzzy_row(128), *disk_rows(512), otsu_row(256)]


if __name__ == "__main__":
    main("Intensity methods", measure)
