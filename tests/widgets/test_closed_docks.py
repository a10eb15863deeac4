"""A dock that is closed takes what it shows with it, and hears of nothing more; the session and the other docks go on."""

import numpy as np
import pytest
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow

from lithoscope._napari import explain_dock, explaining
from lithoscope._napari.explain_dock import ExplainDock
from lithoscope._napari.measure_dock import MeasureDock
from lithoscope._napari.scan_dock import ScanDock
from lithoscope._napari.segment_dock import SegmentDock
from lithoscope._napari.similar_dock import SimilarDock
from lithoscope.cli.commands import command

DOCKS = [ScanDock, SegmentDock, ExplainDock, SimilarDock, MeasureDock]


@pytest.fixture
def window(qtbot):
    made = QMainWindow()
    qtbot.addWidget(made)
    return made


def docked(window, kind, session):
    holder = QDockWidget(window)
    dock = kind(session.viewer)
    holder.setWidget(dock)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, holder)
    return dock


def close(dock, qtbot):
    """As napari does when the cross of a dock is clicked."""
    holder = dock.parent()
    dock.setParent(None)
    holder.deleteLater()

    def gone():
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        return not isalive(dock)

    qtbot.waitUntil(gone, timeout=60_000)


@pytest.mark.parametrize("kind", DOCKS)
def test_after_a_dock_was_closed_everything_else_goes_on(window, opened, kind, qtbot, monkeypatch):
    monkeypatch.setattr(explain_dock, "backbones_here", list)
    dock = docked(window, kind, opened)
    viewer = opened.viewer
    before = {layer.name for layer in viewer.layers if "steps" in layer.name}
    close(dock, qtbot)
    added = viewer.add_image(np.zeros((4, 5)))
    viewer.layers.remove(added)
    viewer.theme = "light"
    viewer.dims.set_current_step(0, 3)
    opened.said.emit("a word", False)
    for signal in (opened.classes_changed, opened.results_changed, opened.facts_changed, opened.plane_changed, opened.images.changed):
        signal.emit()
    opened.painting.painted.emit()
    qtbot.wait(50)
    assert {layer.name for layer in viewer.layers if layer.visible} <= before
    again = docked(window, kind, opened)
    assert again.session is opened


def test_what_the_network_sees_goes_with_its_dock(window, opened, qtbot, monkeypatch):
    monkeypatch.setattr(explain_dock, "backbones_here", lambda: [("fake", "a network", 4, 3)])
    monkeypatch.setattr(explaining, "answer", lambda *_: [])
    monkeypatch.setattr(explaining.Explaining, "views", lambda self, wish: None)
    dock = docked(window, ExplainDock, opened)
    qtbot.waitUntil(lambda: dock.options.backbone.count() == 1, timeout=60_000)
    dock.options.kind.setCurrentIndex(dock.options.kind.findData("similarity"))
    opened_callbacks = opened.viewer.mouse_move_callbacks
    assert opened_callbacks
    dock.explaining.layers.mark(opened.scan, np.array([[1, 2, 3]]), 14.0)
    assert any("marked" in layer.name for layer in opened.viewer.layers)
    close(dock, qtbot)
    assert not opened_callbacks
    assert not any("marked" in layer.name for layer in opened.viewer.layers)


def test_a_job_that_ends_after_its_dock_was_closed_is_no_harm(window, opened, scan_path, qtbot):
    command("segment")([str(scan_path)], method="otsu", settings={"classes": 2}, output="otsu")
    opened.show_result("otsu")
    dock = docked(window, MeasureDock, opened)
    with qtbot.waitSignal(opened.jobs.finished, timeout=120_000) as ended:
        dock.measure.click()
        close(dock, qtbot)
    assert ended.args[0].state == "done"
