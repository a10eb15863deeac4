"""Measures of a whole result by the command line: seconds, and the most memory of the process above an idle import.

    python benchmarks/measuring.py [--edge 1024] [--scan KEPT.zarr] [--json FILE]

The result is the exact truth of the simulated rock: three phases inside a circular field of view, read from its compressed Zarr. That
blockwise numbers equal those of the whole volume at once is a test (`tests/core/test_measure.py`, `tests/core/test_thickness.py`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from harness import Row, bound, table
from lithoscope.sample import simulate
from lithoscope.volume.scan import Scan

BUDGET = 2000.0
"""Megabytes."""
KINDS = {
    "fractions, profiles, intervals, correlation": [],
    "the same, connection and surface": ["--structure"],
    "the same, local thickness": ["--thickness"],
}


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
            simulate(scan, shape=(given.edge,) * 3)
        found = rows(scan)
    print(table("Measuring a result", found))
    if given.json:
        given.json.write_text(json.dumps([vars(row) for row in found], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
