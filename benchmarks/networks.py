"""Accuracy from brush strokes: UNets and heads on tokens beside the forest and Otsu, on the scans and strokes of `forest_accuracy.py`.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/networks.py [--seeds 3] [--only battery] [--methods "Otsu,forest,UNet"]

Strokes of 600 pixels a class on slice one, mean IoU on other slices (differences under .02 are noise), and seconds. A part of the
strokes is held back from UNets, CNN heads and LoRA, which choose their best weights by it; * marks where LoRA fell back. Otsu's
classes are matched to the truth as fits best.
"""

import argparse
import json
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from forest_accuracy import PIXELS, SETS, asked, brush
from harness import PeakMemory
from lithoscope.classes import ClassTable
from lithoscope.labels.heldout import held_out
from lithoscope.labels.painted import Painted
from lithoscope.scores.segmentation import confusion
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples

Pair = tuple[np.ndarray, np.ndarray]

METHODS = {
    "Otsu": ("otsu", {}),
    "forest": ("forest", {}),
    "UNet": ("unet", {"preset": "light"}),
    "UNet + teacher": ("unet", {"preset": "light", "unlabelled": "teacher"}),
    "UNet + pseudo": ("unet", {"preset": "light", "unlabelled": "pseudo"}),
    "UNet, flips": ("unet", {"preset": "light", "flips": True}),
    "UNet in space": ("unet", {"preset": "light", "dimensions": 3}),
    "small UNet": ("unet", {"preset": "small"}),
    "tokens linear": ("dino", {}),
    "tokens alone linear": ("dino", {"filters": False}),
    "tokens linear at 2": ("dino", {"scale": 2}),
    "tokens trees": ("dino", {"head": "trees"}),
    "tokens kNN": ("dino", {"head": "knn"}),
    "whole tokens linear": ("dino", {"preset": "published", "scale": 2, "side": 96, "steps": 60, "rate": 1e-3}),
    "tokens CNN head": ("dino", {"head": "cnn"}),
    "LoRA linear": ("dino", {"tuning": "lora", "scale": 2, "side": 96}),
    "LoRA CNN head": ("dino", {"tuning": "lora", "head": "cnn"}),
}
HOLDING = {
    name
    for name, (kind, given) in METHODS.items()
    if kind == "unet" or given.get("head") == "cnn" or "tuning" in given or "preset" in given
}
"""Those that choose their best weights by a part of the strokes."""


def taught(image: np.ndarray, painted: np.ndarray, window: tuple[float, float], seed: int, *, hold: bool) -> ArraySamples:
    """The first slices of a scan as one labelled block, the first of them painted."""
    labels = np.zeros(image[:9].shape, np.uint8)
    labels[0] = painted
    classes, held = ClassTable.numbered(int(painted.max())), None
    if hold:
        known = Painted.of(labels)
        held = np.zeros(labels.shape, np.bool_)
        held[tuple(known.places[held_out([known], classes, halo=0, seed=seed).held[0]].T)] = True
    whole = Block.of(image[:9], window)
    return ArraySamples(
        image, labelled=(Sample(image=whole.image, core=whole.core, window=window, labels=labels, held=held),), classes=classes
    )


def answered(method: Any, image: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a method says of the slices that are scored, and the truth of them."""
    window, reach, found = tuple(float(v) for v in np.percentile(image, (0.5, 99.5))), method.halo()[0], []
    for z in asked(truth):
        low, high = max(0, z - reach), min(len(image), z + reach + 1)
        core = (slice(z - low, z - low + 1), *(slice(0, n) for n in image.shape[1:]))
        found.append(method.predict(Block(image=image[low:high], core=core, window=window, origin=(low, 0, 0)))[core])
    return np.concatenate(found), truth[asked(truth)]


def run(
    image: np.ndarray,
    truth: np.ndarray,
    painted: np.ndarray,
    title: str,
    seed: int,
    flat: bool,
    other: tuple[np.ndarray, np.ndarray] | None,
) -> dict:
    """One method taught by one set of strokes: mean IoU, by class, on another scan if there is one, seconds and memory."""
    name, given = METHODS[title]
    window = tuple(float(v) for v in np.percentile(image, (0.5, 99.5)))
    settings = {"classes": int(truth.max())} if name == "otsu" else {"seed": seed, "dimensions": 2 if flat else 3, **given}
    if name == "dino":
        settings |= {"dimensions": 2, "plane": "z"}
    if name == "unet":
        settings = {**settings, "dimensions": given.get("dimensions", 2), "slices": 1 if flat else 3}
    start = time.perf_counter()
    with PeakMemory() as memory:
        method = configured(segmenter(name), settings).fit(taught(image, painted, window, seed, hold=title in HOLDING))
        fitted = time.perf_counter()
        labels, scored = answered(method, image, truth)
    done = time.perf_counter()
    ways = permutations(range(1, int(truth.max()) + 1)) if name == "otsu" else [tuple(range(1, int(truth.max()) + 1))]
    best = max((confusion(scored, np.array([0, *way], np.uint8)[labels]) for way in ways), key=lambda table: table.mean_iou)
    story = method.learnt() if title in HOLDING else {}
    return {
        "other": None if other is None else confusion(*answered(method, *other)[::-1]).mean_iou,
        "peak_mb": memory.peak / 1e6,
        "parameters": story.get("parameters"),
        "fell_back": story.get("fell_back"),
        "mean_iou": best.mean_iou,
        "iou": [best.iou(k) for k in range(1, int(truth.max()) + 1)],
        "fit": fitted - start,
        "predict": done - fitted,
        "steps": story.get("steps"),
        "best_step": story.get("best_step"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="battery 1,Berea,electrode", help="scans whose names begin like one of these")
    parser.add_argument("--methods", default="Otsu,forest,UNet")
    parser.add_argument("--across", action="store_true", help="also ask each model of one battery of the other")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    strokes, rows = brush(), []
    print("| scan | method | mean IoU | by class | on another scan | fit, s | answer, s | peak, MB |\n|---|---|---|---|---|---|---|---|")
    for title, (load, dimensions) in SETS.items():
        if not title.startswith(tuple(chosen.only.split(","))):
            continue
        image, truth = load()
        apart = (
            {"battery 1, 200, 400": "battery 1501–1504", "battery 1501–1504": "battery 1, 200, 400"}.get(title) if chosen.across else None
        )
        other = None if apart is None else SETS[apart][0]()
        painted = [strokes(truth[0], PIXELS, seed) for seed in range(chosen.seeds)]
        for method in [m for m in METHODS if m in chosen.methods.split(",")]:
            name, given = METHODS[method]
            if given.get("dimensions") == 3 and dimensions == (2,):
                continue
            seeds = range(1 if name == "otsu" else chosen.seeds)
            own = [run(image, truth, painted[s], method, s, dimensions == (2,), None if name == "otsu" else other) for s in seeds]
            rows += [{"scan": title, "method": method, **r} for r in own]
            values = [r["mean_iou"] for r in own]
            cells = [
                f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(own) > 1 else ""),
                " ".join(f"{v:.2f}" for v in np.mean([r["iou"] for r in own], axis=0)),
                "–" if own[0]["other"] is None else f"{np.mean([r['other'] for r in own]):.3f} ± {np.std([r['other'] for r in own]):.3f}",
                f"{np.mean([r['fit'] for r in own]):.1f}",
                f"{np.mean([r['predict'] for r in own]):.2f}",
                f"{max(r['peak_mb'] for r in own):.0f}" + ("*" if any(r["fell_back"] for r in own) else ""),
            ]
            print(f"| {title} | {method} | {' | '.join(cells)} |", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
