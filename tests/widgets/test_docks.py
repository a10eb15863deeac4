"""The docks, driven as a person would, without a window of napari's."""

import shutil

import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QWidget

from lithoscope._napari.dock import NARROWEST, WIDEST
from lithoscope._napari.scan_dock import ScanDock
from lithoscope._napari.scrolling_column import ScrollingColumn
from lithoscope._napari.segment_dock import SegmentDock
from lithoscope._napari.voxel_field import voxel_typed
from lithoscope.errors import InputError
from lithoscope.volume.voxel import Voxel


@pytest.fixture
def scan_dock(session, qtbot):
    made = ScanDock(session.viewer)
    qtbot.addWidget(made)
    made.resize(360, 700)
    made.show()
    return made


@pytest.fixture
def segment_dock(session, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    made = SegmentDock(session.viewer)
    qtbot.addWidget(made)
    made.resize(360, 800)
    made.show()
    return made


def test_without_a_scan_every_dock_offers_the_same_three_ways(scan_dock, segment_dock):
    for dock in (scan_dock, segment_dock):
        assert not dock.body.isVisibleTo(dock)
        for button in (dock.start.open_button, dock.start.import_button, dock.start.sample_button):
            assert button.isVisibleTo(dock)


def test_every_control_has_a_name_and_is_reached_by_tab(opened, scan_dock, segment_dock):
    for dock in (scan_dock, segment_dock):
        for kind in (QAbstractButton, QComboBox, QLineEdit):
            for widget in dock.findChildren(kind):
                if widget.isVisibleTo(dock) and not widget.objectName().startswith("qt_"):
                    assert widget.accessibleName() or getattr(widget, "text", str)(), widget


@pytest.mark.parametrize("width", [360, 500])
def test_nothing_needs_more_than_360_pixels(opened, scan_dock, segment_dock, width):
    for dock in (scan_dock, segment_dock):
        dock.resize(width, 800)
        assert dock.body.minimumSizeHint().width() <= 360 - 30


def test_a_dock_is_never_narrower_than_what_it_holds(opened, scan_dock, qtbot):
    column = scan_dock.findChild(ScrollingColumn)
    wide = QWidget()
    wide.setMinimumWidth(400)
    scan_dock.body.layout().addWidget(wide)
    qtbot.waitUntil(lambda: scan_dock.minimumWidth() > 400)
    scan_dock.resize(320, 700)
    qtbot.waitUntil(lambda: column.viewport().width() >= column.widget().minimumSizeHint().width())
    wide.setMinimumWidth(2000)
    qtbot.waitUntil(lambda: scan_dock.minimumWidth() == WIDEST)
    wide.setMinimumWidth(0)
    qtbot.waitUntil(lambda: NARROWEST <= scan_dock.minimumWidth() < 400)


def test_the_scan_dock_tells_the_facts_and_sets_the_voxel_size(opened, scan_dock, qtbot):
    scan_dock.voxel_edit.setText("5 2.5 2.5")
    scan_dock.unit_edit.setCurrentText("µm")
    with qtbot.waitSignal(opened.facts_changed, timeout=5_000):
        scan_dock.voxel_button.click()
    assert opened.scan.voxel == Voxel((5, 2.5, 2.5))
    assert tuple(opened.layer("strokes").scale) == (5, 2.5, 2.5)
    assert str(opened.layer("image").units[0]) == "micrometer"


def test_a_voxel_size_is_one_number_or_three():
    assert voxel_typed("2.5", "µm") == Voxel((2.5, 2.5, 2.5))
    assert voxel_typed("", "µm") is None
    for words in ("1 2", "many", "1 2 3 4"):
        with pytest.raises(InputError):
            voxel_typed(words, "mm")


def test_the_preview_follows_thresholds_and_slider(opened, segment_dock, qtbot):
    qtbot.waitUntil(lambda: opened.layer("preview") is not None, timeout=60_000)
    assert len(segment_dock.methods.plot.thresholds) == 2
    opened.viewer.dims.set_point(0, 5)
    volume = np.asarray(opened.scan.levels[0][:])

    def shows(z, bounds):
        layer = opened.layer("preview")
        expected = np.digitize(volume[z], bounds, right=True) + 1
        return layer is not None and layer.data.index == z and np.array_equal(layer.data[z], expected)

    qtbot.waitUntil(lambda: shows(5, segment_dock.methods.plot.thresholds), timeout=5_000)
    segment_dock.methods.plot.moved.emit((80.0, 140.0))
    assert segment_dock.methods.name == "threshold"
    qtbot.waitUntil(lambda: shows(5, (80, 140)), timeout=5_000)
    before = opened.layer("preview")
    segment_dock.methods.live.setChecked(False)
    assert not before.visible
    segment_dock.methods.live.setChecked(True)
    qtbot.waitUntil(lambda: before.visible, timeout=5_000)
    assert opened.layer("preview") is before, "removing a layer holds the window up"
    before.visible = False
    segment_dock.methods.plot.moved.emit((90.0, 140.0))
    qtbot.waitUntil(lambda: shows(5, (90, 140)), timeout=5_000)
    assert not before.visible, "who hides the preview does not want it back"


def test_a_scan_that_is_deleted_while_it_is_open_is_not_shown_as_zeros(opened, segment_dock, qtbot):
    qtbot.waitUntil(lambda: opened.layer("preview") is not None, timeout=60_000)
    shutil.rmtree(opened.scan.path)
    opened.viewer.dims.set_point(0, 5)
    qtbot.waitUntil(lambda: "is gone" in segment_dock.methods._beneath.text(), timeout=5_000)
    qtbot.waitUntil(lambda: not opened.layer("preview").visible, timeout=60_000)


def test_classes_are_added_renamed_and_kept_while_painted(opened, segment_dock, qtbot):
    segment_dock.classes._add.click()
    segment_dock.classes._add.click()
    assert opened.classes.ids == (1, 2)
    assert opened.painting.chosen == 2
    segment_dock.classes._rows.item(0, 2).setText("pore")
    assert opened.classes[1].name == "pore"
    strokes = opened.layer("strokes")
    strokes.brush_size = 1
    strokes.paint((3, 3, 3), 2)
    qtbot.waitUntil(lambda: segment_dock.classes._rows.item(1, 4).text() == "1", timeout=5_000)
    segment_dock.classes._remove.click()
    assert opened.classes.ids == (1, 2)
    opened.painting.undo()
    qtbot.waitUntil(lambda: segment_dock.classes._rows.item(1, 4).text() == "", timeout=5_000)
    segment_dock.classes._remove.click()
    assert opened.classes.ids == (1,)


def test_a_taken_name_is_refused_before_the_run(opened, segment_dock, monkeypatch):
    monkeypatch.setattr(opened, "results", lambda: ["otsu"])
    segment_dock.methods.output.setText("otsu")
    segment_dock.methods._check()
    assert not segment_dock.methods.run_button.isEnabled()
    segment_dock.methods.output.setText("otsu-2")
    segment_dock.methods._check()
    assert segment_dock.methods.run_button.isEnabled()


def test_the_method_and_its_settings_come_back_with_the_scan(opened, segment_dock, qtbot):
    segment_dock.methods.choose("otsu", {"classes": 4})
    opened.viewer.dims.set_point(0, 9)
    segment_dock._remembered.save()
    path = opened.scan.path
    opened.forget()
    segment_dock.methods.choose("threshold")
    with qtbot.waitSignal(opened.scan_changed, timeout=60_000):
        opened.open(path)
    assert segment_dock.methods.name == "otsu"
    assert segment_dock.methods.values()["classes"] == 4
    assert opened.viewer.dims.point[0] == 9


def test_hints_are_shown_until_they_are_read(opened, segment_dock):
    assert segment_dock._hints.isVisibleTo(segment_dock)
    segment_dock._got_it.click()
    assert not segment_dock._hints.isVisibleTo(segment_dock)
    segment_dock.on_scan()
    assert not segment_dock._hints.isVisibleTo(segment_dock)


def test_the_import_button_names_the_layer_in_view(session, scan_dock):
    assert scan_dock.start.import_button.text() == "Import a file …"
    session.viewer.add_image(np.zeros((4, 8, 8)), name="drill core")
    assert scan_dock.start.import_button.text() == "Import drill core …"


def test_a_layer_in_memory_becomes_a_scan_in_its_place(session, scan_dock, tmp_path, qtbot):
    image = np.random.default_rng(0).integers(0, 99, (6, 20, 24), np.uint8)
    session.viewer.add_image(image, name="made", scale=(2, 1, 1), units=("um", "um", "um"))
    scan_dock.start.import_button.click()
    scan_dock.start.form._target.setText(str(tmp_path / "made.zarr"))
    scan_dock.start.form._go.click()
    qtbot.waitUntil(lambda: session.scan is not None, timeout=60_000)
    assert session.scan.voxel == Voxel((2, 1, 1))
    np.testing.assert_array_equal(session.scan.levels[0][:], image)
    assert [layer.name for layer in session.viewer.layers] == ["made", "made · strokes"]


def test_a_box_is_tried_around_the_middle_of_the_view(opened, segment_dock, qtbot):
    qtbot.waitUntil(lambda: segment_dock.methods.try_button.isEnabled(), timeout=60_000)
    segment_dock.methods.try_button.click()
    qtbot.waitUntil(lambda: opened.shown == "otsu-box", timeout=60_000)
