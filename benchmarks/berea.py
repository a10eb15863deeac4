"""Accuracy on a real geometry: Berea sandstone, scanned by simulation at three noise levels, segmented by the intensity methods.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/berea.py

The geometry (400³, pore 0, grain 255) is the exact truth; point spread σ 1, contrast 80 grey levels, no rings or cupping.
"""

import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np

from lithoscope.scores.segmentation import confusion
from lithoscope.segmenters import REGISTRY, Block, configured
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.volume.simulate import Scanner, scan_of

EDGE = 200
NOISE = (15.0, 30.0, 45.0)
METHODS = {
    "Otsu": ("otsu", {}),
    "K-means": ("kmeans", {}),
    "fuzzy": ("fuzzy", {}),
    "spatial fuzzy, radius 1": ("fuzzy", {"spatial": True}),
    "spatial fuzzy, radius 2": ("fuzzy", {"spatial": True, "radius": 2}),
    "spatial fuzzy, radius 1, in the plane": ("fuzzy", {"spatial": True, "dimensions": 2}),
}


def geometry(folder: Path) -> np.ndarray:
    """The middle of the Berea sandstone, (EDGE, EDGE, EDGE): 0 pore, 255 grain."""
    import tifffile

    with zipfile.ZipFile(folder / "geometry" / "berea_400.zip") as archive:
        whole = tifffile.imread(io.BytesIO(archive.read("berea.tif")))
    low = (whole.shape[0] - EDGE) // 2
    return whole[low : low + EDGE, low : low + EDGE, low : low + EDGE]


def main() -> None:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    rock = geometry(Path(os.environ.get("LITHOSCOPE_SHARED_DATA", default)))
    truth = np.where(rock == 0, 1, 2).astype(np.uint8)
    porosity = float((truth == 1).mean())
    print(f"### Berea sandstone, {EDGE}³, porosity {porosity:.4f}\n")
    print("| method | " + " | ".join(f"noise {noise:g}: mean IoU | porosity error" for noise in NOISE) + " | seconds |")
    print("|---|" + "---|" * (2 * len(NOISE) + 1))
    scans = [scan_of(rock, {0: 80.0, 255: 160.0}, scanner=Scanner(noise=n, rings=0, cupping=0, circular=False)) for n in NOISE]
    for title, (name, given) in METHODS.items():
        cells, start = [], time.perf_counter()
        for scan in scans:
            labels = configured(REGISTRY[name], {"classes": 2, **given}).fit(ArraySamples(scan)).predict(Block.of(scan))
            cells.append(f"{confusion(truth, labels).mean_iou:.4f} | {float((labels == 1).mean()) - porosity:+.4f}")
        print(f"| {title} | {' | '.join(cells)} | {(time.perf_counter() - start) / len(scans):.2f} |")


if __name__ == "__main__":
    main()
