"""The outline of the field of view in a window that is seen: napari's own mouse moves and stretches it."""

import time

import numpy as np
import pytest
from napari.layers import Shapes
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from lithoscope.volume.convert import import_scan
from lithoscope.volume.field_of_view import Cylinder
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel

SHAPE = (30, 160, 180)


def wait_for(qtbot, condition, seconds=90):
    qtbot.waitUntil(condition, timeout=seconds * 1000)


@pytest.fixture
def opened(docks, tmp_path, qtbot):
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    grey = np.random.default_rng(0).integers(60, 200, SHAPE).astype(np.uint8)
    np.save(tmp_path / "core.npy", np.where((y - 80) ** 2 + (x - 90) ** 2 <= 60**2, grey, 0).astype(np.uint8))
    import_scan(tmp_path / "core.npy", tmp_path / "core.zarr", field_of_view=None, voxel=Voxel((2.0, 1.0, 1.0)))
    viewer, scan_dock, _ = docks()
    scan_dock.session.open(tmp_path / "core.zarr")
    wait_for(qtbot, lambda: scan_dock.session.scan is not None)
    return viewer, scan_dock


def pixel(viewer, y, x):
    """Where a place of the plane in view lies in the canvas."""
    native, camera = viewer.window._qt_viewer.canvas.native, viewer.scene.camera
    zoom = camera.zoom / native.devicePixelRatio()
    return QPoint(round(native.width() / 2 + (x - camera.center[-1]) * zoom), round(native.height() / 2 + (y - camera.center[-2]) * zoom))


def drag(viewer, qtbot, start, stop):
    native = viewer.window._qt_viewer.canvas.native
    a, b = pixel(viewer, *start), pixel(viewer, *stop)
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton

    def send(kind, place, button, held):
        place = QPointF(place)
        event = QMouseEvent(kind, place, QPointF(native.mapToGlobal(place)), button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(native, event)
        qtbot.wait(50)

    send(QEvent.Type.MouseMove, a, none, none)
    send(QEvent.Type.MouseButtonPress, a, left, left)
    for part in (0.25, 0.5, 0.75, 1.0):
        send(QEvent.Type.MouseMove, a + (b - a) * part, none, left)
    send(QEvent.Type.MouseButtonRelease, b, left, none)


def test_the_circle_is_moved_by_the_mouse_and_used(opened, qtbot, tmp_path):
    viewer, dock = opened
    panel = dock.field
    panel.edit_button.click()
    wait_for(qtbot, lambda: panel.outline.editing)
    layer = next(layer for layer in viewer.layers if isinstance(layer, Shapes))
    before = panel.outline.shape
    drag(viewer, qtbot, (80, 90), (70, 100))
    wait_for(qtbot, lambda: panel.outline.shape != before)
    found = panel.outline.shape
    assert isinstance(found, Cylinder)
    assert (found.cy - before.cy, found.cx - before.cx) == pytest.approx((-10, 10), abs=1.5)
    assert found.r == before.r
    drag(viewer, qtbot, (found.cy, found.cx + found.r), (found.cy, found.cx + found.r + 12))
    wait_for(qtbot, lambda: panel.outline.shape != found)
    found = panel.outline.shape
    assert found.r == pytest.approx(before.r + 6, abs=1)
    sides = np.ptp(np.asarray(layer.data[0]), axis=0)
    assert sides[1] == pytest.approx(sides[2])
    viewer.dims.set_point(0, 2.0 * 20)
    wait_for(qtbot, lambda: np.asarray(layer.data[0])[0, 0] == 20)
    panel.use_button.click()
    wait_for(qtbot, lambda: Scan.open(tmp_path / "core.zarr").field_of_view == found)
    wait_for(qtbot, lambda: layer not in viewer.layers)


def test_the_slider_is_not_held_up_by_the_outline(opened, qtbot):
    viewer, dock = opened
    dock.field.propose_button.click()
    wait_for(qtbot, lambda: dock.field.outline.shape is not None)
    taken = []
    for z in range(SHAPE[0]):
        start = time.process_time()
        viewer.dims.set_point(0, 2.0 * z)
        taken.append(time.process_time() - start)
    assert np.median(taken) < 0.1
