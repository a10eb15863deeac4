"""Accuracy from brush strokes of the heads on tokens and LoRA, beside the forest: scans and strokes of `networks.py`.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/token_heads.py [--seeds 3] [--only battery] [--across] [--methods "forest,tokens trees"]

A part of the strokes is held back from CNN heads and LoRA, which choose their best weights by it; * marks where LoRA fell back. With
`--across` each model of one battery is also asked of the other, a scan that it never saw. Seconds are of the processor.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from forest_accuracy import PIXELS, SETS, asked, brush
from harness import PeakMemory
from lithoscope.scores.segmentation import confusion
from lithoscope.segmenters import Block, configured, segmenter
from networks import taught

METHODS = {
    "forest": ("forest", {}),
    "tokens linear": ("dino", {}),
    "tokens trees": ("dino", {"head": "trees"}),
    "tokens kNN": ("dino", {"head": "knn"}),
    "tokens alone linear": ("dino", {"filters": False}),
    "tokens linear at 2": ("dino", {"scale": 2}),
    "whole tokens linear": ("dino", {"preset": "published", "scale": 2, "side": 96, "steps": 60, "rate": 1e-3}),
    "CNN head": ("dino", {"head": "cnn"}),
    "LoRA linear": ("dino", {"tuning": "lora"}),
    "LoRA CNN head": ("dino", {"tuning": "lora", "head": "cnn"}),
}
PLAIN = {"forest", "tokens linear", "tokens trees", "tokens kNN", "tokens alone linear", "tokens linear at 2"}
"""Those that are taught with all strokes; the others choose their weights by some of them."""


def answered(method: Any, image: np.ndarray, truth: np.ndarray) -> float:
    """Mean IoU of what a method says of the slices that are scored."""
    window, reach, found = tuple(float(v) for v in np.percentile(image, (0.5, 99.5))), method.halo()[0], []
    for z in asked(truth):
        low, high = max(0, z - reach), min(len(image), z + reach + 1)
        core = (slice(z - low, z - low + 1), *(slice(0, n) for n in image.shape[1:]))
        found.append(method.predict(Block(image=image[low:high], core=core, window=window, origin=(low, 0, 0)))[core])
    return confusion(truth[asked(truth)], np.concatenate(found)).mean_iou


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="battery 1,Berea,electrode", help="scans whose names begin like one of these")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--across", action="store_true")
    parser.add_argument("--json", type=Path, help="every run, written as it ends")
    chosen = parser.parse_args()
    strokes, rows = brush(), []
    print(
        "| scan | method | seed | mean IoU | on the other battery | taught, s | answered, s | peak, MB | parameters |\n" + "|---" * 9 + "|"
    )
    for seed in range(chosen.seeds):
        for title, (load, dimensions) in SETS.items():
            if not title.startswith(tuple(chosen.only.split(","))):
                continue
            image, truth = load()
            other = next((o for o in SETS if chosen.across and "battery" in o and "battery" in title and o != title), None)
            painted, window = strokes(truth[0], PIXELS, seed), tuple(float(v) for v in np.percentile(image, (0.5, 99.5)))
            for name in [m for m in METHODS if m in chosen.methods.split(",")]:
                kind, given = METHODS[name]
                flat = {"dimensions": 2 if kind == "dino" or dimensions == (2,) else 3}
                spent = [time.process_time()]
                with PeakMemory() as memory:
                    method = configured(segmenter(kind), {"seed": seed, **flat, **given})
                    method = method.fit(taught(image, painted, window, seed, hold=name not in PLAIN))
                    spent.append(time.process_time())
                    iou = answered(method, image, truth)
                    spent.append(time.process_time())
                story, there = method.learnt(), answered(method, *SETS[other][0]()) if other else None
                row = {
                    "scan": title, "method": name, "seed": seed, "mean_iou": iou, "other": there,
                    "fit": spent[1] - spent[0], "predict": spent[2] - spent[1], "peak_mb": memory.peak / 1e6,
                    "parameters": story.get("parameters"), "fell_back": story.get("fell_back"),
                }  # fmt: skip
                rows.append(row)
                fell = "*" if row["fell_back"] else ""
                cells = [title, f"{name}{fell}", seed, f"{iou:.3f}", "–" if there is None else f"{there:.3f}"]
                cells += [f"{row['fit']:.1f}", f"{row['predict']:.1f}", f"{row['peak_mb']:.0f}", row["parameters"] or "–"]
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
                if chosen.json:
                    chosen.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
