"""The tutorial in a window that is seen, step by step; it makes the pictures of the documentation:

LITHOSCOPE_SCREENSHOTS=docs/images xvfb-run -a -s "-screen 0 1600x1000x24" pytest tests/viewer/test_tutorial.py
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from lithoscope.labels.results import open_result

pytest.importorskip("torch")

SIZE = (1360, 880)
PICTURES = ("scan", "thresholds", "strokes", "correct", "measure", "compare")


def wait_for(qtbot, condition, seconds=400):
    qtbot.waitUntil(condition, timeout=seconds * 1000)


@pytest.fixture
def window(make_napari_viewer, plugin, tmp_path, monkeypatch):
    """A window with every dock and the sample scan; and what finds a dock and raises it."""
    from qtpy.QtWidgets import QDockWidget

    from lithoscope._napari.launch import prepared
    from lithoscope._napari.session import session_of
    from lithoscope.sample import simulate

    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    simulate(tmp_path / "rock.zarr", shape=(32, 200, 200), seed=3)
    viewer = prepared(make_napari_viewer(show=True), tmp_path / "rock.zarr")
    viewer.window.resize(*SIZE)
    session = session_of(viewer)

    def dock(kind):
        found = viewer.window._qt_window.findChildren(kind)[0]
        outer = found.parent()
        while not isinstance(outer, QDockWidget):
            outer = outer.parent()
        outer.raise_()
        return found

    yield viewer, session, dock
    session.jobs.kill()
    session.forget()
    session.shut()


@pytest.fixture
def picture(window, qtbot):
    """Makes a picture of the window, keeps it where it was asked for, and checks that something is to be seen on it."""
    viewer, _, _ = window
    folder = os.environ.get("LITHOSCOPE_SCREENSHOTS")

    def take(name):
        assert name in PICTURES
        for _ in range(20):
            QApplication.processEvents()
            qtbot.wait(20)
        seen = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
        assert len(np.unique(np.asarray(seen.convert("L"))[:, : seen.width // 2])) > 50
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            seen.quantize(160, dither=Image.Dither.NONE).save(Path(folder) / f"{name}.png", optimize=True)

    return take


@pytest.mark.timeout(1200)
def test_the_tutorial_goes_as_it_is_told(window, picture, qtbot):
    from lithoscope._napari.scan_dock import ScanDock
    from lithoscope._napari.segment_dock import SegmentDock
    from lithoscope.sample import CLASSES

    viewer, session, dock = window
    wait_for(qtbot, lambda: session.scan is not None)
    scan = session.scan
    viewer.dims.set_current_step(0, 16)
    dock(ScanDock)
    picture("scan")

    segment = dock(SegmentDock)
    segment.methods.choose("otsu", {"classes": 3})
    wait_for(qtbot, lambda: len(segment.methods.plot.thresholds) == 2 and session.layer("preview") is not None)
    picture("thresholds")
    segment.methods.output.setText("otsu")
    segment.methods.run_button.click()
    wait_for(qtbot, lambda: session.shown == "otsu")

    session.show_result("")
    session.change_classes(CLASSES)
    truth = np.asarray(open_result(scan, "truth").array[16])
    segment.methods.choose("forest", {})
    strokes = session.layer("strokes")
    strokes.brush_size = 5
    for id in (1, 2, 3):
        for y, x in deep_places(truth, id, 4):
            strokes.paint((16, y, x), id)
    wait_for(qtbot, lambda: session.layer("preview") is not None and set(np.unique(session.layer("preview").data.plane)) == {0, 1, 2, 3})
    wait_for(qtbot, lambda: segment.methods.taught._score.text() != "")
    picture("strokes")
    segment.methods.output.setText("forest")
    wait_for(qtbot, segment.methods.run_button.isEnabled)
    segment.methods.run_button.click()
    wait_for(qtbot, lambda: session.shown == "forest")

    session.correct("forest")
    wait_for(qtbot, lambda: session.correcting)
    layer = session.painting.brush()
    layer.brush_size = 9
    before = np.array(layer.data[16])
    wrong = np.where((before != truth) & (before > 0), truth, 0)
    y, x = deep_places(wrong > 0, True, 1)[0]
    layer.paint((16, y, x), int(wrong[y, x]))
    assert np.asarray(layer.data[16])[y, x] == truth[y, x] != before[y, x]
    picture("correct")


@pytest.mark.timeout(1200)
def test_results_are_measured_and_compared_as_it_is_told(window, picture, qtbot):
    from lithoscope._napari.measure_dock import MeasureDock
    from lithoscope.cli.commands import command
    from lithoscope.cli.demo_strokes import paint

    viewer, session, dock = window
    wait_for(qtbot, lambda: session.scan is not None)
    path = session.scan.path
    viewer.dims.set_current_step(0, 16)
    command("segment")([str(path)], method="otsu", settings={"classes": 3}, output="otsu")
    session.results_changed.emit()
    session.show_result("otsu")
    measure = dock(MeasureDock)
    measure.structure.setChecked(True)
    measure.thickness.setChecked(True)
    wait_for(qtbot, measure.measure.isEnabled)
    measure.measure.click()
    wait_for(qtbot, lambda: "thickness" in measure._structure_words.text())
    measure.kind.setCurrentIndex(measure.kind.findData("thickness"))
    picture("measure")

    session.close_scan()
    paint(path)
    session.open(path)
    wait_for(qtbot, lambda: session.scan is not None)
    viewer.dims.set_current_step(0, 16)
    panel = measure.compare
    panel.truth.setCurrentIndex(panel.truth.findData("truth"))
    methods = ("threshold", "otsu", "kmeans", "fuzzy")
    for i in range(panel._methods.count()):
        item = panel._methods.item(i)
        item.setCheckState(Qt.CheckState.Checked if item.text() in methods else Qt.CheckState.Unchecked)
    with qtbot.waitSignal(session.jobs.finished, timeout=400_000):
        panel.compare.click()
    wait_for(qtbot, lambda: panel.table.rowCount() == len(methods))
    panel.table.selectRow(0)
    unfold(panel)
    picture("compare")


def unfold(panel):
    """Open what the panel is folded in, and bring it into view."""
    from qtpy.QtWidgets import QScrollArea

    from lithoscope._napari.folding import Folding

    outer = panel.parent()
    while not isinstance(outer, Folding):
        outer = outer.parent()
    outer.unfold()
    while not isinstance(outer, QScrollArea):
        outer = outer.parent()
    for _ in range(5):
        QApplication.processEvents()
    outer.ensureWidgetVisible(panel.promote)


def deep_places(plane, label, count):
    """Places of a plane (y, x) well inside a class, far from one another."""
    from scipy.ndimage import distance_transform_edt

    depth, found = distance_transform_edt(plane == label), []
    for _ in range(count):
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        found.append((int(y), int(x)))
        depth[max(0, y - 20) : y + 20, max(0, x - 20) : x + 20] = 0
    return found
