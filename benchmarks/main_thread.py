"""The window while a whole-volume job runs: gaps of the main thread, and how long a slice change takes (DESIGN §7).

Needs napari, Lithoscope installed, and a screen (or xvfb-run)."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness import Row, at_most, bound, main
from lithoscope._napari.session import session_of
from lithoscope.cli.commands import command


def slice_changes(viewer: Any, application: Any, seconds: float, until: Callable[[], bool] | None = None) -> tuple[list[float], float]:
    """The milliseconds of slice changes over some seconds (or until a job is over), and the longest gap of the event loop."""
    from qtpy.QtCore import QTimer

    beats = [time.perf_counter()]
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start()
    taken = []
    planes = int(viewer.dims.nsteps[0])
    begin = time.perf_counter()
    step = 0
    while time.perf_counter() - begin < seconds and not (until is not None and until()):
        step += 1
        start = time.perf_counter()
        viewer.dims.set_current_step(0, (step * 7) % planes)
        taken.append((time.perf_counter() - start) * 1000)
        pause = time.perf_counter() + 0.05
        while time.perf_counter() < pause:
            application.processEvents()
            time.sleep(0.001)
    timer.stop()
    changes = np.array(taken)
    gaps = np.diff(beats) * 1000
    return list(changes), float(gaps.max())


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
