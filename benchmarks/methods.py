"""The product's own table of the methods: battery, simulated Berea and electrode, and the phantom, with strokes on one slice.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/methods.py [--only battery-1501] [--methods otsu,forest] [--seeds 3] [--html FOLDER]

Strokes are those of a brush that stays inside the phases, about 600 voxels a class on the first slice; the truth of all other
voxels scores. `lithoscope compare SCAN --truth truth --seeds 3` makes the same table of any scan.
"""

import argparse
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from lithoscope.classes import ClassTable
from lithoscope.compare import compare
from lithoscope.labels.imports import import_labels
from lithoscope.labels.strokes import strokes
from lithoscope.report import report_page
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan
from lithoscope.volume.simulate import Scanner, scan_of
from painted import strokes as brushed

Pair = tuple[np.ndarray, np.ndarray]
PIXELS = 600


def _battery(folder: Path, numbers: tuple[int, ...]) -> Pair:
    place = folder / "labelled" / "battery"
    grey, truth = ([tifffile.imread(place / f"raw_{n}{end}.tif") for n in numbers] for end in ("", "_label"))
    return np.stack(grey), np.stack(truth) + 1


def _berea(folder: Path) -> Pair:
    with zipfile.ZipFile(folder / "geometry" / "berea_400.zip") as archive:
        rock = tifffile.imread(io.BytesIO(archive.read("berea.tif")))[150:250, 72:328, 72:328]
    scan = scan_of(rock, {0: 80.0, 255: 160.0}, scanner=Scanner(noise=30, rings=0, cupping=0, circular=False))
    return scan, np.where(rock == 0, 1, 2)


def _electrode(folder: Path) -> Pair:
    rock = tifffile.imread(folder / "geometry" / "electrode.tiff")[:64]
    scan = scan_of(rock, {0: 60.0, 85: 110.0, 170: 160.0}, scanner=Scanner(noise=30, rings=0, cupping=0, circular=False))
    return scan, rock // 85 + 1


def _phantom(folder: Path) -> Pair:
    place = folder / "labelled" / "phantom"
    exact = tifffile.imread(place / "phantom_gt.tif")
    return tifffile.imread(place / "phantom_recfbp.tif"), np.digitize(exact, [0.1, 0.25, 0.6]) + 1


DATA: dict[str, tuple[Callable[[Path], Pair], bool]] = {
    "battery-1": (lambda folder: _battery(folder, (1, 200, 400)), True),
    "battery-1501": (lambda folder: _battery(folder, (1501, 1502, 1503, 1504)), True),
    "berea": (_berea, False),
    "electrode": (_electrode, False),
    "phantom": (_phantom, True),
}
"""How each scan and its truth are made, and whether its slices are apart."""


def made(name: str, source: Path, folder: Path) -> Scan:
    """The scan with its truth as the result "truth" and strokes on its first slice (the middle one of a volume)."""
    read, apart = DATA[name]
    grey, truth = read(source)
    truth = truth.astype(np.uint8)
    np.save(folder / f"{name}.npy", grey)
    np.save(folder / f"{name}-truth.npy", truth)
    scan = import_scan(folder / f"{name}.npy", folder / f"{name}.zarr", separate_slices=apart, field_of_view="none")
    ids = {int(i): int(i) for i in np.unique(truth)}
    import_labels(scan, folder / f"{name}-truth.npy", "truth", kind="truth", value_map=ids)
    z = 0 if apart else len(truth) // 2
    painted = brushed(truth[z], PIXELS, 0)[None]
    with strokes(scan) as store:
        store.write(Box((z, 0, 0), (z + 1, *scan.shape[1:])), painted > 0, painted)
        store.flush()
    return scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--only", default=",".join(DATA))
    parser.add_argument("--methods")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--html", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    source = Path(os.environ.get("LITHOSCOPE_SHARED_DATA", default))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only.split(","):
            scan = made(name, source, Path(folder))
            methods = given.methods.split(",") if given.methods else None
            answer = compare(scan, truth="truth", methods=methods, seeds=range(given.seeds))
            found[name] = answer["methods"]
            classes = ClassTable.from_json(answer["classes"])
            print(f"\n### {name}, {' × '.join(map(str, scan.shape))}\n")
            print("| method | mean IoU | " + " | ".join(c.name for c in classes) + " | seconds | peak MB |")
            print("|---|" + "---|" * (len(classes) + 3))
            for line in answer["methods"]:
                if line["mean_iou"] is None:
                    print(f"| {line['name']} | {line.get('missing') or line.get('error')} |" + " |" * (len(classes) + 2))
                    continue
                cells = " | ".join(f"{line['iou'].get(str(c.id)) or 0:.3f}" for c in classes)
                spread = "" if line["mean_iou_sd"] is None else f" ± {line['mean_iou_sd']:.3f}"
                score = f"{line['mean_iou']:.3f}{spread}"
                print(f"| {line['name']} | {score} | {cells} | {line['seconds']:.1f} | {line['peak_bytes'] / 1e6:.0f} |", flush=True)
            if given.html is not None:
                report_page(scan, [], given.html / f"{name}.html", comparison="comparison", overwrite=True)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
