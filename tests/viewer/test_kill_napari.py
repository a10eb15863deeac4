"""kill -9 of napari a second after a stroke: everything that was painted is there when the scan is opened again."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import napari, numpy as np
    from qtpy.QtCore import QTimer
    from lithoscope._napari.segment_dock import SegmentDock
    from lithoscope.classes import ClassTable

    scan, expected = Path(sys.argv[1]), Path(sys.argv[2])
    viewer = napari.Viewer(show=True)
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    session = dock.session

    def paint():
        session.change_classes(ClassTable().add("pore").add("grain"))
        strokes = session.layer("strokes")
        with strokes.block_history():
            for x in range(5, 40, 4):
                strokes.paint((5, 12, x), 1)
        strokes.paint((9, 30, 30), 2)
        strokes.paint((9, 20, 20), 2)
        strokes.undo()
        np.save(expected, np.array(strokes.data[:]))
        QTimer.singleShot(1000, lambda: print("a second later", flush=True))

    session.scan_changed.connect(paint)
    session.open(scan)
    napari.run()
    """
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
def test_strokes_of_a_killed_napari_are_there_again(docks, steps, tmp_path, qtbot):
    from lithoscope.volume.convert import import_scan

    np.save(tmp_path / "steps.npy", steps)
    import_scan(tmp_path / "steps.npy", tmp_path / "steps.zarr", field_of_view=None)
    script, expected = tmp_path / "child.py", tmp_path / "expected.npy"
    script.write_text(CHILD)
    child = subprocess.Popen([sys.executable, str(script), str(tmp_path / "steps.zarr"), str(expected)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        assert any("a second later" in line for line in lines)
    finally:
        child.kill()
        child.wait()
    painted = np.load(expected)
    assert set(np.unique(painted)) == {0, 1, 2}

    _, _, dock = docks()
    session = dock.session
    session.open(Path(tmp_path / "steps.zarr"))
    qtbot.waitUntil(lambda: session.scan is not None, timeout=30_000)
    assert session.readonly == ""
    np.testing.assert_array_equal(session.layer("strokes").data[:], painted)
    assert [c.name for c in session.classes] == ["pore", "grain"]
    session.painting.undo()
    assert set(np.unique(session.layer("strokes").data[:])) == {0, 1}
    session.painting.redo()
    session.painting.redo()
    assert np.count_nonzero(session.layer("strokes").data[:] == 2) > np.count_nonzero(painted == 2)
