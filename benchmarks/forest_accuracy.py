"""Accuracy from brush strokes: both presets of the forest against scikit-learn's forest on scikit-image's features, same strokes.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/forest_accuracy.py [--seeds 3] [--only berea]

Strokes of 600 pixels a class on slice one, mean IoU on other slices (differences under .02 are noise). Berea and the electrode are
simulated scans of exact geometries, in two dimensions as the battery is, and in three. Nothing was tuned on `held`: two more scans.
`scribbles` are a person's own, on three micrographs of cells, scored on those of three more; on a photograph, scored on its rest.
"""

import argparse
import importlib.util
import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from lithoscope.classes import ClassTable
from lithoscope.scores.segmentation import confusion
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples

BEST_KNOWN = {"battery 1, 200, 400": 0.557, "battery 1501–1504": 0.671, "Berea": 0.842, "electrode": 0.531}
FOLDER = Path(os.environ.get("LITHOSCOPE_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PIXELS = 600


def battery(numbers):
    import tifffile

    folder = FOLDER / "labelled" / "battery"
    truth = np.stack([tifffile.imread(folder / f"raw_{n}_label.tif") for n in numbers])
    return np.stack([tifffile.imread(folder / f"raw_{n}.tif") for n in numbers]), classes_of(truth)


def classes_of(values):
    return (np.searchsorted(np.unique(values), values) + 1).astype(np.uint8)


def scanned(truth, means, sigma, noise):
    """A scan of a geometry: phase means, point spread, noise, 8 bits."""
    grey = gaussian_filter(np.asarray(means, np.float32)[truth - 1], sigma)
    return (grey + np.random.default_rng(0).normal(0, noise, truth.shape)).clip(0, 255).astype(np.uint8), truth


def berea(sigma=1.5, noise=40.0):
    import tifffile

    with zipfile.ZipFile(FOLDER / "geometry" / "berea_400.zip") as archive:
        return scanned(classes_of(tifffile.imread(io.BytesIO(archive.read("berea.tif")))[:100, :256, :256]), (80, 160), sigma, noise)


def electrode(means=(60, 100, 140), noise=30.0):
    import tifffile

    return scanned(classes_of(tifffile.imread(FOLDER / "geometry" / "electrode.tiff")[:64]), means, 1.0, noise)


SETS = {
    "battery 1, 200, 400": (lambda: battery((1, 200, 400)), (2,)),
    "battery 1501–1504": (lambda: battery((1501, 1502, 1503, 1504)), (2,)),
    "Berea": (berea, (2, 3)),
    "electrode": (electrode, (2, 3)),
    "held: Berea, noise 60": (lambda: berea(1.0, 60.0), (2, 3)),
    "held: electrode, noise 50": (lambda: electrode((60, 100, 160), 50.0), (2, 3)),
}


def cells():
    """Micrographs of cells with a person's scribbles: those of three slices teach, those of the other three are the truth."""
    import tifffile

    folder = FOLDER / "scribbles" / "tem_cells"
    said = (tifffile.imread(folder / "wss_train_labels.tiff") // 85).astype(np.uint8)
    return (
        tifffile.imread(folder / "train_stack_small.tif"),
        said * (np.arange(6) < 3)[:, None, None],
        said * (np.arange(6) >= 3)[:, None, None],
    )


def photograph():
    """A photograph with a person's scribbles; all that they leave is the truth."""
    from skimage.io import imread

    folder = FOLDER / "scribbles" / "photo"
    truth, said = imread(folder / "0000_ground_truth.png"), imread(folder / "0000_scribbles_all_01500_w3.png")
    painted = np.searchsorted(np.append(0, np.unique(truth)), said).astype(np.uint8)
    return imread(folder / "0000_img.png")[..., :3].mean(-1).astype(np.uint8)[None], painted[None], (classes_of(truth) * (said == 0))[None]


BY_HAND = {"scribbles: cells": cells, "scribbles: photograph": photograph}
"""Images, what a person painted and what is known of the rest, each (z, y, x), 0 where nobody said."""


def by_hand(image, painted, truth, seed, preset):
    """The mean IoU of one way where the truth is known; a seed is that of the method, since there is but one hand."""
    taught, scored = np.flatnonzero(painted.any((1, 2))), np.flatnonzero(truth.any((1, 2)))
    if preset == "peer":
        forest, x = classifier(seed), np.stack([skimage_features(plane) for plane in image])
        forest.fit(x[painted > 0], painted[painted > 0])
        found = np.stack([forest.predict(x[z].reshape(-1, 15)).reshape(image[z].shape) for z in scored]).astype(np.uint8)
    else:
        window = tuple(float(v) for v in np.percentile(image, (0.5, 99.5)))
        core = (slice(0, 1), slice(0, image.shape[1]), slice(0, image.shape[2]))
        samples = tuple(Sample(image=image[z : z + 1], core=core, window=window, labels=painted[z : z + 1]) for z in taught)
        method = configured(segmenter("forest"), {"preset": preset, "dimensions": 2, "seed": seed})
        method.fit(ArraySamples(image, labelled=samples, classes=ClassTable.numbered(int(painted.max()))))
        found = np.concatenate([method.predict(Block.of(image[z : z + 1], window)) for z in scored])
    return confusion(truth[scored], np.where(truth[scored] > 0, found, 0)).mean_iou


def brush():
    spec = importlib.util.spec_from_file_location("strokes", FOLDER.parent / "strokes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.strokes


def asked(truth):
    """The slices that are scored: up to three of the others, spread."""
    return [int(z) for z in np.unique(np.linspace(1, len(truth) - 1, 3).round())]


def classifier(seed):
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(150, criterion="entropy", max_depth=15, max_features=None, max_samples=0.1, random_state=seed)


def skimage_features(plane):
    from skimage.feature import multiscale_basic_features

    return multiscale_basic_features(plane, sigma_min=1, sigma_max=16, edges=False)


def peer(image, truth, painted, seed):
    forest = classifier(seed)
    forest.fit(skimage_features(image[0])[painted > 0], painted[painted > 0])
    planes = [forest.predict(skimage_features(image[z]).reshape(-1, 15)).reshape(image[z].shape) for z in asked(truth)]
    return np.stack(planes).astype(np.uint8)


def ours(image, truth, painted, seed, preset, dimensions):
    window = tuple(float(v) for v in np.percentile(image, (0.5, 99.5)))
    whole = tuple(slice(0, n) for n in image.shape)
    labels = np.zeros(image.shape, np.uint8)
    labels[0] = painted
    method = configured(segmenter("forest"), {"preset": preset, "dimensions": dimensions, "seed": seed})
    sample = Sample(image=image, core=whole, window=window, labels=labels)
    method.fit(ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(int(truth.max()))))
    found = []
    for z in asked(truth):
        if dimensions == 2:
            found.append(method.predict(Block.of(image[z : z + 1], window)))
        else:
            core = (slice(z, z + 1), *whole[1:])
            found.append(method.predict(Block(image=image, core=core, window=window))[core])
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--presets", default="peer,published,fast", help="what to measure, of these three")
    given = parser.parse_args()
    strokes = brush()
    print("| set | scikit-learn on scikit-image | published | fast | best row known | seconds |\n|---|---|---|---|---|---|")
    for name, (load, dimensions) in SETS.items():
        if given.only.casefold() not in name.casefold():
            continue
        image, truth = load()
        painted = [strokes(truth[0], PIXELS, seed) for seed in range(given.seeds)]
        scored = truth[asked(truth)]
        for d in dimensions:
            start = time.perf_counter()
            cells = []
            for preset in ("peer", "published", "fast"):
                values = [
                    confusion(scored, peer(image, truth, p, s) if preset == "peer" else ours(image, truth, p, s, preset, d)).mean_iou
                    for s, p in enumerate(painted)
                    if preset in given.presets.split(",") and (preset != "peer" or d == 2)
                ]
                cells.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "–")
            best = f"{BEST_KNOWN[name]:.3f}" if name in BEST_KNOWN else "–"
            print(f"| {name}, {d}D | {' | '.join(cells)} | {best} | {time.perf_counter() - start:.0f} |", flush=True)
    for name, load in BY_HAND.items():
        if given.only.casefold() not in name.casefold():
            continue
        start, found = time.perf_counter(), []
        image, painted, truth = load()
        for preset in ("peer", "published", "fast"):
            values = [by_hand(image, painted, truth, s, preset) for s in range(given.seeds) if preset in given.presets.split(",")]
            found.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "–")
        print(f"| {name}, 2D | {' | '.join(found)} | – | {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
