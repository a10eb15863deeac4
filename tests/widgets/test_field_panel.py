"""The field of view in the Scan dock: an outline is proposed or edited, and only Use changes the scan."""

import numpy as np
import pytest
from napari.layers import Shapes

from lithoscope._napari.outline import drawn_on, read_back
from lithoscope._napari.preview import Plane
from lithoscope._napari.scan_dock import ScanDock
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.field_of_view import BoxView, Cylinder
from lithoscope.volume.scan import Scan

SHAPE = (12, 80, 90)


@pytest.fixture
def round_scan(tmp_path):
    """A scan that was measured in a circle, imported without a field of view."""
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    grey = np.random.default_rng(0).integers(50, 200, SHAPE).astype(np.uint8)
    np.save(tmp_path / "round.npy", np.where((y - 40) ** 2 + (x - 44) ** 2 <= 33**2, grey, 0).astype(np.uint8))
    import_scan(tmp_path / "round.npy", tmp_path / "round.zarr", field_of_view=None)
    return tmp_path / "round.zarr"


@pytest.fixture
def dock(session, round_scan, qtbot):
    dock = ScanDock(session.viewer)
    qtbot.addWidget(dock)
    dock.resize(360, 800)
    dock.show()
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.open(round_scan)
    return dock


@pytest.fixture
def panel(dock):
    return dock.field


def outlines(session):
    return [layer for layer in session.viewer.layers if isinstance(layer, Shapes)]


def dragged(layer, by, shape=0):
    """What napari leaves and says when the person has dragged a shape."""
    layer._data_view.shift(shape, by)
    layer.events.data(value=layer.data, action="changed", data_indices=(shape,), vertex_indices=((),))


def test_a_proposal_is_an_outline_and_use_makes_it_the_field_of_view(session, panel, round_scan, qtbot):
    active = session.viewer.layers.selection.active
    panel.propose_button.click()
    qtbot.waitUntil(lambda: panel.outline.shape is not None, timeout=60_000)
    found = panel.outline.shape
    assert (found.cy, found.cx, found.r) == pytest.approx((40, 44, 33), abs=1)
    (layer,) = outlines(session)
    assert layer.shape_type == ["ellipse"]
    assert session.viewer.layers.selection.active is active
    assert session.scan.field_of_view is None
    assert "proposed" in panel.state.text()
    assert panel.use_button.isVisibleTo(panel)
    assert not panel.propose_button.isVisibleTo(panel)
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        panel.use_button.click()
    assert outlines(session) == []
    assert session.scan.field_of_view == found
    assert Scan.open(round_scan).field_of_view == found
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        panel.none_button.click()
    assert Scan.open(round_scan).field_of_view is None


def test_none_puts_a_proposal_aside_and_counts_nothing_again(session, panel, qtbot):
    panel.propose_button.click()
    qtbot.waitUntil(lambda: panel.outline.shape is not None, timeout=60_000)
    panel.none_button.click()
    assert outlines(session) == []
    assert not session.jobs.jobs
    assert panel.propose_button.isVisibleTo(panel)


def test_where_nothing_is_plain_to_see_it_is_said(opened, qtbot):
    dock = ScanDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.field.propose_button.click()
    qtbot.waitUntil(lambda: "no circle or box" in dock.field.note.text(), timeout=60_000)
    assert outlines(opened) == []


def test_the_outline_follows_the_plane_in_view(session, panel, qtbot):
    panel.propose_button.click()
    qtbot.waitUntil(lambda: panel.outline.shape is not None, timeout=60_000)
    (layer,) = outlines(session)
    session.viewer.dims.set_point(0, 7)
    assert set(np.asarray(layer.data[0])[:, 0]) == {7}
    session.viewer.dims.order = (1, 0, 2)
    session.viewer.dims.set_point(1, 40)
    assert layer.shape_type == ["line", "line"]
    assert sorted(float(line[0][2]) for line in layer.data) == pytest.approx([44 - 33, 44 + 33], abs=1)
    session.viewer.dims.set_point(1, 2)
    assert len(layer.data) == 0
    session.viewer.dims.ndisplay = 3
    assert len(layer.data) == 0


def test_the_outline_is_dragged_stretched_and_stays_a_circle(session, panel, round_scan, qtbot):
    panel.edit_button.click()
    qtbot.waitUntil(lambda: panel.outline.editing, timeout=60_000)
    (layer,) = outlines(session)
    assert session.viewer.layers.selection.active is layer
    assert str(layer.mode) == "select"
    assert layer.selected_data == {0}
    before = panel.outline.shape
    dragged(layer, np.array([4, -2]))
    qtbot.waitUntil(lambda: panel.outline.shape != before, timeout=60_000)
    assert panel.outline.shape == Cylinder(before.cy + 4, before.cx - 2, before.r)
    assert panel.edit.text() == str(panel.outline.shape)
    corners = np.array(layer.data[0])
    corners[2:, 1] += 10  # one side of the bounding box is pulled down
    layer.data = [(corners, "ellipse")]
    layer.events.data(value=layer.data, action="changed", data_indices=(0,), vertex_indices=((),))
    qtbot.waitUntil(lambda: panel.outline.shape.r == before.r + 5, timeout=60_000)
    drawn = np.ptp(np.array(layer.data[0]), axis=0)
    assert drawn[1] == pytest.approx(drawn[2])
    wish = panel.outline.shape
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        panel.use_button.click()
    assert Scan.open(round_scan).field_of_view == wish


def test_a_rectangle_drawn_while_editing_makes_a_box_and_a_deleted_one_comes_back(session, panel, qtbot):
    panel.edit_button.click()
    qtbot.waitUntil(lambda: panel.outline.editing, timeout=60_000)
    (layer,) = outlines(session)
    layer.add_rectangles(np.array([[0, 9.5, 19.5], [0, 9.5, 69.5], [0, 59.5, 69.5], [0, 59.5, 19.5]]))
    wanted = BoxView(Box((0, 10, 20), (12, 60, 70)))
    qtbot.waitUntil(lambda: panel.outline.shape == wanted, timeout=60_000)
    assert layer.shape_type == ["rectangle"]
    layer.selected_data = {0}
    layer.remove_selected()
    qtbot.waitUntil(lambda: len(layer.data) == 1, timeout=60_000)
    assert panel.outline.shape == wanted


def test_the_outline_is_written_where_no_mouse_is_at_hand(session, panel, round_scan, qtbot):
    panel.edit_button.click()
    qtbot.waitUntil(lambda: panel.outline.editing, timeout=60_000)
    assert panel.edit.isVisibleTo(panel)
    panel.edit.clear()
    qtbot.keyClicks(panel.edit, "cylinder:30,30,")
    assert panel.outline.shape != Cylinder(30, 30, 20)
    qtbot.keyClicks(panel.edit, "20")
    assert panel.outline.shape == Cylinder(30, 30, 20)
    panel.edit.setText("cylinder:30,30")
    panel.use_button.click()
    assert "CY,CX,R" in panel.note.text()
    assert session.scan.field_of_view is None
    panel.edit.setText("box:0:12,5:70,5:80")
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        panel.use_button.click()
    assert Scan.open(round_scan).field_of_view == BoxView(Box((0, 5, 5), (12, 70, 80)))


def test_leaving_edit_or_deleting_the_layer_changes_nothing(session, panel, qtbot):
    active = session.viewer.layers.selection.active
    panel.edit_button.click()
    qtbot.waitUntil(lambda: panel.outline.editing, timeout=60_000)
    panel.edit_button.click()
    assert outlines(session) == []
    assert session.viewer.layers.selection.active is active
    panel.edit_button.click()
    qtbot.waitUntil(lambda: panel.outline.editing, timeout=60_000)
    session.viewer.layers.remove(outlines(session)[0])
    assert not panel.edit_button.isChecked()
    assert session.scan.field_of_view is None
    assert not session.jobs.jobs


def test_what_an_import_finds_is_shown_for_approval(session, tmp_path, round_scan, qtbot):
    from lithoscope._napari.actions import ImportWish, import_scan

    dock = ScanDock(session.viewer)
    qtbot.addWidget(dock)
    import_scan(session, ImportWish(tmp_path / "round.npy", None, tmp_path / "again.zarr"))
    qtbot.waitUntil(lambda: dock.field.outline.shape is not None, timeout=60_000)
    assert dock.field.outline.shape == session.scan.field_of_view
    before = session.scan
    dock.field.use_button.click()
    assert outlines(session) == []
    assert session.scan is before
    assert not session.jobs.jobs


PLACES = [Plane(0, 3), Plane(1, 20), Plane(2, 30)]


@pytest.mark.parametrize("plane", PLACES)
def test_a_box_that_is_drawn_and_read_back_is_the_same(plane):
    view = BoxView(Box((2, 5, 7), (9, 60, 61)))
    ((vertices, kind),) = drawn_on(view, plane, SHAPE)
    assert read_back(vertices, kind, view, plane, SHAPE) == view


def test_a_circle_that_is_drawn_and_read_back_is_the_same():
    view = Cylinder(40.5, 44.2, 33.3)
    ((vertices, kind),) = drawn_on(view, PLACES[0], SHAPE)
    assert read_back(vertices, kind, view, PLACES[0], SHAPE) == view
