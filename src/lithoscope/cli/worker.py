"""The worker process: runs commands one after another for a window that must never wait or fall with them.

It speaks JSON, one object a line: requests and cancels come on standard input, events go to standard output.

    → {"id": 7, "command": "segment", "arguments": {…}}      → {"id": 7, "cancel": true}      → {"detach": true}
    ← {"id": 7, "event": "started"}
    ← {"id": 7, "event": "progress", "done": 3, "total": 40, "message": "otsu"}
    ← {"id": 7, "event": "done", "result": {…}}
    ← {"id": 7, "event": "failed", "kind": "error" | "cancelled" | "bug", "message": "one line"}

When standard input ends, the running job is cancelled and the process ends; after `detach` it finishes what it was given.
"""

import json
import os
import queue
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from lithoscope.errors import LithoscopeError
from lithoscope.job import Cancelled, Progress

EVENTS_A_SECOND = 20
"""More progress than this is not sent."""


class Worker:
    """A queue of jobs, fed by one thread and worked off by the main one."""

    def __init__(self, requests: TextIO, events: TextIO) -> None:
        self._requests = requests
        self._events = events
        self._lock = threading.Lock()
        self._jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled: set[Any] = set()
        self._detached = False
        self._abandoned = False

    def run(self) -> None:
        """Work until the requests end."""
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while (job := self._jobs.get()) is not None:
            if not self._abandoned:
                self._work(job)

    def _listen(self) -> None:
        for line in self._requests:
            try:
                request = json.loads(line)
            except ValueError:
                self._send({"event": "failed", "kind": "bug", "message": f"not a JSON object: {line[:80]!r}"})
                continue
            if request.get("detach"):
                self._detach()
            elif request.get("cancel"):
                self._cancelled.add(request["id"])
            else:
                self._jobs.put(request)
        self._abandoned = not self._detached
        self._jobs.put(None)

    def _detach(self) -> None:
        """Finish what was given; nobody listens any more, and a library that prints must not fail for it."""
        self._detached = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for place in (1, 2):
            os.dup2(nowhere, place)
        os.close(nowhere)

    def _work(self, job: dict[str, Any]) -> None:
        id = job.get("id")
        sent = 0.0

        def report(progress: Progress) -> None:
            nonlocal sent
            if self._abandoned or id in self._cancelled:
                raise Cancelled
            now = time.monotonic()
            if now - sent >= 1 / EVENTS_A_SECOND or progress.done >= progress.total or progress.details:
                sent = now
                about = {"done": progress.done, "total": progress.total, "message": progress.message}
                self._send({"id": id, "event": "progress", **about, **({"details": progress.details} if progress.details else {})})

        try:
            report(Progress(0, 0, "starting"))
            self._send({"id": id, "event": "started"})
            from lithoscope.cli.commands import command

            result = command(job["command"])(**job.get("arguments", {}), report=report)
            self._send({"id": id, "event": "done", "result": result})
        except Cancelled:
            self._send({"id": id, "event": "failed", "kind": "cancelled", "message": "cancelled"})
        except (LithoscopeError, MemoryError, OSError) as error:
            self._send({"id": id, "event": "failed", "kind": "error", "message": _line(error)})
        except Exception as error:  # the worker's edge: whatever it is, the window hears of it
            traceback.print_exc()
            self._send({"id": id, "event": "failed", "kind": "bug", "message": _line(error)})
        finally:
            self._cancelled.discard(id)

    def _send(self, event: dict[str, Any]) -> None:
        with self._lock, suppress(OSError, ValueError):  # of a pipe that nobody reads Windows says "invalid argument"
            self._events.write(json.dumps(event) + "\n")
            self._events.flush()


def _line(error: BaseException) -> str:
    """An error in one line; memory that ran out says so."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) and not isinstance(error, LithoscopeError):
        return f"not enough memory: {text or 'close other programs, or work on a box'}"
    return text or type(error).__name__


def give_way() -> None:
    """Let whatever else the machine does go first: above all the window that asked.

    Linux weighs whole sessions against each other before it looks at their processes ("autogroup"), and the worker has a session of its
    own; so its session gives way, too.
    """
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(10)
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():  # else it is somebody else's session, too
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text("10", encoding="ascii")


def main() -> None:
    """Serve standard input and output, keeping what libraries print away from the protocol."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    give_way()
    requests = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - standard input, as UTF-8 on every system
    Worker(requests, events).run()
    with suppress(OSError, ValueError):  # nobody may be left to read it
        events.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
