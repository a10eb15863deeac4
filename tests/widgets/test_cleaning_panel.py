"""The section "Clean and separate" of the Segment dock, clicked through."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from lithoscope._napari.segment_dock import SegmentDock
from lithoscope.classes import Class, ClassTable
from lithoscope.labels.companions import table_place
from lithoscope.labels.results import create, open_result
from lithoscope.measure.grains import save_grains
from lithoscope.record import RunRecord


@pytest.fixture
def values():
    """Two pieces of class 1 in class 2, with specks and a neck, 24 × 40 × 48."""
    found = np.full((24, 40, 48), 2, np.uint8)
    z, y, x = np.ogrid[:24, :40, :48]
    for cx in (15, 30):
        found[(z - 12) ** 2 + (y - 20) ** 2 + (x - cx) ** 2 <= 81] = 1
    found[4, 5, 5:8] = found[12, 36, 44] = 1
    return found


@pytest.fixture
def dock(opened, qtbot, tmp_path, monkeypatch, values):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    table = ClassTable.of([Class(1, "grain", "#3b7dd8"), Class(2, "pore", "#e69f00", 1.0)])
    with create(opened.scan, "otsu", RunRecord("segment", "otsu", {}, {}), table) as writer:
        writer.write(opened.scan.box, values)
        writer.finish(writer.record)
    made = SegmentDock(opened.viewer)
    qtbot.addWidget(made)
    made.resize(360, 900)
    made.show()
    made.cleaning_fold.unfold()
    opened.show_result("otsu")
    yield made
    made.cleaning.preview.stop()


def test_without_a_result_it_says_what_is_missing(dock, opened):
    panel = dock.cleaning
    opened.show_result("")
    assert not panel._body.isVisibleTo(dock)
    assert "Choose a result" in panel.note.text()
    opened.show_result("otsu")
    assert panel._body.isVisibleTo(dock)
    assert panel.run_button.isEnabled()
    assert panel.output.text() == "otsu cleaned"


def test_every_step_is_written_as_the_command_line_takes_it(dock, opened):
    form = dock.cleaning.form
    assert str(form.step()) == "islands=200"
    form.size.setValue(50)
    form.choose_classes(1)
    form.neighbours.setCurrentIndex(2)
    form.to.setCurrentIndex(form.to.findData(2))
    assert str(form.step()) == "islands=50,class=1,connectivity=26,to=2"
    form.choose("holes")
    form.choose_classes()
    form.every.setChecked(True)
    assert str(form.step()) == "holes=all,connectivity=26"
    form.choose("largest")
    form.neighbours.setCurrentIndex(0)
    assert str(form.step()) == "largest,to=2"
    form.choose("through")
    form.axis.setCurrentIndex(2)
    form.to.setCurrentIndex(0)
    assert str(form.step()) == "through=x"
    form.choose("closing")
    assert "tick a class" in form.missing()
    assert not dock.cleaning.run_button.isEnabled()
    form.choose_classes(2)
    form.size.setValue(1.5)
    assert str(form.step()) == "closing=1.5,class=2"
    form.choose("merge")
    form.choose_classes(1, 2)
    assert str(form.step()) == "merge=1+2"
    form.choose("islands")
    assert form.size.value() == 50  # each step keeps its size
    for name in ("majority", "median", "opening", "renumber"):
        form.choose(name)
        assert not dock.cleaning._step_problem()


def test_sizes_can_be_in_the_unit_of_the_voxels(dock, opened, qtbot):
    from lithoscope._napari.actions import set_voxel
    from lithoscope.volume.voxel import Voxel

    form = dock.cleaning.form
    assert form.unit.count() == 1
    with qtbot.waitSignal(opened.facts_changed, timeout=60_000):
        set_voxel(opened, Voxel((2.0, 2.0, 2.0)))
    assert [form.unit.itemText(i) for i in range(2)] == ["voxels", "µm³"]
    form.unit.setCurrentIndex(1)
    form.size.setValue(64)
    assert str(form.step()) == "islands=64µm3"
    form.choose("majority")
    assert form.unit.itemText(1) == "µm"
    form.unit.setCurrentIndex(1)
    form.size.setValue(0.5)
    assert "less than a voxel" in dock.cleaning.note.text()


def test_the_plane_is_previewed_and_the_result_comes_back(dock, opened, values, qtbot):
    panel = dock.cleaning
    opened.viewer.dims.set_point(0, 12)
    panel.form.size.setValue(10)
    panel.preview_box.setChecked(True)
    after = values.copy()
    after[12, 36, 44] = after[4, 5, 5:8] = 2

    def shows(z):
        layer = opened.layer("preview")
        return isinstance(layer, Labels) and layer.visible and np.array_equal(layer.data[z], after[z])

    qtbot.waitUntil(lambda: shows(12), timeout=60_000)
    assert "1 voxels of this plane change" in panel.note.text()
    assert not opened.layer("result").visible
    opened.viewer.dims.set_point(0, 4)
    qtbot.waitUntil(lambda: shows(4), timeout=60_000)
    qtbot.waitUntil(lambda: "3 voxels" in panel.note.text(), timeout=60_000)
    panel.form.size.setValue(2)
    qtbot.waitUntil(lambda: "Nothing changes" in panel.note.text(), timeout=60_000)
    panel.preview_box.setChecked(False)
    assert opened.layer("result").visible
    assert not opened.layer("preview").visible
    panel.preview_box.setChecked(True)
    qtbot.waitUntil(lambda: opened.layer("preview").visible, timeout=60_000)
    dock.cleaning_fold.unfold(False)
    assert not panel.preview_box.isChecked()
    assert opened.layer("result").visible


def test_steps_in_order_make_a_new_result_which_is_shown(dock, opened, values, qtbot):
    panel = dock.cleaning
    panel.form.size.setValue(10)
    panel.then.click()
    panel.form.choose("merge")
    panel.form.choose_classes(1, 2)
    assert panel._list.text() == "islands=10 → merge=1+2"
    panel.clear.click()
    panel.form.choose("islands")
    panel.form.choose_classes()
    panel.then.click()
    panel.form.choose("majority")
    panel.output.setText("clean one")
    panel.output.textEdited.emit("clean one")
    panel.run_button.click()
    qtbot.waitUntil(lambda: opened.shown == "clean one", timeout=60_000)
    record = open_result(opened.scan, "clean one").record
    assert record.parameters["steps"] == ["islands=10", "majority=1"]
    assert (open_result(opened.scan, "clean one").array[4, :8] == 2).all()
    assert panel.output.text() == "clean one cleaned"
    assert not panel._before


def test_a_result_is_cleaned_as_a_correction_and_taken_back_whole(dock, opened, values, qtbot):
    panel = dock.cleaning
    opened.correct("otsu")
    assert opened.correcting
    panel.form.size.setValue(10)
    panel.in_place.setChecked(True)
    assert panel.run_button.text() == "Correct"
    said = []
    opened.said.connect(lambda words, bad: said.append((words, bad)))
    panel.run_button.click()
    assert not opened.correcting  # the worker has the corrections
    qtbot.waitUntil(lambda: opened.correcting, timeout=60_000)
    assert ("4 voxels of otsu corrected; Ctrl+Z takes all of it back", False) in said
    layer = opened.layer("result")
    assert (np.asarray(layer.data[4, :8]) == 2).all()
    layer.undo()
    assert np.array_equal(np.asarray(layer.data[...]), values)
    panel.form.choose("renumber")
    assert "a correction cannot" in panel.note.text()
    assert not panel.run_button.isEnabled()


def test_grains_are_separated_with_their_table_their_plot_and_a_file(dock, opened, qtbot, tmp_path):
    panel = dock.cleaning
    panel.form.choose("separate")
    assert "tick the class" in panel.note.text()
    panel.form.choose_classes(1)
    assert panel.output.text() == "otsu grains"
    panel.run_button.click()
    qtbot.waitUntil(lambda: opened.shown == "otsu grains", timeout=60_000)
    grains = panel.grains
    qtbot.waitUntil(lambda: grains.table is not None, timeout=60_000)
    assert len(grains.table) == 4
    assert grains.isVisibleTo(dock)
    assert "4 grains" in grains._words.text()
    assert "numbered grains" in panel.note.text()
    assert not panel._body.isVisibleTo(dock)
    model = grains.view.grains
    assert (model.rowCount(), model.columnCount()) == (4, 6)
    grains.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    largest = int(model.data(model.index(0, 0))) - 1
    assert grains.table.diameter[largest] == grains.table.diameter.max()
    grains.view.doubleClicked.emit(model.index(0, 0))
    assert opened.viewer.dims.current_step[0] == pytest.approx(grains.table.centre[largest][0], abs=1)
    grains.kind.setCurrentIndex(1)
    place, former = table_place(opened.scan, "otsu grains"), grains.table
    save_grains(replace(former, voxels=former.voxels + 1), place)  # as when the result is made anew under its name
    opened.results_changed.emit()
    qtbot.waitUntil(lambda: grains.table not in (None, former), timeout=120_000)
    assert (grains.table.voxels == former.voxels + 1).all()
    grains.save.click()
    opened.show_result("otsu")
    assert not grains.isVisibleTo(dock)
    grains.findChild(QFileDialog).fileSelected.emit(str(tmp_path / "sand.csv"))
    qtbot.waitUntil(lambda: (tmp_path / "sand-sizes.csv").exists(), timeout=60_000)
    with (tmp_path / "sand.csv").open(newline="", encoding="utf-8") as file:
        assert [int(row["voxels"]) for row in csv.DictReader(file)] == (former.voxels + 1).tolist(), (
            "those it was asked for, whatever is on show by then"
        )
    assert panel._body.isVisibleTo(dock)


def test_a_name_that_is_taken_is_said_before_the_run(dock):
    panel = dock.cleaning
    panel.output.setText("Otsu")
    panel.output.textEdited.emit("Otsu")
    assert "already" in panel.note.text()
    assert not panel.run_button.isEnabled()
