"""The window while a whole-volume job runs: gaps of the main thread, and how long a slice change takes (DESIGN §7).

Beside it the same window of napari alone, an image and two label layers in memory, on the same planes: idle, and while the same job
runs in a process of its own that it knows nothing of. Where OpenGL is computed by the processor, drawing a window of that size takes
most of what an event waits, with or without Lithoscope; and what the machine takes from a window when both cores are busy, it takes
from napari alone, too.

Needs napari, Lithoscope installed, and a screen (or xvfb-run)."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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


class Drawing:
    """How long the window takes for each frame: what Qt does for one request to update, its OpenGL and our layers included."""

    def __init__(self, window: Any) -> None:
        from qtpy.QtCore import QEvent

        self.taken: list[float] = []
        handle = type(window).event

        def timed(itself: Any, event: Any) -> Any:
            if event.type() != QEvent.Type.UpdateRequest:
                return handle(itself, event)
            start = time.perf_counter()
            try:
                return handle(itself, event)
            finally:
                self.taken.append((time.perf_counter() - start) * 1000)

        type(window).event = timed

    def median(self) -> float:
        """The median of the frames since it was last asked, in milliseconds."""
        found = float(np.median(self.taken)) if self.taken else float("nan")
        self.taken.clear()
        return found


def slice_changes(
    viewer: Any, application: Any, seconds: float, until: Callable[[], bool] | None = None
) -> tuple[list[float], npt.NDArray[np.float64]]:
    """The milliseconds of slice changes over some seconds (or until a job is over), and how long events waited."""
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
    return taken, np.array(pulse.waits)


def bare(
    shape: tuple[int, int, int], size: tuple[int, int], seconds: float, beside: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Waits of napari alone, in a window as large, with as many layers: idle, and while the command `beside` runs; its median frame."""
    import napari
    from qtpy.QtWidgets import QApplication, QWidget

    viewer = napari.Viewer()
    application = QApplication.instance()
    drawing = Drawing(viewer.window._qt_window)
    viewer.add_image(np.random.default_rng(0).integers(0, 255, shape, np.uint8))
    for _ in range(2):
        viewer.add_labels(np.zeros(shape, np.uint8))
    side = QWidget()
    side.setMinimumWidth(360)
    viewer.window.add_dock_widget(side)
    viewer.window.resize(*size)
    slice_changes(viewer, application, 2)
    _, idle = slice_changes(viewer, application, seconds)
    drawing.median()
    with subprocess.Popen(["nice", "-n", "10", *beside], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
        _, busy = slice_changes(viewer, application, 120, lambda: job.poll() is not None)
    frame = drawing.median()
    viewer.close()
    return idle, busy, frame


def measure(quick: bool) -> list[Row]:
    import napari
    from qtpy.QtWidgets import QApplication

    shape = (96, 192, 192) if quick else (512, 640, 640)
    with tempfile.TemporaryDirectory() as name:
        scan = Path(name) / "rock.zarr"
        command("sample")(str(scan), shape=shape)
        viewer = napari.Viewer()
        application = QApplication.instance()
        window = viewer.window._qt_window
        drawing = Drawing(window)
        for dock in ("Scan", "Segment"):
            viewer.window.add_plugin_dock_widget("lithoscope", dock)
        session = session_of(viewer)
        session.open(scan)
        wait = time.perf_counter() + 60
        while session.scan is None and time.perf_counter() < wait:
            application.processEvents()
        slice_changes(viewer, application, 2)
        drawing.median()
        idle, idle_waits = slice_changes(viewer, application, 3 if quick else 20)
        idle_frame = drawing.median()
        over: list[str] = []
        arguments = {"scans": [str(scan)], "method": "fuzzy", "settings": {"classes": 3, "spatial": True}, "output": "bench"}
        session.run("segment", arguments, "bench", lambda job: over.append(job.state))
        busy, waits = slice_changes(viewer, application, 120, lambda: bool(over))
        frame = drawing.median()
        size = (window.width(), window.height())
        viewer.close()
        same = ["segment", str(scan), "--method", "fuzzy", "--set", "classes=3", "--set", "spatial=true", "--output", "beside"]
        alone, beside, alone_frame = bare(shape, size, 3 if quick else 20, [sys.executable, "-m", "lithoscope", *same])
    note = f"{len(busy)} slice changes while spatial fuzzy C-means ran over {shape[0]} × {shape[1]} × {shape[2]}: {over}; window {size}"
    told = f"{_told(waits, frame)}; no job: {_told(idle_waits, idle_frame)}"
    return [
        bound("longest gap of the main thread while a job runs", float(waits.max()), 100, "ms", f"{note}; {told}"),
        bound("the same of napari alone beside the same job", float(beside.max()), 100, "ms", _told(beside, alone_frame)),
        at_most(
            "p99 of the waits of events while a job runs",
            f"napari alone beside the same job (idle: {np.percentile(alone, 99):.0f} ms)",
            float(np.percentile(beside, 99)),
            float(np.percentile(waits, 99)),
            1.5,
            "ms",
        ),
        at_most(
            "slice change p95 while a job runs", "the same, idle", float(np.percentile(idle, 95)), float(np.percentile(busy, 95)), 1.5, "ms"
        ),
    ]


def _told(waits: npt.NDArray[np.float64], frame: float) -> str:
    half, most, longest = (float(np.percentile(waits, q)) for q in (50, 99, 100))
    return f"waits p50 {half:.0f}, p99 {most:.0f}, longest {longest:.0f} ms, a frame takes {frame:.0f} ms"


if __name__ == "__main__":
    main("Main thread", measure)
