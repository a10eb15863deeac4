"""What K-means and fuzzy C-means find stands on the histogram as lines, and a line that is dragged becomes a threshold by hand."""

import numpy as np
import pyqtgraph
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from lithoscope._napari.segment_dock import SegmentDock
from lithoscope.labels.grey_values import GreyValues
from lithoscope.parameters import configured
from lithoscope.segmenters import Block, segmenter


@pytest.fixture
def dock(opened, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    made = SegmentDock(opened.viewer)
    qtbot.addWidget(made)
    made.resize(360, 900)
    made.show()
    return made


@pytest.fixture
def panel(dock):
    """Its methods; the plot takes every movement of the mouse, however quick."""
    pyqtgraph.setConfigOption("mouseRateLimit", 0)
    yield dock.methods
    pyqtgraph.setConfigOption("mouseRateLimit", 100)


def dragged(plot, index, to):
    """Line `index` of the plot, dragged by the mouse to the grey value `to`."""
    box = plot.getPlotItem().getViewBox()
    height = box.viewRange()[1][1] / 2

    def send(kind, grey, button, held):
        at = QPointF(plot.mapFromScene(box.mapViewToScene(QPointF(grey, height))))
        event = QMouseEvent(kind, at, QPointF(plot.viewport().mapToGlobal(at.toPoint())), button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(plot.viewport(), event)

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    start = float(plot._lines[index].value())
    send(QEvent.Type.MouseMove, start, none, none)
    send(QEvent.Type.MouseButtonPress, start, left, left)
    for part in (0.3, 0.6, 1.0):
        send(QEvent.Type.MouseMove, start + part * (to - start), none, left)
    send(QEvent.Type.MouseButtonRelease, to, left, none)


@pytest.mark.parametrize(("name", "values"), [("otsu", {}), ("kmeans", {}), ("fuzzy", {}), ("fuzzy", {"spatial": True})])
def test_a_method_shows_its_thresholds_and_dragging_one_makes_them_the_persons(opened, panel, qtbot, name, values):
    panel.choose(name, {"classes": 3, **values})
    learnt = configured(segmenter(name), {"classes": 3, **values}).fit(GreyValues(opened.scan)).learnt()["thresholds"]
    qtbot.waitUntil(lambda: panel.name == name and panel.plot.thresholds == tuple(learnt), timeout=60_000)
    assert panel.lines._values.text() == "thresholds " + ", ".join(f"{t:g}" for t in learnt)
    dragged(panel.plot, 0, learnt[0] + 12.5)
    qtbot.waitUntil(lambda: panel.name == "threshold", timeout=5_000)
    bounds = panel.values()["bounds"]
    assert bounds == panel.plot.thresholds
    assert learnt[0] + 8 <= bounds[0] <= learnt[0] + 14
    assert bounds[1] == learnt[1]
    expected = np.digitize(np.asarray(opened.scan.levels[0][:]), bounds, right=True) + 1

    def shown():
        layer = opened.layer("preview")
        return layer is not None and np.array_equal(layer.data.plane[0], expected[layer.data.index])

    qtbot.waitUntil(shown, timeout=5_000)


def test_dragging_a_marker_of_the_watershed_moves_its_own_bounds(opened, panel, qtbot):
    panel.choose("watershed", {"classes": 3})
    learnt = configured(segmenter("watershed"), {"classes": 3}).fit(GreyValues(opened.scan)).learnt()["thresholds"]
    qtbot.waitUntil(lambda: panel.plot.thresholds == tuple(learnt), timeout=60_000)
    dragged(panel.plot, 3, learnt[3] + 5)
    assert panel.name == "watershed"
    bounds = panel.values()["bounds"]
    assert bounds[:3] == pytest.approx(learnt[:3], rel=1e-5)
    assert learnt[3] + 2 <= bounds[3] <= learnt[3] + 6
    volume = np.asarray(opened.scan.levels[0][:])
    expected = configured(segmenter("watershed"), {"bounds": bounds}).fit(GreyValues(opened.scan)).predict(Block.of(volume))

    def shown():
        layer = opened.layer("preview")
        return layer is not None and np.array_equal(layer.data.plane[0], expected[layer.data.index])

    qtbot.waitUntil(shown, timeout=60_000)
    assert panel.plot.thresholds == pytest.approx(bounds)


def test_what_has_no_thresholds_shows_no_lines(opened, panel, qtbot):
    qtbot.waitUntil(lambda: len(panel.plot.thresholds) == 2, timeout=60_000)
    panel._show_lines({"centres": [60.0, 120.0, 180.0]}, opened.classes)
    assert panel.plot.thresholds == ()
    assert panel.lines._values.text() == ""
