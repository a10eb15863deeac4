"""Measures of a whole result by the command line: seconds, and the most memory of the process above an idle import.

    python benchmarks/measuring.py [--edge 1024] [--scan KEPT.zarr] [--json FILE]

The result is three phases of a random field with specks, 256³ voxels that repeat without a seam, so that components run through the
whole volume; it is read from its compressed Zarr. That blockwise numbers equal those of the whole volume at once is a test
(`tests/core/test_measure.py`, `tests/core/test_thickness.py`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from cleaning import phases
from harness import Row, bound, table
from lithoscope.labels.imports import import_labels
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan

TILE = 256
BUDGET = 2000.0
"""Megabytes."""
KINDS = {
    "fractions, profiles, intervals, correlation": [],
    "the same, connection and surface": ["--structure"],
    "the same, local thickness": ["--thickness"],
}


def made(target: Path, edge: int) -> None:
    """A scan whose result "truth" holds the phases; its grey values are the phases' numbers."""
    file = target.with_suffix(".npy")
    volume = np.lib.format.open_memmap(file, "w+", np.uint8, (edge,) * 3)
    tile, repeats = phases(min(edge, TILE)), -(-edge // TILE)
    for z in range(0, edge, TILE):
        volume[z : z + TILE] = np.tile(tile, (1, repeats, repeats))[: edge - z, :edge, :edge]
    volume.flush()
    scan = import_scan(file, target, field_of_view="none")
    import_labels(scan, file, "truth", kind="truth", value_map={1: 1, 2: 2, 3: 3})
    file.unlink()


def watched(words: list[str]) -> tuple[float, float, str]:
    """Seconds, the most resident MB, and the output of a Python process."""
    start, peak = time.perf_counter(), 0
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        told = psutil.Process(process.pid)
        # The answer is one object that is printed at the end, after which nothing grows.
        while process.poll() is None:
            try:
                peak = max(peak, told.memory_info().rss)
            except psutil.Error:
                break
            if time.perf_counter() - start > 0.5:
                time.sleep(0.05)
            ready = process.stdout is not None and _waiting(process.stdout)
            if ready:
                break
        assert process.stdout is not None
        output = process.stdout.read()
    return time.perf_counter() - start, peak / 1e6, output


def _waiting(stream) -> bool:
    import select

    return bool(select.select([stream], [], [], 0)[0])


def rows(scan: Path) -> list[Row]:
    _, idle, _ = watched(["-c", "import lithoscope.cli.app, numpy, zarr, time; time.sleep(2)"])
    size = " × ".join(map(str, Scan.open(scan, readonly=True).shape))
    found = []
    for name, options in KINDS.items():
        seconds, peak, output = watched(["-m", "lithoscope", "measure", str(scan), "truth", *options, "--json"])
        measured = json.loads(output)
        note = f"{seconds:.0f} s"
        if "thickness" in measured:
            note += f"; thickness in {measured['thickness']['blocks']} of {measured['thickness']['of_blocks']} blocks"
        if "structure" in measured:
            note += f"; {measured['structure']['connected']['1']['components']:,} pores apart"
        found.append(bound(f"{name}, {size}", peak - idle, BUDGET, "MB", note))
        print(found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", type=int, default=1024)
    parser.add_argument("--scan", type=Path, help="where the scan is kept, or made if it is not there")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scan = given.scan or Path(folder) / "rock.zarr"
        if not scan.exists():
            made(scan, given.edge)
        found = rows(scan)
    print(table("Measuring a result", found))
    if given.json:
        given.json.write_text(json.dumps([vars(row) for row in found], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
