"""Side by side with the peers: each area's file measures both in one run, prints a table and writes JSON.

    python benchmarks/otsu.py [--json results.json] [--quick]

A row is a ratio against a peer measured beside it, or a figure against a fixed bound; a figure that falls short is printed
as it is. Nothing here is a test.
"""

import argparse
import json
import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is peer ÷ ours for "faster" budgets, ours ÷ peer for "at most" ones."""

    work: str
    peer: str
    peer_value: float
    ours_value: float
    unit: str
    ratio: float
    budget: str
    met: bool
    note: str = ""


def faster(work: str, peer: str, peer_seconds: float, our_seconds: float, at_least: float, note: str = "") -> Row:
    """A row whose budget is to be so many times faster than the peer."""
    ratio = peer_seconds / our_seconds
    return Row(work, peer, peer_seconds, our_seconds, "s", ratio, f"≥ {at_least:g} × faster", ratio >= at_least, note)


def at_most(work: str, peer: str, peer_value: float, our_value: float, times: float, unit: str = "s", note: str = "") -> Row:
    """A row whose budget is to take at most so many times what the peer takes."""
    ratio = our_value / peer_value
    return Row(work, peer, peer_value, our_value, unit, ratio, f"≤ {times:g} × peer", ratio <= times, note)


def bound(work: str, ours: float, limit: float, unit: str, note: str = "") -> Row:
    """A row with a fixed bound and no peer."""
    return Row(work, "–", float("nan"), ours, unit, ours / limit, f"≤ {limit:g} {unit}", ours <= limit, note)


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """The least wall time of a few runs, the first of which also warms caches."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def processor_seconds(work: Callable[[], Any], repeats: int = 2) -> float:
    """The least processor time of a few runs, of all threads of this process: what it takes also where others compute meanwhile."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


class PeakMemory:
    """The most resident memory of this process and its children while the block runs, above what it was before (bytes)."""

    def __enter__(self) -> "PeakMemory":
        self._stop = threading.Event()
        self._before = _resident()
        self.peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, _resident() - self._before)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _resident() -> int:
    import psutil

    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def main(title: str, measure: Callable[[bool], list[Row]]) -> None:
    """Run an area: `measure(quick)` gives its rows."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="smaller data: to see that it runs, not what it takes")
    arguments = parser.parse_args()
    rows = measure(arguments.quick)
    print(table(title, rows))
    if arguments.json:
        about = {"title": title, "cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        arguments.json.write_text(json.dumps({**about, "quick": arguments.quick, "rows": [asdict(row) for row in rows]}, indent=1))


def table(title: str, rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        f"### {title} ({os.cpu_count()} cores)",
        "",
        "| work | peer | peer's | ours | ratio | budget | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        peer = "–" if row.peer_value != row.peer_value else f"{row.peer_value:.4g} {row.unit}"
        note = f" ({row.note})" if row.note else ""
        met = "yes" if row.met else "**no**"
        lines.append(
            f"| {row.work}{note} | {row.peer} | {peer} | {row.ours_value:.4g} {row.unit} | {row.ratio:.3g} | {row.budget} | {met} |"
        )
    return "\n".join(lines)
