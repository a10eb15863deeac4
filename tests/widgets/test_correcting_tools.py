"""The tools of correcting paint on the layer in hand, within the fence, as one step of undo."""

import numpy as np
import pytest
from napari.utils.events import Event

from lithoscope._napari.correcting_panel import CorrectingPanel
from lithoscope.classes import ClassTable
from lithoscope.labels.fence import Fence
from lithoscope.volume.box import Box


@pytest.fixture
def painting(opened):
    """The session with two classes, the first in hand, on plane z = 10."""
    opened.change_classes(ClassTable.numbered(2))
    opened.painting.choose(1)
    opened.viewer.dims.set_current_step(0, 10)
    return opened


def strokes(session) -> np.ndarray:
    return session.painting.strokes.read(Box.whole(session.scan.shape))


def done(session, qtbot, act) -> str:
    """What is said once a tool has worked."""
    said = []
    session.said.connect(lambda words, bad: said.append(words))
    with qtbot.waitSignal(session.tools._working.done, timeout=60_000):
        act()
    return said[-1]


def ring(session, z: int, margin: int = 10) -> None:
    store = session.painting.strokes
    a, b = Box((z, margin, margin), (z + 1, 40 - margin, 48 - margin)), Box((z, margin + 2, margin + 2), (z + 1, 38 - margin, 46 - margin))
    store.write(a, None, 1)
    store.write(b, None, 0)


def test_holes_of_the_plane_are_filled_and_one_undo_brings_them_back(painting, qtbot):
    ring(painting, 10)
    before = strokes(painting)
    assert done(painting, qtbot, painting.tools.fill_holes) == f"{16 * 24:,} voxels painted as class 1"
    after = strokes(painting)
    assert (after[10, 12:28, 12:36] == 1).all()
    assert np.array_equal(after[9], before[9])
    painting.painting.undo()
    assert np.array_equal(strokes(painting), before)
    painting.painting.redo()
    assert np.array_equal(strokes(painting), after)


def test_nothing_to_fill_is_said(painting, qtbot):
    assert done(painting, qtbot, painting.tools.fill_holes) == "no hole to fill on this plane"


@pytest.mark.parametrize(("act", "to"), [("copy_on", 11), ("copy_back", 9)])
def test_a_slice_is_copied_and_the_view_goes_along(painting, qtbot, act, to):
    ring(painting, 10)
    done(painting, qtbot, getattr(painting.tools, act))
    assert painting.plane().index == to
    assert np.array_equal(strokes(painting)[to], strokes(painting)[10])


def test_planes_between_two_that_were_drawn_are_filled(painting, qtbot):
    ring(painting, 8)
    ring(painting, 14)
    done(painting, qtbot, painting.tools.interpolate)
    assert all((strokes(painting)[z] == 1).any() for z in range(8, 15))
    assert np.array_equal(strokes(painting)[11], strokes(painting)[8])


def test_one_drawn_plane_alone_says_what_to_do(painting, qtbot):
    ring(painting, 8)
    with qtbot.waitSignal(
        painting.said, check_params_cb=lambda words, bad: bad and "draw the class on two planes" in words, timeout=60_000
    ):
        painting.tools.interpolate()


def press(session, at) -> None:
    """A click on a voxel of the layer in hand."""
    layer = session.painting.brush()
    event = Event("mouse_press")
    event.button, event.modifiers, event.position = 1, (), layer.data_to_world(at)
    event.type_ = "mouse_press"
    for callback in list(layer.mouse_drag_callbacks):
        if getattr(callback, "__name__", "") == "_on_drag":
            for _ in callback(layer, event) or ():
                event._type = "mouse_release"


def test_growing_paints_what_is_as_grey_and_hangs_together_on_the_plane(painting, qtbot):
    painting.tools.tolerance = 30
    painting.tools.grow()
    done(painting, qtbot, lambda: press(painting, (10, 20, 5)))
    painted = strokes(painting)
    assert painted[10, :, :14].mean() > 0.9
    assert not painted[10, :, 18:].any()
    assert not painted[9].any()
    painting.tools.grow()
    assert painting.tools._clicks.tool == ""


def test_the_3d_brush_paints_a_ball_and_taking_another_brush_puts_it_away(painting, qtbot):
    painting.tools.radius = 3
    painting.tools.ball()
    press(painting, (10, 20, 20))
    z, y, x = np.ogrid[:24, :40, :48]
    assert np.array_equal(strokes(painting) == 1, (z - 10) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 9)
    with qtbot.waitSignal(painting.tools.click_changed, check_params_cb=lambda what: what == "", timeout=60_000):
        painting.painting.choose(2)
    assert painting.painting.brush().mode == "paint"
    painting.painting.undo()
    assert not strokes(painting).any()


def test_the_brush_of_napari_stays_within_the_fence_and_shows_what_it_painted(painting):
    grey = painting.scan.array()[...]
    painting.tools.set_fence(Fence(grey, (0, 90)))
    layer = painting.painting.brush()
    layer.brush_size = 21
    layer.paint((10, 20, 16), 1)
    plane = strokes(painting)[10]
    assert (plane == 1).any()
    assert not (plane[grey[10] > 90]).any()
    assert np.array_equal(np.asarray(layer._slice.image.raw), plane)
    layer.fill((10, 0, 47), 2)
    assert np.array_equal(np.asarray(layer._slice.image.raw), strokes(painting)[10])
    assert not (strokes(painting)[10][grey[10] > 90]).any()


def test_the_panel_makes_the_fence_and_takes_it_away(painting, qtbot):
    panel = CorrectingPanel(painting)
    qtbot.addWidget(panel)
    panel.low.setValue(100)
    panel.high.setValue(140)
    panel.between.setChecked(True)
    qtbot.waitUntil(lambda: painting.tools.fence is not None, timeout=60_000)
    assert painting.tools.fence.between == (100, 140)
    panel._menu.actions()[2].setChecked(True)
    qtbot.waitUntil(lambda: painting.tools.fence.over == frozenset({2}), timeout=60_000)
    assert panel.classes.text() == "class 2"
    panel.between.setChecked(False)
    panel.over.setChecked(False)
    qtbot.waitUntil(lambda: painting.tools.fence is None, timeout=60_000)
    assert painting.painting.strokes.fence is None


def test_every_control_has_a_name(painting, qtbot):
    from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

    panel = CorrectingPanel(painting)
    qtbot.addWidget(panel)
    for kind in (QAbstractButton, QAbstractSpinBox, QComboBox):
        assert all(w.accessibleName() or (hasattr(w, "text") and w.text()) for w in panel.findChildren(kind))


def test_the_piece_under_the_cursor_is_measured(painting, qtbot):
    panel = CorrectingPanel(painting)
    qtbot.addWidget(panel)
    painting.painting.strokes.write(Box((10, 4, 4), (12, 8, 9)), None, 2)
    panel._fold.setChecked(True)
    painting.viewer.cursor.position = (10, 5, 5)
    qtbot.waitUntil(lambda: "class 2 · 40 voxels" in panel.cursor_line.text(), timeout=60_000)
    painting.viewer.cursor.position = (10, 30, 30)
    qtbot.waitUntil(lambda: "nothing painted" in panel.cursor_line.text(), timeout=60_000)
