"""A stroke to the updated plane of 1000² in a window that is seen, and the main thread meanwhile (DESIGN §7).

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/live_loop.py [--json results.json] [--quick]

Needs napari, Lithoscope installed with its networks, and a screen (or xvfb-run): about four minutes."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness import Row, bound, main
from lithoscope._napari.session import session_of
from lithoscope.classes import ClassTable

DEPTH = 12
PLANE = 6


def scan_of(folder: Path, edge: int) -> Path:
    """A scan of three noisy phases."""
    from scipy.ndimage import gaussian_filter

    from lithoscope.volume.convert import import_scan

    rng = np.random.default_rng(0)
    phase = np.digitize(gaussian_filter(rng.normal(size=(DEPTH, edge, edge)).astype(np.float32), 3), [-0.02, 0.02])
    np.save(folder / "a.npy", (phase * 70 + 40 + rng.normal(0, 20, phase.shape)).clip(0, 255).astype(np.uint8))
    import_scan(folder / "a.npy", folder / "a.zarr", field_of_view=None)
    np.save(folder / "truth.npy", phase.astype(np.uint8) + 1)
    return folder / "a.zarr"


class Window:
    """A visible viewer with the Segment dock on a scan."""

    def __init__(self, path: Path) -> None:
        import napari
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        self.viewer = napari.Viewer()
        self.application = QApplication.instance()
        self.dock: Any = self.viewer.window.add_plugin_dock_widget("lithoscope", "Segment")[1]
        self.session = session_of(self.viewer)
        self.session.open(path)
        self.beats = [time.perf_counter()]
        self.timer = QTimer()
        self.timer.setInterval(5)
        self.timer.timeout.connect(lambda: self.beats.append(time.perf_counter()))
        self.timer.start()
        self.wait(lambda: self.session.scan is not None)

    def wait(self, until: Callable[[], bool], seconds: float = 120) -> None:
        end = time.perf_counter() + seconds
        while not until() and time.perf_counter() < end:
            self.application.processEvents()
            time.sleep(0.001)

    def rest(self, seconds: float) -> None:
        self.wait(lambda: False, seconds)

    def gap(self, since: float) -> float:
        """The longest gap of the event loop since then, in milliseconds."""
        return float(np.diff([b for b in self.beats if b >= since]).max()) * 1000


def strokes_of(window: Window, truth: np.ndarray, count: int, seed: int) -> tuple[list[float], list[float]]:
    """The milliseconds from the end of each stroke to the plane that it teaches, drawn by napari; and those of all cores together."""
    rng, taken, worked = np.random.default_rng(seed), [], []
    layer = window.session.layer("strokes")
    layer.brush_size = 8
    whole: list[int] = []
    window.dock.methods.taught.live.seen.connect(lambda seen: whole.append(seen.version) if seen.whole else None)
    for _ in range(count):
        y, x = rng.integers(20, truth.shape[1] - 40, 2)
        label = int(truth[PLANE, y, x])
        with layer.block_history():
            for step in range(12):
                layer.paint((PLANE, int(y), int(x) + step), label)
        start, busy, version = time.perf_counter(), time.process_time(), window.dock.methods.taught._version
        window.wait(lambda version=version: bool(whole) and whole[-1] >= version)
        window.application.processEvents()
        taken.append((time.perf_counter() - start) * 1000)
        worked.append((time.process_time() - busy) * 1000)
        window.rest(0.3)
    return taken, worked


def measure(quick: bool) -> list[Row]:
    edge, count = (256, 5) if quick else (1000, 100)
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:  # what was begun aside may still be written
        folder = Path(name)
        path = scan_of(folder, edge)
        truth = np.load(folder / "truth.npy")
        window = Window(path)
        window.session.change_classes(ClassTable.numbered(3))
        window.viewer.dims.set_current_step(0, PLANE)
        for dimensions in (2, 3):
            window.dock.methods.choose("forest", {"dimensions": dimensions})
            strokes_of(window, truth, 6, seed=0)
            window.rest(5 if quick else 30)
            since = time.perf_counter()
            taken, worked = strokes_of(window, truth, count, seed=dimensions)
            load = os.getloadavg()[0]
            cores = f"{np.median(worked):.0f} ms of processor time; load {load:.0f}"
            note = f"{count} strokes, features kept; {cores}"
            for part in (50, 95):
                value = float(np.percentile(taken, part))
                rows.append(bound(f"stroke to updated plane of {edge}², {dimensions}D, p{part}", value, 250, "ms", note))
            busy = window.gap(since)
            since = time.perf_counter()
            window.rest(3)
            note = f"{dimensions}D; {window.gap(since):.0f} ms while nothing is done"
            rows.append(bound("longest gap of the main thread meanwhile", busy, 100, "ms", note))
        window.viewer.close()
    return rows


if __name__ == "__main__":
    main("Live loop", measure)
