"""The list of classes: names, colours and porosities, by mouse and by keyboard."""

import shutil

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QLineEdit

from lithoscope._napari.class_table import COUNT, NAME, POROSITY, ClassList
from lithoscope._napari.segment_dock import SegmentDock
from lithoscope.classes import ClassTable
from lithoscope.labels.predict import segment
from lithoscope.labels.results import open_result
from lithoscope.segmenters import segmenter


@pytest.fixture
def rows(qtbot):
    """A list of two classes that takes up what the person wants."""
    made = ClassList()
    qtbot.addWidget(made)
    made.edited.connect(made.show_classes)
    made.show_classes(ClassTable().add("pore").add("clay"))
    made.resize(330, 200)
    made.show()
    return made


def test_a_porosity_is_typed_into_its_cell(rows, qtbot):
    table = rows._rows
    table.setFocus()
    table.setCurrentCell(1, POROSITY)
    assert table.editTriggers() & QAbstractItemView.EditTrigger.EditKeyPressed
    table.editItem(table.item(1, POROSITY))
    editor = table.findChild(QLineEdit)
    editor.setText("0,25")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: rows._table[2].porosity == 0.25, timeout=60_000)
    assert table.item(1, POROSITY).text() == "0.25"
    assert table.item(1, POROSITY).data(Qt.ItemDataRole.AccessibleDescriptionRole) == "porosity of clay"


@pytest.mark.parametrize("words", ["much", "2", "-0.1", ""])
def test_what_is_no_porosity_is_refused_and_put_back(rows, qtbot, words):
    with qtbot.waitSignal(rows.refused) as told:
        rows._rows.item(0, POROSITY).setText(words)
    assert "0" in told.args[0]
    assert rows._rows.item(0, POROSITY).text() == "1"


def test_renaming_to_a_pore_makes_it_one(rows):
    rows._rows.item(1, NAME).setText("void")
    assert rows._rows.item(1, POROSITY).text() == "1"


def test_the_columns_fit_into_a_narrow_dock(rows):
    rows.show_counts({1: 123_456_789})
    assert rows._rows.item(0, COUNT).text() == "123,456,789"
    assert rows.minimumSizeHint().width() <= 330
    assert sum(rows._rows.columnWidth(c) for c in range(5) if c != NAME) < 200


def test_classes_of_a_result_are_described_while_it_is_corrected(opened, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    dock = SegmentDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.show()
    segment(opened.scan, segmenter("otsu")(classes=2), output="otsu")
    opened.correct("otsu")
    assert not dock.classes._add.isVisibleTo(dock)
    dock.classes._rows.item(1, NAME).setText("grain")
    dock.classes._rows.item(1, POROSITY).setText("0.1")
    found = open_result(opened.scan, "otsu").classes
    assert [(c.name, c.porosity) for c in found] == [("class 1", 1.0), ("grain", 0.1)]
    assert opened.palette[2].name == "grain"
    assert not opened.classes.ids


def test_a_class_added_after_the_scan_was_deleted_brings_nothing_back(opened, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    dock = SegmentDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.show()
    path, sidecar = opened.scan.path, opened.scan.sidecar
    shutil.rmtree(path)
    shutil.rmtree(sidecar)
    with qtbot.waitSignal(opened.said, check_params_cb=lambda words, bad: bad and "is gone" in words, timeout=60_000):
        dock.classes._add.click()
    assert not opened.classes.ids
    dock._remembered.save()
    opened.forget()
    assert not path.exists()
    assert not sidecar.exists()
