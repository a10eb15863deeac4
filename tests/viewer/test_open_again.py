"""Opening, painting and closing, several times over: a viewer that becomes empty after painting goes on."""

import subprocess
import sys
import textwrap

import numpy as np

CHILD = textwrap.dedent(
    """
    import sys
    import time

    import napari
    from qtpy.QtWidgets import QApplication
    from lithoscope._napari.segment_dock import SegmentDock
    from lithoscope.classes import ClassTable

    viewer = napari.Viewer(show=True)
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    session, application = dock.session, QApplication.instance()

    def until(condition):
        end = time.monotonic() + 130
        while not condition() and time.monotonic() < end:
            application.processEvents()
        assert condition()

    def drawn():
        for _ in range(5):
            viewer.window._qt_window.repaint()
            application.processEvents()

    for n, how in enumerate(("close", "delete", "close", "clear")):
        session.open(sys.argv[1])
        until(lambda: session.scan is not None)
        if n == 0:
            session.change_classes(ClassTable().add("pore").add("grain"))
        session.painting.choose(1)
        drawn()
        strokes = session.layer("strokes")
        strokes.paint((3, 10 + n, 10), 1)
        drawn()
        if how == "close":
            session.forget()
        elif how == "delete":
            viewer.layers.remove(session.layer("image"))
        else:
            strokes.locked = False
            viewer.layers.clear()
        until(lambda: session.scan is None)
        drawn()
        print(how, len(viewer.layers), flush=True)
    session.jobs.kill()
    viewer.close()
    """
)


def test_a_viewer_emptied_after_painting_goes_on(tmp_path, steps):
    from lithoscope.volume.convert import import_scan
    from lithoscope.volume.scan import Scan

    np.save(tmp_path / "steps.npy", steps)
    import_scan(tmp_path / "steps.npy", tmp_path / "steps.zarr", field_of_view=None)
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "steps.zarr")], capture_output=True, text=True, timeout=280, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["close", "0", "delete", "0", "close", "0", "clear", "0"]
    from lithoscope.labels.strokes import strokes

    with strokes(Scan.open(tmp_path / "steps.zarr"), readonly=True) as store:
        assert np.count_nonzero(store[3]) > 0
