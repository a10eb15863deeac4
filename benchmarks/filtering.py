"""Image filters: the speed of non-local means beside scikit-image, and what each filter does for a threshold.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/filtering.py

The second table simulates scans of Berea sandstone, whose pores are known, with three strengths of noise, with rings and with cupping, and
prints the mean IoU and the error of the porosity (in percent of the volume) of Otsu's threshold before and after each filter.
"""

import io
import os
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from harness import PeakMemory, Row, bound, faster, main, seconds
from lithoscope.filtering import REGISTRY, Filter, filter_image
from lithoscope.labels import results
from lithoscope.labels.predict import segment
from lithoscope.parameters import configured
from lithoscope.segmenters import REGISTRY as METHODS
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan
from lithoscope.volume.simulate import Scanner, circle, scan_of

QUIET = {"noise": 12.0, "rings": 0.0, "cupping": 0.0}
FAULTS = {
    "noise 12": {},
    "noise 25": {"noise": 25.0},
    "noise 40": {"noise": 40.0},
    "rings 25": {"rings": 25.0},
    "cupping .25": {"cupping": 0.25},
    "flickering slices": {},
    "noise 25, rings 25, cupping .25": {"noise": 25.0, "rings": 25.0, "cupping": 0.25},
}
CHAINS: dict[str, list[tuple[str, dict]]] = {
    "none": [],
    "gaussian": [("gaussian", {})],
    "median": [("median", {})],
    "bilateral": [("bilateral", {})],
    "nlm": [("nlm", {})],
    "nlm 2D": [("nlm", {"dimensions": 2})],
    "nlm published": [("nlm", {"preset": "published", "dimensions": 2})],
    "rings": [("rings", {})],
    "cupping": [("cupping", {})],
    "normalise": [("normalise", {})],
    "cupping, rings, nlm": [("cupping", {}), ("rings", {}), ("nlm", {})],
}


def made(name: str, settings: dict) -> Filter:
    return configured(REGISTRY[name], settings)


def berea(edge: int) -> np.ndarray:
    """The geometry (edge, edge, edge): 0 pore, 255 grain."""
    import tifffile

    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LITHOSCOPE_SHARED_DATA", default))
    with zipfile.ZipFile(folder / "geometry" / "berea_400.zip") as archive:
        whole = tifffile.imread(io.BytesIO(archive.read("berea.tif")))
    return np.ascontiguousarray(whole[:edge, :edge, :edge])


def processor(work) -> float:
    """Processor seconds of all threads, which other programs on the machine hardly change."""
    start = time.process_time()
    work()
    return time.process_time() - start


def on_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def filtered_on(device: str, scan: Scan, patch: int, search: int) -> None:
    filter_image(scan, made("nlm", {"patch": patch, "search": search}), "n", overwrite=True, device=device)


def speed_rows(edge: int) -> list[Row]:
    from skimage.restoration import denoise_nl_means

    rng = np.random.default_rng(0)
    phase = rng.integers(0, 2, (-(-edge // 8),) * 3).repeat(8, 0).repeat(8, 1).repeat(8, 2)[:edge, :edge, :edge]
    image = (80 + 90 * phase + rng.normal(0, 15, phase.shape)).clip(0, 255).astype(np.uint8)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "image.npy", image)
        scan = import_scan(Path(folder) / "image.npy", Path(folder) / "s.zarr", field_of_view=None)
        wide = image.astype(np.float32)
        for patch, search in ((5, 13), (3, 11)):
            ours = seconds(lambda p=patch, s=search: filter_image(scan, made("nlm", {"patch": p, "search": s}), "n", overwrite=True), 2)
            theirs = seconds(
                lambda p=patch, s=search: denoise_nl_means(wide, p, s // 2, 12.0, fast_mode=True, sigma=15.0, preserve_range=True), 1
            )
            note = "ours from Zarr to Zarr, histogram and noise counted too"
            title = f"3D non-local means, {edge}³, patch {patch}, search {search}"
            rows.append(faster(title, "scikit-image fast mode", theirs, ours, 3, note))
            mine = processor(lambda p=patch, s=search: filter_image(scan, made("nlm", {"patch": p, "search": s}), "n", overwrite=True))
            fast = processor(
                lambda p=patch, s=search: denoise_nl_means(wide, p, s // 2, 12.0, fast_mode=True, sigma=15.0, preserve_range=True)
            )
            rows.append(faster(f"{title}, processor time", "scikit-image fast mode", fast, mine, 1.5, "of all threads; half of 3 ×"))
            if on_gpu():
                ours = seconds(lambda p=patch, s=search: filtered_on("cuda", scan, p, s), 3)
                rows.append(faster(f"{title}, GPU", "scikit-image fast mode, processor", theirs, ours, 50, note))
    return rows


def memory_rows(edge: int) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        np.save(Path(folder) / "image.npy", rng.integers(0, 65535, (64, edge, edge), np.uint16))
        scan = import_scan(Path(folder) / "image.npy", Path(folder) / "s.zarr", field_of_view=None)
        for name, settings in {"gaussian": {"sigma": 4}, "median": {}, "rings": {}, "normalise": {}, "nlm": {"search": 3}}.items():
            with PeakMemory() as memory:
                filter_image(scan, made(name, settings), "m", overwrite=True)
            rows.append(bound(f"memory of {name}, 64 × {edge}², uint16", memory.peak / 2**30, 2, "GB"))
    return rows


def flickering(grey: np.ndarray) -> np.ndarray:
    """Every slice with a gain and an offset of its own, of standard deviation .08 and 8 grey levels."""
    rng = np.random.default_rng(0)
    gain, offset = 1 + 0.08 * rng.normal(size=(2, len(grey), 1, 1)) * np.array([1, 100]).reshape(2, 1, 1, 1)
    faulty = np.rint(grey * gain + offset - 1).clip(1, 255).astype(np.uint8)
    return np.where(grey == 0, grey, faulty)


def accuracy(scan: Scan, image: str | None, truth: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Mean IoU, and porosity found less true in percent."""
    segment(scan, METHODS["otsu"](classes=2), output="otsu", image=image, overwrite=True)
    pore = results.open_result(scan, "otsu").array[...][inside] == 1
    real = truth[inside] == 0
    iou = [(a & b).sum() / (a | b).sum() for a, b in ((pore, real), (~pore, ~real))]
    return float(np.mean(iou)), 100 * float(pore.mean() - real.mean())


def accuracy_table(edge: int) -> str:
    truth = berea(edge)
    view = circle(truth.shape)
    inside = np.broadcast_to(view.inside(Box.whole(truth.shape)), truth.shape)
    lines = [f"### Otsu on simulated Berea, {edge}³: mean IoU (porosity error, % of the volume)", ""]
    lines += ["| filter | " + " | ".join(FAULTS) + " |", "|---" * (len(FAULTS) + 1) + "|"]
    cells: dict[str, list[str]] = {chain: [] for chain in CHAINS}
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, fault) in enumerate(FAULTS.items()):
            grey = scan_of(truth, {0: 60, 255: 150}, seed=number, scanner=Scanner(psf=0.8, **{**QUIET, **fault}))
            if title == "flickering slices":
                grey = flickering(grey)
            np.save(Path(folder) / "g.npy", grey)
            scan = import_scan(Path(folder) / "g.npy", Path(folder) / "g.zarr", field_of_view=view, overwrite=True)
            for chain, steps in CHAINS.items():
                image = None
                for name, settings in steps:
                    target = f"{image or ''}{name}"
                    filter_image(scan, made(name, settings), target, image=image, overwrite=True)
                    image = target
                iou, error = accuracy(scan, image, truth, inside)
                cells[chain].append(f"{iou:.3f} ({error:+.2f})")
    return "\n".join([*lines, *(f"| {chain} | " + " | ".join(row) + " |" for chain, row in cells.items())])


def measure(quick: bool) -> list[Row]:
    print(accuracy_table(64 if quick else 128), "\n", flush=True)
    return [*speed_rows(48 if quick else 96), *memory_rows(256 if quick else 1500)]


if __name__ == "__main__":
    main("Image filters", measure)
