"""The window while a whole-volume job runs: gaps of the main thread, and how long a slice change takes (DESIGN §7).

Needs napari, Lithoscope installed, and a screen (or xvfb-run)."""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness import Row, at_most, bound, main
from lithoscope._napari.session import session_of
from lithoscope.cli.commands import command


class Pulse:
    """How long an event waits until the window takes it up: a thread posts one every 5 ms, as a mouse or a key would.

    A timer would not do: Qt lets timers wait while there is something to draw, events of the person it does not.
    """

    def __init__(self) -> None:
        from qtpy.QtCore import QObject, Qt, Signal

        class Poster(QObject):
            posted = Signal(float)

        self.waits: list[float] = []
        self._poster = Poster()
        self._poster.posted.connect(self._taken_up, Qt.ConnectionType.QueuedConnection)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._post, daemon=True)

    def _post(self) -> None:
        while not self._over.wait(0.005):
            self._poster.posted.emit(time.perf_counter())

    def _taken_up(self, posted: float) -> None:
        self.waits.append((time.perf_counter() - posted) * 1000)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def slice_changes(viewer: Any, application: Any, seconds: float, until: Callable[[], bool] | None = None) -> tuple[list[float], float]:
    """The milliseconds of slice changes over some seconds (or until a job is over), and the longest that an event waited."""
    taken = []
    planes = int(viewer.dims.nsteps[0])
    begin = time.perf_counter()
    step = 0
    with Pulse() as pulse:
        while time.perf_counter() - begin < seconds and not (until is not None and until()):
            step += 1
            start = time.perf_counter()
            viewer.dims.set_current_step(0, (step * 7) % planes)
            taken.append((time.perf_counter() - start) * 1000)
            pause = time.perf_counter() + 0.05
            while time.perf_counter() < pause:
                application.processEvents()
                time.sleep(0.001)
    return taken, max(pulse.waits)


def measure(quick: bool) -> list[Row]:
    import napari
    from qtpy.QtWidgets import QApplication

    shape = (96, 192, 192) if quick else (512, 640, 640)
    with tempfile.TemporaryDirectory() as name:
        scan = Path(name) / "rock.zarr"
        command("sample")(str(scan), shape=shape)
        viewer = napari.Viewer()
        application = QApplication.instance()
        for dock in ("Scan", "Segment"):
            viewer.window.add_plugin_dock_widget("lithoscope", dock)
        session = session_of(viewer)
        session.open(scan)
        wait = time.perf_counter() + 60
        while session.scan is None and time.perf_counter() < wait:
            application.processEvents()
        slice_changes(viewer, application, 2)
        idle, _ = slice_changes(viewer, application, 3 if quick else 8)
        over: list[str] = []
        arguments = {"scans": [str(scan)], "method": "fuzzy", "settings": {"classes": 3, "spatial": True}, "output": "bench"}
        session.run("segment", arguments, "bench", lambda job: over.append(job.state))
        busy, gap = slice_changes(viewer, application, 120, lambda: bool(over))
        viewer.close()
    note = f"{len(busy)} slice changes while spatial fuzzy C-means ran over {shape[0]} × {shape[1]} × {shape[2]}: {over}"
    return [
        bound("longest gap of the main thread while a job runs", gap, 100, "ms", note),
        at_most(
            "slice change p95 while a job runs", "the same, idle", float(np.percentile(idle, 95)), float(np.percentile(busy, 95)), 1.5, "ms"
        ),
    ]


if __name__ == "__main__":
    main("Main thread", measure)
