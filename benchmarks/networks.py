"""Accuracy from brush strokes: UNets beside the forest and Otsu, on the scans and strokes of `forest_accuracy.py`.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/networks.py [--seeds 3] [--only battery] [--methods "Otsu,forest,UNet"]

Strokes of 600 pixels a class on slice one, mean IoU on other slices (differences under .02 are noise), and seconds. A part of the
strokes is held back from the UNets, which choose their best weights by it. Otsu's classes are matched to the truth as fits best.
"""

import argparse
import json
import time
from itertools import permutations
from pathlib import Path

import numpy as np

from forest_accuracy import PIXELS, SETS, asked, brush
from lithoscope.classes import ClassTable
from lithoscope.labels.heldout import held_out
from lithoscope.labels.painted import Painted
from lithoscope.scores.segmentation import confusion
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples

METHODS = {
    "Otsu": ("otsu", {}),
    "forest": ("forest", {}),
    "UNet": ("unet", {"preset": "light"}),
    "UNet + teacher": ("unet", {"preset": "light", "unlabelled": "teacher"}),
    "UNet + pseudo": ("unet", {"preset": "light", "unlabelled": "pseudo"}),
    "UNet, flips": ("unet", {"preset": "light", "flips": True}),
    "UNet in space": ("unet", {"preset": "light", "dimensions": 3}),
    "small UNet": ("unet", {"preset": "small"}),
}


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


def run(image: np.ndarray, truth: np.ndarray, painted: np.ndarray, name: str, given: dict, seed: int, flat: bool) -> dict:
    """One method taught by one set of strokes: mean IoU, by class, and seconds."""
    window = tuple(float(v) for v in np.percentile(image, (0.5, 99.5)))
    settings = {"classes": int(truth.max())} if name == "otsu" else {"seed": seed, "dimensions": 2 if flat else 3, **given}
    if name == "unet":
        settings = {**settings, "dimensions": given.get("dimensions", 2), **({"slices": 1} if flat else {})}
    start, spent = time.perf_counter(), time.process_time()
    method = configured(segmenter(name), settings).fit(taught(image, painted, window, seed, hold=name == "unet"))
    fitted, reach, found = time.perf_counter(), method.halo()[0], []
    for z in asked(truth):
        low, high = max(0, z - reach), min(len(image), z + reach + 1)
        core = (slice(z - low, z - low + 1), *(slice(0, n) for n in image.shape[1:]))
        found.append(method.predict(Block(image=image[low:high], core=core, window=window, origin=(low, 0, 0)))[core])
    done, labels, scored = time.perf_counter(), np.concatenate(found), truth[asked(truth)]
    ways = permutations(range(1, int(truth.max()) + 1)) if name == "otsu" else [tuple(range(1, int(truth.max()) + 1))]
    best = max((confusion(scored, np.array([0, *way], np.uint8)[labels]) for way in ways), key=lambda table: table.mean_iou)
    story = method.learnt() if name == "unet" else {}
    return {
        "mean_iou": best.mean_iou,
        "iou": [best.iou(k) for k in range(1, int(truth.max()) + 1)],
        "fit": fitted - start,
        "predict": done - fitted,
        "cpu": time.process_time() - spent,
        "steps": story.get("steps"),
        "best_step": story.get("best_step"),
    }


def row(scan: str, method: str, own: list[dict]) -> str:
    """One line of the table: the mean over the seeds, and how far they spread."""
    values = [r["mean_iou"] for r in own]
    cells = [
        f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(own) > 1 else ""),
        " ".join(f"{v:.2f}" for v in np.mean([r["iou"] for r in own], axis=0)),
        str(len(own)),
        f"{np.mean([r['fit'] for r in own]):.1f}",
        f"{np.mean([r['predict'] for r in own]):.2f}",
        f"{np.mean([r['cpu'] for r in own]):.1f}",
        ", ".join(f"{r['steps']}/{r['best_step']}" for r in own) if own[0]["steps"] else "–",
    ]
    return f"| {scan} | {method} | {' | '.join(cells)} |"


def table(rows: list[dict]) -> str:
    """All that was measured so far."""
    lines = [
        "| scan | method | mean IoU | by class | seeds | fit, s | answer, s | processor, s | steps, best |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for scan, method in dict.fromkeys((r["scan"], r["method"]) for r in rows):
        lines.append(row(scan, method, [r for r in rows if (r["scan"], r["method"]) == (scan, method)]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="battery 1,Berea,electrode", help="scans whose names begin like one of these")
    parser.add_argument("--methods", default="Otsu,forest,UNet")
    parser.add_argument("--json", type=Path, help="every run, written as it ends")
    chosen = parser.parse_args()
    strokes, rows = brush(), []
    scans = {title: (*load(), dimensions) for title, (load, dimensions) in SETS.items() if title.startswith(tuple(chosen.only.split(",")))}
    for seed in range(chosen.seeds):
        for title, (image, truth, dimensions) in scans.items():
            painted = strokes(truth[0], PIXELS, seed)
            for method in [m for m in METHODS if m in chosen.methods.split(",")]:
                name, given = METHODS[method]
                if (given.get("dimensions") == 3 and dimensions == (2,)) or (name == "otsu" and seed):
                    continue
                rows.append(
                    {"scan": title, "method": method, "seed": seed, **run(image, truth, painted, name, given, seed, dimensions == (2,))}
                )
                print(row(title, method, rows[-1:]), flush=True)
                if chosen.json:
                    chosen.json.write_text(json.dumps(rows, indent=1))
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
