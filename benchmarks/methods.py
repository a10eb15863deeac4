"""The product's own table of the methods: two batteries, simulated Berea and electrode, and the phantom, taught by strokes on one slice.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/methods.py --runs FOLDER [--only battery-1501] [--methods otsu,forest] [--seeds 3]

Every run of (scan, method, seed) is kept in FOLDER as it ends and is not done again, so that the table can be made in pieces
(`--minutes 10` begins nothing new after ten); `--table` only prints it, `--write docs/comparing.md` puts it there. A seed is other
strokes, the same for all methods, and the method's own seed. The truth of all voxels that nobody painted scores. Each run is
`lithoscope compare` with one method, in a process of its own: seconds (and processor seconds) of learning and answering together, its
start included in the latter; peak memory of it alone.

The second table is of models taught on one scan and used on another, by `train` and `segment --model`.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.cli.commands.learning import train
from lithoscope.cli.commands.results import measure
from lithoscope.cli.commands.segmenting import segment
from lithoscope.compare import compare
from lithoscope.compare.apart import apart
from lithoscope.errors import LithoscopeError
from lithoscope.job import Report, silent
from methods_scans import DATA, made

SCANS = ("battery-1", "battery-1501", "berea", "electrode", "phantom")
METHODS = ("threshold", "otsu", "watershed", "kmeans", "fuzzy", "forest", "unet", "dino", "dino:head=cnn", "dino:tuning=lora")
TRANSFERS = (("battery-1501", "battery-1"), ("battery-1", "battery-1501"), ("berea", "berea-other"))
BEGIN, END = "<!-- table: methods -->", "<!-- end -->"
TRANSFERRED = ("forest", "unet", "dino")


def one(name: str, method: str, seed: int, source: Path, folder: Path) -> dict[str, Any]:
    """One run: what `compare` says of it."""
    scan = made(name, seed, source, folder)
    line = compare(scan, truth="truth", methods=[method], seeds=[seed], name="table", overwrite=True)["methods"][0]
    keys = ("mean_iou", "iou", "mean_boundary_f1", "seconds", "fit_seconds", "peak_bytes", "gpu_peak_bytes", "class_map", "settings")
    return {"shape": scan.shape, **{k: line.get(k) for k in keys}, "why_not": line.get("missing") or line.get("error")}


def moved(pair: tuple[str, str], method: str, seed: int, source: Path, folder: Path, *, report: Report = silent) -> dict[str, Any]:
    """A model taught on the one scan, and its score on the other."""
    first, other = (made(name, seed, source, folder) for name in pair)
    start = time.perf_counter()
    train([str(first.path)], method=method, model=str(folder / "model"), seed=seed, report=report)
    segment([str(other.path)], model=str(folder / "model"), output="moved", seed=seed, report=report)
    seconds = time.perf_counter() - start
    scores = measure(str(other.path), "moved", truth="truth", report=report)
    return {"shape": other.shape, "mean_iou": scores["mean_iou"], "iou": scores["iou"], "seconds": seconds, "peak_bytes": None}


def kept(file: Path, about: dict[str, Any], work: Any) -> None:
    """Do a run and keep it, unless it is kept already; with processor seconds, and how busy the machine was."""
    if file.exists():
        return
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = work(Path(folder))
        except LithoscopeError as error:
            found = {"mean_iou": None, "why_not": str(error)}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found["processor_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({**about, "load": os.getloadavg()[1], **found}, indent=1), encoding="utf-8")
    partial.replace(file)
    print(file.stem, found["mean_iou"], found.get("why_not") or "", flush=True)


def table(runs: list[dict[str, Any]], transfers: list[dict[str, Any]]) -> str:
    """Both tables, of what is kept."""
    lines = []
    for name in dict.fromkeys(r["scan"] for r in runs):
        own = [r for r in runs if r["scan"] == name]
        ids = sorted({int(i) for r in own for i in r.get("iou") or {} if r["mean_iou"] is not None})
        size = " × ".join(map(str, next((r["shape"] for r in own if r.get("shape")), ())))
        lines += ["", f"### {name}, {size}", "", f"| method | seeds | mean IoU | {' | '.join(f'class {i}' for i in ids)} "]
        lines[-1] += "| seconds | processor, s | peak, MB |"
        lines.append("|---|" + "---|" * (len(ids) + 5))
        lines += [row(m, [r for r in own if r["method"] == m], ids) for m in METHODS if any(r["method"] == m for r in own)]
    if transfers:
        lines += [
            "",
            "### Taught on one scan, used on another",
            "",
            "| taught on | used on | method | seeds | mean IoU |",
            "|---|---|---|---|---|",
        ]
    for pair in dict.fromkeys((r["taught"], r["used"]) for r in transfers):
        for method in TRANSFERRED:
            scores = [r["mean_iou"] for r in transfers if (r["taught"], r["used"], r["method"]) == (*pair, method)]
            scores = [s for s in scores if s is not None]
            if scores:
                lines.append(f"| {pair[0]} | {pair[1]} | {method} | {len(scores)} | {spread(scores)} |")
    return "\n".join(lines)


def row(method: str, own: list[dict[str, Any]], ids: list[int]) -> str:
    """One line: means over the seeds, the score with its standard deviation, and the most memory."""
    done = [r for r in own if r["mean_iou"] is not None]
    if not done:
        return f"| {method} | 0 | {own[0].get('why_not')} |" + " |" * (len(ids) + 3)
    classes = " | ".join(f"{np.mean([r['iou'].get(str(i)) or 0.0 for r in done]):.3f}" for i in ids)
    seconds, processor = (np.mean([r[key] for r in done]) for key in ("seconds", "processor_seconds"))
    peak = max(r["peak_bytes"] for r in done) / 1e6
    score = spread([r["mean_iou"] for r in done])
    return f"| {method} | {len(done)} | {score} | {classes} | {seconds:.1f} | {processor:.1f} | {peak:.0f} |"


def spread(scores: list[float]) -> str:
    """The mean, and the standard deviation where there is one."""
    return f"{np.mean(scores):.3f}" + (f" ± {np.std(scores, ddof=1):.3f}" if len(scores) > 1 else "")


def read(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Every run of a kind that is kept."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted((folder / kind).glob("*.json"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--runs", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--only", default=",".join(SCANS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    parser.add_argument("--no-transfer", action="store_true", help="leave the second table out")
    parser.add_argument("--write", type=Path, help="also put the tables into this page, between its marks")
    parser.add_argument("--table", action="store_true", help="only print what is kept")
    given = parser.parse_args()
    source = Path(os.environ.get("LITHOSCOPE_SHARED_DATA", default))
    until = time.monotonic() + 60 * given.minutes
    for kind in ("compared", "transferred"):
        (given.runs / kind).mkdir(parents=True, exist_ok=True)
    methods, scans = given.methods.split(","), given.only.split(",")
    assert set(scans) <= set(DATA), f"the scans are {', '.join(SCANS)}"
    todo = [] if given.table else [(m, name, seed) for m in methods for name in scans for seed in range(given.seeds)]
    for m, name, seed in todo:
        if time.monotonic() < until:
            file = given.runs / "compared" / f"{name} {m.replace(':', ' ')} {seed}.json"
            about = {"scan": name, "method": m, "seed": seed}
            kept(file, about, lambda folder, m=m, name=name, seed=seed: one(name, m, seed, source, folder))
    pairs = (
        []
        if given.table or given.no_transfer
        else [(m, p, s) for m in TRANSFERRED if m in methods for p in TRANSFERS for s in range(given.seeds)]
    )
    for m, pair, seed in pairs:
        if time.monotonic() < until:
            file = given.runs / "transferred" / f"{pair[0]} {pair[1]} {m} {seed}.json"
            about = {"taught": pair[0], "used": pair[1], "method": m, "seed": seed}
            kept(file, about, lambda folder, m=m, pair=pair, seed=seed: apart(moved, pair, m, seed, source, folder, report=silent))
    found = table(read(given.runs, "compared"), read(given.runs, "transferred"))
    print(found)
    if given.write:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        given.write.write_text(f"{before}{BEGIN}\n{found.strip()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
