"""Work done in a process of its own, so that the memory it takes is its own, and a crash of it ends nothing else."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from lithoscope.errors import LithoscopeError
from lithoscope.job import Cancelled, Progress, Report

PATIENCE = 5.0
"""Seconds that a cancelled process has to end by itself."""
_LISTEN = 0.2
_SAMPLE = 0.02


class CrashedError(LithoscopeError, ChildProcessError):
    """A process that ended without an answer."""


class PeakMemory:
    """The most resident memory (bytes) of this process while the block runs, above what it was before, and that of the GPU."""

    def __enter__(self) -> "PeakMemory":
        import psutil

        self._process = psutil.Process()
        self._before = int(self._process.memory_info().rss)
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE):
            self.bytes = max(self.bytes, int(self._process.memory_info().rss) - self._before)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.bytes = max(self.bytes, int(self._process.memory_info().rss) - self._before)

    @property
    def gpu_bytes(self) -> int:
        """The most that torch took on a GPU; 0 where it took none."""
        torch: Any = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_available():
            return 0
        return int(torch.cuda.max_memory_allocated())


def apart(work: Callable[..., dict[str, Any]], *arguments: Any, report: Report) -> dict[str, Any]:
    """`work(*arguments, report=…)` done in a fresh process: its answer, or its error raised here. `Cancelled` ends the process."""
    from multiprocessing import get_context

    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work, arguments), name="method")
    process.start()
    theirs.close()
    try:
        last = Progress(0, 0, "starting")
        while True:
            if not ours.poll(_LISTEN):
                report(last)
                continue
            try:
                kind, content = ours.recv()
            except EOFError:
                process.join()
                raise CrashedError(
                    f"its process ended without an answer (status {process.exitcode}); it may have run out of memory"
                ) from None
            if kind == "progress":
                last = content
                report(content)
            elif kind == "done":
                answer: dict[str, Any] = content
                return answer
            else:
                raise content
    finally:
        _end(ours, process)


def _end(ours: Connection, process: Any) -> None:
    """Ask the process to stop, and stop it."""
    with suppress(OSError):
        ours.send("cancel")
    process.join(PATIENCE)
    if process.is_alive():
        process.terminate()
        process.join()
    ours.close()


def _serve(theirs: Connection, work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> None:
    """The other process: works, tells of its progress, answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def report(progress: Progress) -> None:
        if theirs.poll():
            raise Cancelled
        theirs.send(("progress", progress))

    try:
        theirs.send(("done", work(*arguments, report=report)))
    except (LithoscopeError, Cancelled) as error:
        theirs.send(("failed", error))
    except Exception as error:  # the process's edge: whatever it is, the parent hears of it in one line
        traceback.print_exc()
        theirs.send(("failed", CrashedError(f"{type(error).__name__}: {' '.join(str(error).split())}")))
    finally:
        theirs.close()
