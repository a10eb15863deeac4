"""The Scan dock's filters: seen on the plane in view, run over the volume, and chosen for the methods."""

from importlib import import_module

import numpy as np
import pytest
from napari.layers import Image, Labels

from lithoscope._napari.scan_dock import ScanDock
from lithoscope._napari.segment_dock import SegmentDock
from lithoscope.filtering import filter_image, image_filter
from lithoscope.job import Cancelled
from lithoscope.parameters import configured


@pytest.fixture
def panel(opened, qtbot):
    dock = ScanDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.resize(360, 800)
    dock.show()
    made = dock.filter
    made.method.setCurrentIndex(made.method.findData("gaussian"))
    made.form.set_values({"sigma": 2.0})
    yield made
    made.live.setChecked(False)


@pytest.fixture
def segment(opened, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    made = SegmentDock(opened.viewer)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def smooth(opened):
    """The scan smoothed by that filter, as arrays (z, y, x)."""
    filter_image(opened.scan, configured(image_filter("gaussian"), {"sigma": 2.0}), "smooth")
    return np.asarray(opened.scan.array("smooth")[:])


def test_the_plane_in_view_is_shown_as_the_filter_makes_it(opened, panel, smooth, qtbot):
    panel.live.setChecked(True)
    for axis, index in ((0, 5), (0, 9), (2, 20)):
        opened.viewer.dims.order = (axis, *(a for a in range(3) if a != axis))
        opened.viewer.dims.set_point(axis, index)

        def shows(axis=axis, index=index):
            layer = opened.layer("preview")
            wanted = np.take(smooth, [index], axis)
            return isinstance(layer, Image) and layer.translate[axis] == index and np.array_equal(layer.data, wanted)

        qtbot.waitUntil(shows, timeout=60_000)
    panel.live.setChecked(False)
    assert not opened.layer("preview").visible


def test_a_filter_and_a_method_do_not_fight_for_the_preview(opened, panel, segment, qtbot):
    qtbot.waitUntil(lambda: isinstance(opened.layer("preview"), Labels), timeout=60_000)
    panel.live.setChecked(True)
    qtbot.waitUntil(lambda: isinstance(opened.layer("preview"), Image), timeout=60_000)
    panel.live.setChecked(False)
    qtbot.waitUntil(lambda: isinstance(opened.layer("preview"), Labels), timeout=60_000)


def test_a_chosen_image_is_shown_and_methods_work_on_it(opened, panel, segment, smooth, qtbot):
    opened.images.changed.emit()
    panel.image.setCurrentIndex(panel.image.findData("smooth"))
    with qtbot.waitSignal(opened.images.changed, timeout=60_000):
        panel.image.activated.emit(panel.image.currentIndex())
    layer = opened.layer("image")
    np.testing.assert_array_equal(np.asarray(layer.data[3]), smooth[3])
    assert layer.name == "steps · smooth image"
    opened.viewer.dims.set_point(0, 4)

    def shows():
        bounds, preview = segment.methods.plot.thresholds, opened.layer("preview")
        return preview is not None and len(bounds) > 0 and np.array_equal(preview.data[4], np.digitize(smooth[4], bounds, right=True) + 1)

    qtbot.waitUntil(shows, timeout=60_000)
    asked = []
    opened.run = lambda command, arguments, *_: asked.append(arguments)
    segment.methods.run()
    assert asked[0]["image"] == "smooth"
    with qtbot.waitSignal(opened.images.changed, timeout=60_000):
        opened.images.choose(None)
    np.testing.assert_array_equal(np.asarray(layer.data[3]), opened.scan.levels[0][3])
    assert layer.name == "steps"


def test_the_chosen_image_comes_back_with_the_scan(opened, segment, smooth, qtbot):
    with qtbot.waitSignal(opened.images.changed, timeout=60_000):
        opened.images.choose("smooth")
    segment._remembered.save()
    path = opened.scan.path
    opened.forget()
    assert opened.images.chosen is None
    opened.open(path)
    qtbot.waitUntil(lambda: opened.images.chosen == "smooth", timeout=60_000)
    np.testing.assert_array_equal(np.asarray(opened.layer("image").data[3]), smooth[3])


def test_a_filter_is_run_in_the_worker_and_its_image_chosen(opened, panel, qtbot):
    assert panel.output.text() == "gaussian"
    panel.run_button.click()
    qtbot.waitUntil(lambda: opened.images.chosen == "gaussian", timeout=60_000)
    assert panel.image.currentData() == "gaussian"
    assert panel.output.text() == "gaussian-2"
    panel.output.setText("gaussian")
    panel._check()
    assert not panel.run_button.isEnabled()


@pytest.mark.parametrize("name", ["rings", "normalise"])
def test_filters_that_judge_slices_are_previewed_on_every_plane(opened, panel, name, qtbot):
    filter_image(opened.scan, configured(image_filter(name), {}), name)
    whole = np.asarray(opened.scan.array(name)[:])
    panel.method.setCurrentIndex(panel.method.findData(name))
    panel.live.setChecked(True)
    for axis, index in ((0, 5), (1, 20), (1, 21), (2, 7)):
        opened.viewer.dims.order = (axis, *(a for a in range(3) if a != axis))
        opened.viewer.dims.set_point(axis, index)

        def shows(axis=axis, index=index):
            layer = opened.layer("preview")
            return isinstance(layer, Image) and layer.translate[axis] == index and np.array_equal(layer.data, np.take(whole, [index], axis))

        qtbot.waitUntil(shows, timeout=60_000)


def test_where_too_many_slices_would_be_read_it_is_said_in_one_line(opened, panel, qtbot, monkeypatch):
    monkeypatch.setattr(import_module("lithoscope.filtering.preview"), "LARGEST_LOOKED_THROUGH", 1000)
    panel.method.setCurrentIndex(panel.method.findData("rings"))
    opened.viewer.dims.order = (1, 0, 2)
    panel.live.setChecked(True)
    qtbot.waitUntil(lambda: "turn to a plane along z" in panel._note.text(), timeout=60_000)
    opened.viewer.dims.order = (0, 1, 2)
    qtbot.waitUntil(lambda: isinstance(opened.layer("preview"), Image) and opened.layer("preview").visible, timeout=60_000)
    assert "along z" not in panel._note.text()


def test_a_filter_that_was_stopped_is_resumed_as_it_was_begun(opened, panel, qtbot):
    def stop(progress):
        if progress.message.startswith("filtering") and progress.done:
            raise Cancelled

    scan, chosen = opened.scan, configured(image_filter("nlm"), {"search": 5})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(scan), "shard", property(lambda _: (8, 16, 16)))
        with pytest.raises(Cancelled):
            filter_image(scan, chosen, "stopped", report=stop)
    opened.images.changed.emit()
    assert "stopped" in panel.resume._words.text()
    assert panel.resume.button.isVisibleTo(panel)
    asked = []
    run = opened.run
    opened.run = lambda command, arguments, *rest: asked.append(arguments) or run(command, arguments, *rest)
    panel.resume.button.click()
    assert not panel.resume.isVisibleTo(panel)
    assert asked[0]["resume"]
    assert asked[0]["settings"]["search"] == 5
