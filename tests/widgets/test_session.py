"""One session a viewer: the scan, its layers, its classes, and what is painted."""

import gc
import weakref

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils._proxies import PublicOnlyProxy

from lithoscope._napari import actions
from lithoscope._napari.preview import Plane
from lithoscope._napari.session import session_of
from lithoscope.classes import ClassTable


def names(session):
    return [layer.name for layer in session.viewer.layers]


def pore_and_grain(session):
    session.change_classes(ClassTable().add("pore").add("grain"))


def test_a_viewer_has_one_session_also_behind_its_proxy(viewer, session):
    assert session_of(viewer) is session
    assert session_of(PublicOnlyProxy(viewer)) is session
    assert session_of(ViewerModel()) is not session


def test_a_session_does_not_keep_its_viewer_alive(qapp):
    viewer = ViewerModel()
    session_of(viewer)
    gone = weakref.ref(viewer)
    del viewer
    gc.collect()
    assert gone() is None


def test_an_open_scan_has_its_layers_in_order_with_scale_and_contrast(opened):
    assert names(opened) == ["steps", "steps · strokes"]
    image = opened.layer("image")
    assert tuple(image.contrast_limits) == opened.scan.window
    np.testing.assert_array_equal(np.asarray(image.data[3]), opened.scan.levels[0][3])
    assert opened.layer("strokes").locked


def test_what_cannot_be_opened_is_told(session, tmp_path, qtbot):
    with qtbot.waitSignal(session.said, check_params_cb=lambda words, bad: bad, timeout=60_000) as told:
        session.open(tmp_path / "nothing.zarr")
    assert "nothing.zarr" in told.args[0]
    assert session.scan is None


def test_strokes_and_classes_come_back(opened, qtbot, viewer):
    pore_and_grain(opened)
    strokes = opened.layer("strokes")
    strokes.paint((5, 10, 10), 2)
    path, before = opened.scan.path, np.array(strokes.data[5])
    assert before.max() == 2
    opened.forget()
    assert not viewer.layers
    with qtbot.waitSignal(opened.scan_changed, timeout=60_000):
        opened.open(path)
    np.testing.assert_array_equal(opened.layer("strokes").data[5], before)
    assert [c.name for c in opened.classes] == ["pore", "grain"]


def test_a_drag_of_many_stamps_is_undone_as_one_stroke(opened):
    pore_and_grain(opened)
    strokes = opened.layer("strokes")
    strokes.paint((5, 30, 30), 1)
    with strokes.block_history():
        for x in range(8, 20, 3):
            strokes.paint((5, 10, x), 2)
    strokes.undo()
    assert set(np.unique(strokes.data[5])) == {0, 1}
    strokes.redo()
    assert set(np.unique(strokes.data[5])) == {0, 1, 2}
    strokes.undo()
    strokes.undo()
    assert not strokes.data[5].any()


def test_undo_is_the_journals_also_after_a_write_of_ours(opened):
    pore_and_grain(opened)
    strokes = opened.layer("strokes")
    strokes.paint((5, 30, 30), 1)
    strokes.data[5, 28:33, 28:33] = 2
    strokes.paint((5, 5, 5), 1)
    strokes.undo()
    assert (strokes.data[5, 28:33, 28:33] == 2).all()


def test_undo_says_where_it_was_when_that_is_not_in_view(opened, qtbot):
    pore_and_grain(opened)
    opened.layer("strokes").paint((5, 10, 10), 1)
    opened.viewer.dims.set_point(0, 20)
    with qtbot.waitSignal(opened.said) as told:
        opened.painting.undo()
    assert "z = 5" in told.args[0]


def test_choosing_a_class_takes_its_brush_in_hand(opened, qtbot):
    pore_and_grain(opened)
    with qtbot.waitSignal(opened.painting.class_chosen):
        opened.painting.choose_nth(2)
    strokes = opened.layer("strokes")
    assert opened.viewer.layers.selection.active is strokes
    assert (strokes.selected_label, str(strokes.mode)) == (2, "paint")
    opened.painting.choose_nth(9)
    assert strokes.selected_label == 2


def test_keys_come_before_those_of_napari(opened):
    pore_and_grain(opened)
    strokes, image = opened.layer("strokes"), opened.layer("image")
    bound = {str(key): action for key, action in image.keymap.items()}
    bound["2"](image)
    assert strokes.selected_label == 2
    held = bound["Space"](image)
    next(held)
    assert not strokes.visible
    assert next(held, None) is None
    assert strokes.visible


def test_the_plane_in_view_follows_slider_and_axes(opened):
    opened.viewer.dims.set_point(0, 7)
    assert opened.plane() == Plane(0, 7)
    opened.viewer.dims.order = (2, 0, 1)
    opened.viewer.dims.set_point(2, 11)
    assert opened.plane() == Plane(2, 11)
    opened.viewer.dims.ndisplay = 3
    assert opened.plane() is None


def test_painted_layers_too_large_for_3d_are_hidden_there(opened, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.layer_stack.LARGEST_IN_3D", 10)
    opened.viewer.dims.ndisplay = 3
    assert not opened.layer("strokes").visible
    opened.viewer.dims.ndisplay = 2
    assert opened.layer("strokes").visible


def test_deleting_the_image_closes_the_scan(opened, qtbot):
    with qtbot.waitSignal(opened.scan_changed):
        opened.viewer.layers.remove(opened.layer("image"))
    assert opened.scan is None
    assert not opened.viewer.layers


def test_a_second_window_reads_strokes_and_says_who_holds_them(opened, qtbot, scan_path):
    other = session_of(keep := ViewerModel())
    try:
        with qtbot.waitSignal(other.scan_changed, timeout=60_000):
            other.open(scan_path)
        assert "steps" in other.readonly
        assert not other.layer("strokes").editable
        assert opened.layer("strokes").editable
    finally:
        other.shut()
        del keep


def test_painted_voxels_are_counted(opened, qtbot):
    pore_and_grain(opened)
    strokes = opened.layer("strokes")
    strokes.brush_size = 1
    strokes.paint((5, 10, 10), 1)
    strokes.paint((9, 10, 10), 2)
    found = []
    opened.painting.count(found.append)
    qtbot.waitUntil(lambda: bool(found), timeout=5_000)
    assert found == [{1: 1, 2: 1}]


def test_a_scan_dropped_into_the_window_is_taken_up(session, scan_path, qtbot):
    from lithoscope._napari.reader import get_reader

    ((data, keywords, _),) = get_reader(str(scan_path))(str(scan_path))
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.viewer.add_image(data, **keywords)
    assert names(session) == ["steps", "steps · strokes"]


def test_an_unfinished_run_can_be_resumed_in_another_session(session, scan_path, qtbot):
    from lithoscope.job import Cancelled
    from lithoscope.labels.predict import segment
    from lithoscope.segmenters import segmenter
    from lithoscope.volume.scan import Scan

    def stop(progress):
        if progress.message.startswith("segmenting"):
            raise Cancelled

    with pytest.raises(Cancelled):
        segment(Scan.open(scan_path), segmenter("otsu")(), output="half", report=stop)
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.open(scan_path)
    assert session.results() == []
    assert [(name, record.method) for name, record in session.unfinished.items()] == [("half", "otsu")]


def test_a_scan_opened_anew_is_still_ones_own(opened, qtbot):
    path = opened.scan.path
    with qtbot.waitSignal(opened.scan_changed, timeout=60_000):
        opened.open(path)
    assert opened.readonly == ""
    assert opened.layer("strokes").editable
    assert names(opened) == ["steps", "steps · strokes"]


def test_a_result_is_shown_with_its_corrections(opened, qtbot):
    from lithoscope.labels.predict import segment
    from lithoscope.segmenters import segmenter

    segment(opened.scan, segmenter("otsu")(classes=2), output="otsu")
    opened.show_result("otsu")
    predicted = np.array(opened.layer("result").data[5])
    assert not opened.layer("result").editable
    opened.correct("otsu")
    opened.painting.choose(2)
    opened.layer("result").paint((5, 20, 4), 2)
    corrected = np.array(opened.layer("result").data[5])
    assert (corrected != predicted).any()
    opened.show_result("otsu")
    np.testing.assert_array_equal(np.array(opened.layer("result").data[5]), corrected)
    assert not opened.layer("result").editable
    opened.correct("otsu")
    opened.painting.undo()
    np.testing.assert_array_equal(np.array(opened.layer("result").data[5]), predicted)


def test_a_result_of_another_field_of_view_is_marked_as_such(opened, qtbot):
    from lithoscope.labels.predict import segment
    from lithoscope.segmenters import segmenter

    segment(opened.scan, segmenter("otsu")(classes=2), output="otsu")
    told = []
    opened.said.connect(lambda words, bad: told.append(words))
    opened.show_result("otsu")
    assert not told
    opened.scan.set(field_of_view="cylinder:20,24,10")
    opened.show_result("otsu")
    assert "another field of view" in told[-1]


def test_what_was_ended_before_it_wrote_anything_is_begun_anew_when_resumed(opened, monkeypatch):
    asked = []
    monkeypatch.setattr(opened, "run", lambda command, arguments, *_: asked.append(arguments["resume"]))
    actions.segment(opened, "otsu", {"classes": 3}, "otsu", resume=True)
    (opened.scan.labels_folder / "otsu.partial").mkdir(parents=True)
    actions.segment(opened, "otsu", {"classes": 3}, "otsu", resume=True)
    actions.segment(opened, "otsu", {"classes": 3}, "otsu")
    assert asked == [False, True, False]
