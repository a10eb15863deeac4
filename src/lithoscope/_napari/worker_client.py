"""The window's end of the worker process: it queues jobs, follows their progress, and outlives their crashes.

The worker (`python -m lithoscope.cli.worker`) speaks JSON lines. It is started with the first job, kept warm, and started again
after it ended, for whatever reason. A job that takes it down fails; napari and the jobs that wait do not.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Any, Literal

from qtpy.QtCore import QObject, QTimer, Signal

State = Literal["waiting", "running", "done", "failed", "cancelled"]

GRACE_S = 5.0
"""How long a cancelled job may take to reach its next report before the worker is ended."""

COMMAND = (sys.executable, "-m", "lithoscope.cli.worker")


@dataclass(eq=False)
class Job:
    """One request to the worker and how it fares."""

    id: int
    command: str
    arguments: dict[str, Any]
    title: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    """What it last told beside how far it is: a training's curves."""
    cancelling: bool = False
    began: float = 0.0

    @property
    def fraction(self) -> float:
        """The part that is done, 0 to 1; 0 while the total is not known."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def seconds_left(self, now: float) -> float | None:
        """An estimate once a second has passed and something is done."""
        spent = now - self.began
        if self.state != "running" or spent < 1.0 or not 0 < self.done < self.total:
            return None
        return spent * (self.total - self.done) / self.done


class WorkerClient(QObject):
    """Jobs of one viewer, one at a time, in a process of their own."""

    changed = Signal(object)
    """A job was queued, started, or got further."""
    finished = Signal(object)
    """A job is done, failed or cancelled."""

    _spoke = Signal(int, str)
    _ended = Signal(int, int, str)

    def __init__(self, parent: QObject | None = None, command: Sequence[str] = COMMAND) -> None:
        super().__init__(parent)
        self._command = list(command)
        self._ids = count(1)
        self._queue: deque[Job] = deque()
        self.current: Job | None = None
        self._process: subprocess.Popen[str] | None = None
        self._generation = 0
        self._kill_timer = QTimer(self)
        self._kill_timer.setSingleShot(True)
        self._kill_timer.timeout.connect(self.kill)
        self._spoke.connect(self._on_line)
        self._ended.connect(self._on_ended)

    @property
    def jobs(self) -> list[Job]:
        """The running job and those that wait."""
        return ([self.current] if self.current else []) + list(self._queue)

    @property
    def pid(self) -> int | None:
        """The worker's process id while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def submit(self, command: str, arguments: dict[str, Any], title: str) -> Job:
        """Queue a job."""
        job = Job(next(self._ids), command, arguments, title)
        self._queue.append(job)
        self.changed.emit(job)
        self._next()
        return job

    def cancel(self, job: Job) -> None:
        """Ask the job to end at its next report; after five seconds the process is ended."""
        if job in self._queue:
            self._queue.remove(job)
            self._close_job(job, "cancelled", "cancelled before it began")
        elif job is self.current and not job.cancelling:
            job.cancelling = True
            job.message = "cancelling"
            self._send({"id": job.id, "cancel": True})
            self._kill_timer.start(int(GRACE_S * 1000))
            self.changed.emit(job)

    def kill(self) -> None:
        """End the worker process at once; the running job fails, or is cancelled if that was asked."""
        if self._process is not None:
            self._process.kill()

    def close(self, *, finish: bool) -> None:
        """The window closes: let the running job finish in the background, or end it."""
        self._queue.clear()
        self._generation += 1
        process, self._process = self._process, None
        self._kill_timer.stop()
        if process is None or process.poll() is not None:
            return
        job, self.current = self.current, None
        if job is not None and finish:
            _write(process, {"detach": True})
        elif job is not None:
            _write(process, {"id": job.id, "cancel": True})
        _close(process.stdin)
        if job is not None and not finish:
            threading.Thread(target=_end, args=(process,), daemon=False).start()

    def _start(self) -> None:
        self._generation += 1
        environment = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8")
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            creationflags=flags,
            start_new_session=os.name == "posix",
        )
        threading.Thread(target=self._listen, args=(self._generation, self._process), daemon=True, name="lithoscope worker").start()

    def _listen(self, generation: int, process: "subprocess.Popen[str]") -> None:
        """In a thread: pass on what the worker says until it ends."""
        assert process.stdout is not None
        assert process.stderr is not None
        last: deque[str] = deque(maxlen=20)
        errors = threading.Thread(target=_collect, args=(process.stderr, last), daemon=True)
        errors.start()
        try:
            for line in process.stdout:
                self._spoke.emit(generation, line)
            code = process.wait()
            errors.join(1.0)
            self._ended.emit(generation, code, "".join(last))
        except RuntimeError:  # the Qt object went with its window
            process.wait()
        finally:
            _close(process.stdout)

    def _next(self) -> None:
        if self.current is not None or not self._queue:
            return
        job = self.current = self._queue.popleft()
        job.state, job.began, job.message = "running", time.monotonic(), "starting"
        try:
            if self.pid is None:
                self._start()
            self._send({"id": job.id, "command": job.command, "arguments": job.arguments})
        except OSError as error:
            self.current = None
            self._close_job(job, "failed", f"the worker process could not be started: {error.strerror or error}")
            return
        self.changed.emit(job)

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is not None:
            _write(self._process, message)

    def _on_line(self, generation: int, line: str) -> None:
        job = self.current
        if generation != self._generation or job is None:
            return
        try:
            event = json.loads(line)
        except ValueError:
            return  # a library printed something
        if not isinstance(event, dict) or event.get("id") != job.id:
            return
        kind = event.get("event")
        if kind == "progress":
            job.done, job.total = int(event.get("done", 0)), int(event.get("total", 0))
            job.details = event.get("details") or job.details
            if not job.cancelling:
                job.message = str(event.get("message", ""))
            self.changed.emit(job)
        elif kind == "done":
            job.result = event.get("result") or {}
            self._release(job, "done", "")
        elif kind == "failed":
            cancelled = event.get("kind") == "cancelled"
            self._release(job, "cancelled" if cancelled else "failed", str(event.get("message", "")))

    def _on_ended(self, generation: int, code: int, errors: str) -> None:
        if generation != self._generation:
            return
        self._process = None
        job = self.current
        if job is None:
            return
        if job.cancelling:
            self._release(job, "cancelled", "cancelled")
        else:
            self._release(job, "failed", _obituary(code, errors))

    def _release(self, job: Job, state: State, message: str) -> None:
        self.current = None
        self._kill_timer.stop()
        self._close_job(job, state, message)
        self._next()

    def _close_job(self, job: Job, state: State, message: str) -> None:
        job.state, job.message = state, message
        self.finished.emit(job)


def _write(process: "subprocess.Popen[str]", message: dict[str, Any]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
    except (OSError, ValueError):
        return  # it has ended; the listener says so


def _close(pipe: IO[str] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:
        return


def _collect(pipe: IO[str], last: "deque[str]") -> None:
    """In a thread: keep the end of what the worker writes to standard error."""
    try:
        last.extend(pipe)
    except ValueError:
        return
    finally:
        _close(pipe)


def _end(process: "subprocess.Popen[str]") -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _obituary(code: int, errors: str) -> str:
    """Why the worker ended, in one line."""
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        if name in ("SIGKILL", "SIGTERM"):
            return f"the worker process was ended from outside ({name}), perhaps for want of memory"
        return f"the worker process crashed ({name})"
    tail = errors.strip().splitlines()
    return f"the worker process ended (status {code}){': ' + tail[-1] if tail else ''}"
