"""Networks beside trees and Otsu: the same brush strokes on one slice, mean IoU on the others, and seconds.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/networks.py [--seeds 3] [--sets battery,Berea] [--methods UNet,Otsu] [--json OUT]

Strokes are made as a person paints them, inside a phase, by `strokes.py` beside the folder of scans: about 600 pixels a class.
A fifth of each class's strokes is held back where the method chooses its best weights by them.
"""

import argparse
import importlib.util
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.scores.segmentation import Confusion
from lithoscope.segmenters import REGISTRY, Block, Sample, configured
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.volume.simulate import Scanner, scan_of

DATA = Path(os.environ.get("LITHOSCOPE_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PIXELS = 600
METHODS = {
    "Otsu": ("otsu", {}),
    "forest": ("forest", {}),
    "UNet": ("unet", {"preset": "light"}),
}
MORE = {
    "UNet, mean teacher": ("unet", {"preset": "light", "unlabelled": "teacher"}),
    "UNet, pseudo-labels": ("unet", {"preset": "light", "unlabelled": "pseudo"}),
    "UNet, flips": ("unet", {"preset": "light", "flips": True}),
    "UNet in space": ("unet", {"preset": "light", "dimensions": 3}),
    "UNet, small": ("unet", {"preset": "small"}),
}


@dataclass(frozen=True)
class Case:
    """A scan with its truth, both (z, y, x); strokes lie on slice `painted`, and the slices `scored` are looked at."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    painted: int
    scored: tuple[int, ...]
    separate: bool


def cases() -> Iterator[Case]:
    """Two batteries, whose slices are apart, and a sandstone and an electrode scanned by simulation."""
    import tifffile

    for title, numbers in (("battery {1, 200, 400}", (1, 200, 400)), ("battery {1501–1504}", (1501, 1502, 1503, 1504))):
        folder = DATA / "labelled" / "battery"
        image = np.stack([tifffile.imread(folder / f"raw_{n}.tif") for n in numbers])
        truth = np.stack([tifffile.imread(folder / f"raw_{n}_label.tif") for n in numbers]).astype(np.uint8) + 1
        yield Case(title, image, truth, 0, tuple(range(1, len(numbers))), True)
    with zipfile.ZipFile(DATA / "geometry" / "berea_400.zip") as archive:
        rock = tifffile.imread(io.BytesIO(archive.read("berea.tif")))[100:200, 72:328, 72:328]
    scanner = Scanner(noise=30.0, rings=0, cupping=0, circular=False)
    scan = scan_of(rock, {0: 80.0, 255: 160.0}, scanner=scanner)
    yield Case("Berea, simulated", scan, np.where(rock == 0, 1, 2).astype(np.uint8), 0, (10, 35, 60, 85), False)
    phases = tifffile.imread(DATA / "geometry" / "electrode.tiff")[:100]
    scan = scan_of(phases, {0: 60.0, 85: 120.0, 170: 180.0}, scanner=scanner)
    yield Case("electrode, simulated", scan, (phases // 85 + 1).astype(np.uint8), 0, (10, 35, 60, 85), False)


def brush() -> Callable[..., np.ndarray]:
    """The function that paints."""
    found = importlib.util.spec_from_file_location("strokes", DATA.parent / "strokes.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.strokes


def samples_of(case: Case, seed: int, hold: bool) -> ArraySamples:
    """The painted slice and some around it as one labelled block."""
    low, high = max(0, case.painted - 12), min(len(case.image), case.painted + 13)
    labels = np.zeros(case.image[low:high].shape, np.uint8)
    labels[case.painted - low] = brush()(case.truth[case.painted], PIXELS, seed)
    held = held_of(labels, seed) if hold else None
    whole = Block.of(case.image[low:high], window=tuple(np.percentile(case.image, (0.5, 99.5))))
    sample = Sample(image=whole.image, core=whole.core, window=whole.window, labels=labels, held=held)
    return ArraySamples(case.image, labelled=(sample,), classes=ClassTable.numbered(int(case.truth.max())))


def held_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """Whole strokes of about a fifth of each class, far from the others."""
    from lithoscope.labels.heldout import held_out
    from lithoscope.labels.painted import Painted

    painted = Painted.of(labels)
    split = held_out([painted], ClassTable.numbered(int(labels.max())), halo=0, seed=seed)
    held = np.zeros(labels.shape, np.bool_)
    if not split.lacking:
        held[tuple(painted.places[split.held[0]].T)] = True
    return held


def run(case: Case, name: str, given: dict, seed: int) -> dict:
    """One method taught by one set of strokes."""
    method = REGISTRY[name]
    settings = dict(given)
    if name == "otsu":
        settings["classes"] = int(case.truth.max())
    if name == "unet":
        settings = {"dimensions": 2, "slices": 1 if case.separate else 3, "seed": seed, **settings}
    if name == "forest":
        settings = {"dimensions": 2 if case.separate else 3, "seed": seed, **settings}
    if settings.get("dimensions") == 3 and case.separate:
        return {}
    samples = samples_of(case, seed, hold=name == "unet")
    start = time.perf_counter()
    made = configured(method, settings).fit(samples)
    taught = time.perf_counter()
    table, window = Confusion(), samples.labelled[0].window
    for z in case.scored:
        reach = made.halo()[0]
        low, high = max(0, z - reach), min(len(case.image), z + reach + 1)
        part = Block.of(case.image[low:high], window=window)
        block = Block(image=part.image, core=(slice(z - low, z - low + 1), *part.core[1:]), window=window, origin=(low, 0, 0))
        table.add(case.truth[z : z + 1], made.predict(block)[block.core])
    end = time.perf_counter()
    iou = {int(k): round(table.iou(k), 4) for k in table.classes}
    story = made.learnt()
    return {
        "case": case.name,
        "method": name,
        "given": given,
        "seed": seed,
        "mean_iou": round(table.mean_iou, 4),
        "iou": iou,
        "fit_seconds": round(taught - start, 1),
        "predict_seconds": round(end - taught, 2),
        "held_out": max(story.get("curves", {}).get("held_out_iou", [float("nan")])),
        "steps": story.get("steps"),
        "best": story.get("best_step"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sets", default="")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the UNets")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = []
    for case in cases():
        if not any(part in case.name for part in asked.sets.split(",")):
            continue
        for title in asked.methods.split(";") if ";" in asked.methods else asked.methods.split(","):
            name, given = {**METHODS, **MORE}[title]
            if name not in REGISTRY:
                continue
            if name == "unet":
                given = {**given, **dict(pair.split("=") for pair in asked.set)}
            for seed in range(asked.seeds if name != "otsu" else 1):
                row = run(case, name, given, seed)
                if row:
                    rows.append({"title": title, **row})
                    print(json.dumps(rows[-1]), flush=True)
    print(table_of(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


def table_of(rows: list[dict]) -> str:
    """Means over the seeds, as a Markdown table."""
    lines = ["| scan | method | mean IoU | by class | fit (s) | predict (s) | seeds |", "|---|---|---|---|---|---|---|"]
    for case, title in dict.fromkeys((r["case"], r["title"]) for r in rows):
        own = [r for r in rows if (r["case"], r["title"]) == (case, title)]
        by_class = " ".join(f"{np.mean([r['iou'].get(k, 0) for r in own]):.3f}" for k in sorted(own[0]["iou"]))
        score = [r["mean_iou"] for r in own]
        lines.append(
            f"| {case} | {title} | {np.mean(score):.3f} ± {np.std(score):.3f} | {by_class} | {np.mean([r['fit_seconds'] for r in own]):.1f}"
            f" | {np.mean([r['predict_seconds'] for r in own]):.2f} | {len(own)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
