"""The Teach page, driven as a person would: marks, what is missing, teaching in the worker, using it, and the review grid."""

from types import SimpleNamespace

import numpy as np
import pytest
from library_data import SMALL, small_scan, textured
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLineEdit

from lithoscope._napari.pages import Pages
from lithoscope._napari.review_grid import ReviewGrid
from lithoscope._napari.similar_dock import SimilarDock
from lithoscope.similarity.marks import place
from lithoscope.volume.lock import WriterLock

LONG = 400_000
"""Milliseconds that the worker may take, which imports torch first, on a machine with other work."""


@pytest.fixture
def proposals(tmp_path):
    made = []
    for i in range(7):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.full((40, 40), 30 * i, np.uint8)).save(path)
        made.append({"item": f"p{i}", "label": "sand" if i % 2 else "clay", "distance": 0.1, "margin": 0.3 - 0.01 * i, "nearest": "a"})
        made[-1]["picture"] = str(path)
    return made


@pytest.fixture
def grid(qtbot, proposals):
    made = ReviewGrid()
    qtbot.addWidget(made)
    made.resize(330, 500)
    made.show_proposals(proposals)
    made.show()
    return made


def test_keys_accept_reject_and_take_back(grid, qtbot):
    tiles = grid.tiles
    first = tiles.item(0).data(256)["item"]
    qtbot.keyClick(tiles, Qt.Key.Key_A)
    assert tiles.decisions() == {first: True}
    assert tiles.currentRow() == 1, "it goes on to the next"
    second = tiles.item(1).data(256)["item"]
    qtbot.keyClick(tiles, Qt.Key.Key_R)
    assert tiles.decisions() == {first: True, second: False}
    qtbot.keyClick(tiles, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert tiles.decisions() == {first: True}
    tiles.selectAll()
    qtbot.keyClick(tiles, Qt.Key.Key_R)
    assert not any(tiles.decisions().values())
    grid.undo_button.click()
    assert tiles.decisions() == {first: True}, "what was said of many is one step to take back"


def test_proposals_of_a_class_lie_together_the_surest_first(grid):
    labels = [grid.tiles.item(i).text() for i in range(7)]
    assert labels == ["clay"] * 4 + ["sand"] * 3
    margins = [grid.tiles.item(i).data(256)["margin"] for i in range(4)]
    assert margins == sorted(margins, reverse=True)


def test_a_review_is_done_when_everything_was_answered(grid, qtbot):
    assert not grid.done_button.isEnabled()
    grid.tiles.say(False, [2])
    assert not grid.done_button.isEnabled()
    grid.rest_button.click()
    assert "6 accepted, 1 rejected, 0 to be looked at" in grid._line.text()
    with qtbot.waitSignal(grid.done) as heard:
        grid.done_button.click()
    assert len(heard.args[0]) == 7
    assert sum(heard.args[0].values()) == 6


def test_a_double_click_changes_one(grid):
    item = grid.tiles.item(3)
    grid.tiles.itemDoubleClicked.emit(item)
    grid.tiles.itemDoubleClicked.emit(item)
    assert grid.tiles.decisions() == {item.data(256)["item"]: False}


def test_one_page_is_in_sight(qtbot):
    from qtpy.QtWidgets import QLabel

    parts = {"Find": QLabel("a"), "Teach": QLabel("b")}
    made = Pages(parts)
    qtbot.addWidget(made)
    made.show()
    assert [p.isVisible() for p in parts.values()] == [True, False]
    made.buttons["Teach"].click()
    assert [p.isVisible() for p in parts.values()] == [False, True]


@pytest.fixture
def dock(session, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.similar_dock.library_place", lambda: tmp_path / "none")
    monkeypatch.setenv("LITHOSCOPE_BACKBONES", str(tmp_path / "backbones"))
    made = SimilarDock(session.viewer)
    qtbot.addWidget(made)
    made.resize(360, 1000)
    made.show()
    return made


@pytest.fixture
def asked(dock, session, tmp_path, qtbot):
    """A library of four scans with metadata, one open, and the Teach page in sight."""
    pytest.importorskip("lancedb")
    pytest.importorskip("torch")
    from lithoscope.retrieval.adding import add
    from lithoscope.retrieval.metadata import read_csv

    names = ["stripes-1", "stripes-2", "grains-1", "grains-2"]
    for i, name in enumerate(names):
        small_scan(tmp_path, name, textured(name.split("-")[0], seed=i))
    rows = "\n".join(f"{n},{n.split('-')[0]},{0.1 + 0.05 * i}" for i, n in enumerate(names))
    (tmp_path / "lab.csv").write_text(f"scan,rock,porosity\n{rows}\n")
    add(str(tmp_path / "lib"), [tmp_path / f"{n}.zarr" for n in names], metadata=read_csv(tmp_path / "lab.csv"), **SMALL)
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.open(tmp_path / "stripes-1.zarr")
    with qtbot.waitSignal(dock.finder.loaded, timeout=60_000):
        dock.library.place_edit.setText(str(tmp_path / "lib"))
        dock.library.place_edit.editingFinished.emit()
    dock.pages.turn("Teach")
    return dock


def choose(combo, data):
    combo.setCurrentIndex(combo.findData(data))
    assert combo.currentData() == data


def test_every_control_has_a_name_and_fits_into_360_pixels(dock, opened):
    dock.pages.turn("Teach")
    page = dock.teaching
    for part in (page.review, page.stop_button, page.use_button, page.curve, page.words, page.pool_edit):
        part.show()
    for kind in (QAbstractButton, QComboBox, QLineEdit):
        for widget in page.findChildren(kind):
            if widget.isVisibleTo(dock) and not widget.objectName().startswith("qt_"):
                assert widget.accessibleName() or getattr(widget, "text", str)(), widget
    assert dock.body.minimumSizeHint().width() <= 360 - 30


def test_it_says_what_is_missing(asked):
    page = asked.teaching
    assert "mark found places" in page.note.text()
    assert not page.teach_button.isEnabled()
    choose(page.sources.what, "folder")
    assert "choose a folder" in page.note.text()
    choose(page.sources.what, "rock")
    assert page.teach_button.isEnabled()
    page.form.set_values({"method": "siamese"})
    page._on_form()
    assert "tick a property" in page.note.text()
    page.sources.columns.item(0).setCheckState(Qt.CheckState.Checked)
    assert page.sources.arguments()["properties"] == ["porosity"]
    assert page.teach_button.isEnabled()
    page.name_edit.setText("a/b")
    assert "without slashes" in page.note.text()


def test_marks_are_kept_with_the_library_and_taken_back(asked, qtbot):
    from lithoscope.volume.box import Box

    asked.pages.turn("Find")
    seen = []
    asked.finder.answered.connect(seen.append)
    from lithoscope._napari.similar_finder import Question

    asked._ask(Question(Box((0, 0, 0), (16, 16, 16))))
    qtbot.waitUntil(lambda: bool(seen) and not seen[-1].rough, timeout=60_000)
    row = asked.mark_row
    assert not row.alike_button.isEnabled()
    for i in (0, 1):
        asked.hits.item(i).setSelected(True)
    with qtbot.waitSignal(row.changed, timeout=60_000):
        row.alike_button.click()
        assert not row.alike_button.isEnabled(), "one at a time"
    qtbot.waitUntil(lambda: "3 pairs alike, 0 unlike" in row._line.text(), timeout=60_000)
    asked.hits.clearSelection()
    asked.hits.item(3).setSelected(True)
    with WriterLock(place(asked.finder.memory.library).with_name(".marks.json.writing"), "the marks"):
        row.unlike_button.click()
        qtbot.waitUntil(lambda: "another window may be marking" in row._line.text(), timeout=60_000)
        asked.hits.item(2).setSelected(True)
        assert "another window may be marking" in row._line.text()
    qtbot.waitUntil(lambda: "3 pairs alike, 1 unlike" in row._line.text(), timeout=60_000)
    choose(asked.teaching.sources.what, "marks")
    assert asked.teaching.sources.problem() == ""
    with qtbot.waitSignal(row.changed, timeout=60_000):
        row.back_button.click()
    qtbot.waitUntil(lambda: "3 pairs alike, 0 unlike" in row._line.text(), timeout=60_000)
    with qtbot.waitSignal(asked.finder.loaded, timeout=60_000):
        asked.load(asked.library.place)
    qtbot.waitUntil(lambda: "3 pairs alike" in row._line.text(), timeout=60_000)


def test_nothing_is_taught_on_while_a_review_is_open(asked, proposals, session):
    page = asked.teaching
    choose(page.sources.what, "rock")
    assert page.teach_button.isEnabled(), page.note.text()
    rounds = [{"round": 1, "score": 0.6, "frozen": 0.5, "labels": 4}]
    page.show_answer({"rounds": rounds, "open": proposals, "done": "", "model": None})
    page.check()
    assert not page.teach_button.isEnabled()
    assert "review what is proposed after round 1" in page.note.text()
    page.teach()
    assert page._job is None, "nor by any other way"
    page.name_edit.setText("another")
    assert page.teach_button.isEnabled(), "another name is another teaching"


def test_a_review_after_which_nothing_can_be_taught_says_why(asked, proposals, session):
    page = asked.teaching
    choose(page.sources.what, "rock")
    page.show_answer({"rounds": [{"round": 1, "score": 0.6, "frozen": 0.5, "labels": 4}], "open": proposals, "done": "", "model": None})
    choose(page.sources.what, "marks")  # nothing is marked
    page._on_review_kept(SimpleNamespace(state="done"))
    assert page.note.text().startswith("the review is kept; to go on: mark found places")
    assert page._job is None
    assert not page.teach_button.isEnabled()
    assert page.sources.isVisibleTo(page), "what is missing can be given"


def test_what_came_of_it_tells_of_classes_that_did_not_teach():
    from lithoscope._napari.teach_page import came_of

    scores = {"frozen": 0.45, "taught": 0.6, "frozen_classes": 0.3, "taught_classes": 0.35}
    told = came_of({"method": "triplet", "kept": "taught", "scores": scores, "left_out_classes": ["azolla"]})
    assert told == "what is held out finds its like at .60, before at .45; classes that did not teach at .35, before at .30"


def test_a_network_is_taught_and_the_library_seen_by_it(asked, session, qtbot):
    page = asked.teaching
    choose(page.sources.what, "rock")
    quick = {"steps": 6, "every": 2, "backbone": "random-tiny", "tuning": "all", "rate": 0.003}
    page.form.set_values(quick)
    page.name_edit.setText("rocks")
    assert page.teach_button.isEnabled(), page.note.text()
    page.teach_button.click()
    qtbot.waitUntil(lambda: page._job is None, timeout=LONG)
    assert "what is held out f" in page.note.text(), page.note.text()
    assert page.curve.isVisibleTo(page)
    assert len(page.curve.held.yData) >= 2
    assert page.use_button.isVisibleTo(page) == ("finds its like at" in page.note.text())
    assert not page.teach_button.isEnabled(), "the name is taken"
    if page.use_button.isVisibleTo(page):
        with qtbot.waitSignal(asked.finder.loaded, timeout=LONG):
            page.use_button.click()
        assert asked.finder.memory.library.recipe.backbone.endswith("rocks")


def test_what_is_proposed_is_reviewed_and_taught_on(asked, session, qtbot):
    page = asked.teaching
    choose(page.sources.what, "rock")
    page.form.set_values({"steps": 2, "every": 2, "backbone": "random-tiny", "tuning": "all", "hold": 0.3})
    page.name_edit.setText("rounds")
    page.rounds.setChecked(True)
    arguments = {}
    original = session.run

    def run(command, given, title, then=None):
        if command == "similarity_train":
            given = {**given, "rules": {"rounds": "2", "margin": "0", "curated": "2", "agree": "0.4", "per_class": "4"}}
        arguments[command] = given
        return original(command, given, title, then)

    session.run = run
    page.teach_button.click()
    qtbot.waitUntil(lambda: page._job is None, timeout=LONG)
    if "unlabelled" in page.note.text() and not page.review.isVisibleTo(page):
        return  # every patch has a class by its scan
    assert page.review.tiles.count()
    assert not page.form.isVisibleTo(page), "the grid has the room"
    page.review.no_rest_button.click()
    page.review.done_button.click()
    qtbot.waitUntil(lambda: page._job is None and len(page._answer.get("rounds", [])) == 2, timeout=LONG)
    assert arguments["similarity_review"]["accept"] == []
