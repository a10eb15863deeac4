"""What the shipped backbone's tokens hold, beside plain pixels, the same network untaught, and the filter bank.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/backbone.py [BACKBONE …] [--json results.json]

Battery: probes taught on strokes of 600 pixels a class on one slice, scored on the other slices of the same volume; three
seeds of strokes. Scans: p@n_k of crops of the shared volumes, a group a volume (the shipped weights were taught on these, their
last layer on which of them a crop is from). Fossils: nn F1 and p@n_k of photographs that no weights here have seen. Pooled features
are each channel's mean and standard deviation over the picture, scaled to unit spread over the set; fossils are also compared as
16 × 16 pixels.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.features.probes import effective_rank, probe
from lithoscope.features.token_grid import Grid, Windows, plane_tokens, upsampled, windowed
from lithoscope.scores.retrieval import nn_f1, p_at_nk

sys.path.insert(0, str(Path(__file__).parent))
from painted import strokes

Array = np.ndarray
Extract = Callable[[Array], Array]
BATTERIES = {"battery 1": (1, 200, 400), "battery 2": (1501, 1502, 1503)}
CROP = slice(72, 376)
SCALE = 2.0


def batteries(folder: Path) -> dict[str, list[tuple[Array, Array]]]:
    """Windowed images (y, x) in the percentiles of their volume, and labels 1 … 3."""
    from tifffile import imread

    made = {}
    for name, numbers in BATTERIES.items():
        images = [imread(folder / f"raw_{n}.tif").astype(np.float32) for n in numbers]
        low, high = np.percentile(np.stack(images), (0.5, 99.5))
        labels = [imread(folder / f"raw_{n}_label.tif")[CROP, CROP].astype(np.uint8) + 1 for n in numbers]
        made[name] = [(windowed(image, (float(low), float(high)))[CROP, CROP], label) for image, label in zip(images, labels, strict=True)]
    return made


def scan_crops(data: Path, count: int = 14, edge: int = 96) -> tuple[list[Array], list[str]]:
    """Windowed crops of the shared volumes, spread over each, and the volume that each is from."""
    from pretrain_tiny import volumes

    rng = np.random.default_rng(0)
    crops, names = [], []
    for name, volume in volumes(data).items():
        window = tuple(float(v) for v in np.percentile(volume[::2, ::4, ::4], (0.5, 99.5)))
        for _ in range(count):
            z, y, x = (int(rng.integers(0, max(1, s - e + 1))) for s, e in zip(volume.shape, (1, edge, edge), strict=True))
            crops.append(windowed(volume[z, y : y + edge, x : x + edge], window))
            names.append(name)
    return crops, names


def fossils(folder: Path) -> tuple[list[Array], list[Array], list[str]]:
    """Grey photographs 224 × 224 in their own window, the same 16 × 16, and their genus."""
    from PIL import Image

    large, small, names = [], [], []
    for path in sorted(folder.glob("*/*.jpg")):
        image = Image.open(path).convert("L").resize((256, 256), Image.Resampling.BICUBIC).crop((16, 16, 240, 240))
        pixels = np.asarray(image, np.float32)
        low, high = np.percentile(pixels, (0.5, 99.5))
        large.append(windowed(pixels, (float(low), float(high))))
        small.append(np.asarray(image.resize((16, 16), Image.Resampling.BOX), np.float32).ravel())
        names.append(path.parent.name)
    return large, small, names


def pooled(images: list[Array], extract: Extract) -> Array:
    """Each channel's mean and deviation, (n, 2 · channels), at unit spread."""
    found = []
    for image in images:
        values = extract(image)
        values = values.reshape(len(values), -1)
        found.append(np.concatenate([values.mean(1), values.std(1)]))
    vectors = np.stack(found)
    return (vectors - vectors.mean(0)) / np.maximum(vectors.std(0), 1e-6)


def bank(image: Array) -> Array:
    """The published filter bank: 15 channels."""
    from skimage.feature import multiscale_basic_features

    return np.moveaxis(multiscale_basic_features(image, edges=False, sigma_max=16), -1, 0)


def tokens(network: Any, scale: float, fine: bool) -> Extract:
    """The last layer's tokens of an image (y, x), at its pixels if `fine`."""
    grid = Grid(network.config.patch, scale)

    def extract(image: Array) -> Array:
        side = min(20, max(grid.count(size) for size in image.shape))
        found = plane_tokens(network, image, grid, windows=Windows(side, max(1, side * 4 // 5)))
        if not fine:
            return np.moveaxis(found, -1, 0)
        rows, columns = image.shape
        return upsampled(found, grid, (0, rows), (0, columns), (rows, columns))

    return extract


def battery_scores(planes: list[tuple[Array, Array]], extract: Extract, seeds: int) -> tuple[float, float, float]:
    """Mean IoU of the linear and the neighbours' probe over seeds of strokes, and the effective rank."""
    features = [(extract(image), label) for image, label in planes]
    found = [probe((features[0][0], strokes(features[0][1], 600, seed)), features[1:], most=8000) for seed in range(seeds)]
    flat = features[0][0].reshape(len(features[0][0]), -1).T[::9]
    rank = effective_rank(flat) if flat.shape[1] > 1 else 1.0
    return float(np.mean([f.linear for f in found])), float(np.mean([f.neighbours for f in found])), rank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbones", nargs="*", default=["lithoscope-tiny"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="of strokes")
    parser.add_argument("--untaught", type=int, nargs="*", default=[0, 1, 2], help="seeds of random weights to set beside them")
    parser.add_argument("--only", nargs="*", help="measure these rows only")
    given = parser.parse_args()
    import torch

    from lithoscope.features.backbones import open_backbone
    from lithoscope.features.vit import Vit

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    data = Path(os.environ["LITHOSCOPE_SHARED_DATA"])
    batches = batteries(data / "labelled" / "battery")
    crops, volumes = scan_crops(data)
    photos, small, genera = fossils(data / "retrieval" / "fossils")
    kinds: dict[str, tuple[Extract, Extract]] = {"pixels": (lambda i: i[None], lambda i: i[None]), "filter bank": (bank, bank)}
    for number, name in enumerate(given.backbones):
        network = open_backbone(Path(name) if Path(name).exists() else name).network
        if number == 0:
            for seed in given.untaught:
                untaught = Vit.random(network.config, seed)
                kinds[f"untaught, seed {seed}"] = (tokens(untaught, SCALE, True), tokens(untaught, 1.0, False))
        kinds[Path(name).name] = (tokens(network, SCALE, True), tokens(network, 1.0, False))
    if given.only is not None:
        kinds = {name: made for name, made in kinds.items() if name in given.only}
    rows = []
    print(
        f"{'':22}" + "".join(f"{b} linear / kNN / rank".rjust(34) for b in batches) + "   scans p@n_k   fossils nn F1 ± sd   p@n_k  seconds"
    )
    for name, (fine, coarse) in kinds.items():
        start = time.perf_counter()
        row: dict[str, Any] = {"features": name}
        for key, planes in batches.items():
            row[key] = battery_scores(planes, fine, given.seeds)
        row["scans"] = p_at_nk(pooled(crops, coarse), volumes)
        vectors = np.stack(small) if name == "pixels" else pooled(photos, coarse)
        f1 = nn_f1(vectors, genera)
        row |= {"nn_f1": f1.mean, "nn_f1_sd": f1.deviation, "p_at_nk": p_at_nk(vectors, genera), "seconds": time.perf_counter() - start}
        rows.append(row)
        told = "".join("{:.3f} / {:.3f} / {:4.1f}".format(*row[key]).rjust(34) for key in batches)
        print(
            f"{name:22}{told}{row['scans']:14.3f}{f1.mean:15.3f} ± {f1.deviation:.3f}{row['p_at_nk']:8.3f}{row['seconds']:9.1f}", flush=True
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
