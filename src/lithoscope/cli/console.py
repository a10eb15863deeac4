"""What a person sees at the terminal: a progress bar on standard error, results on standard output, errors in one line."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lithoscope.job import Cancelled, Progress, Report


@contextmanager
def reporting(title: str) -> Iterator[Report]:
    """A report that draws a bar (at a terminal) or a line every tenth (in a log), and turns Ctrl-C into a cancel."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    listening = threading.current_thread() is threading.main_thread()
    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)} if listening else {}
    show = _Bar(title) if sys.stderr.isatty() else _Log(title)

    def report(progress: Progress) -> None:
        if asked.is_set():
            raise Cancelled
        show(progress)

    try:
        yield report
    finally:
        show.close()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Bar:
    """A live bar with the time that is left, drawn once there is something to show."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._drawn: Any = None
        self._task: Any = None

    def __call__(self, progress: Progress) -> None:
        if self._drawn is None:
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
            self._drawn = Bar(*columns, console=Console(stderr=True), transient=True)
            self._drawn.start()
            self._task = self._drawn.add_task(self._title, total=None)
        description = f"{self._title} · {progress.message}" if progress.message else self._title
        self._drawn.update(self._task, completed=progress.done, total=progress.total or None, description=description)

    def close(self) -> None:
        """Take the bar away."""
        if self._drawn is not None:
            self._drawn.stop()


class _Log:
    """A line for each tenth of the work, and none for work of under two seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._tenth = 0

    def __call__(self, progress: Progress) -> None:
        tenth = int(progress.fraction * 10)
        if tenth > self._tenth and time.monotonic() - self._started > 2:
            self._tenth = tenth
            print(f"{self._title}: {tenth * 10} %", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to take away."""


def show(result: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    """Print a command's answer: one JSON object, or words."""
    print(json.dumps(result, ensure_ascii=False) if as_json else text(result), flush=True)


def complain(message: str) -> None:
    """Print an error as the one line that it is."""
    print(f"lithoscope: {' '.join(message.split())}", file=sys.stderr, flush=True)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in aligned columns."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def size(count: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
