"""The Similar dock, driven as a person would: asked by box, stroke and spot; hits gone to, taken as examples and as labels."""

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from library_data import SMALL, small_scan
from napari.layers import Image, Labels
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLineEdit

from lithoscope._napari.filter_panel import FilterPanel
from lithoscope._napari.segment_dock import SegmentDock
from lithoscope._napari.similar_dock import SimilarDock
from lithoscope._napari.similar_finder import question_box
from lithoscope._napari.worker_client import WorkerClient
from lithoscope.classes import ClassTable
from lithoscope.errors import MissingError
from lithoscope.labels.predict import segment
from lithoscope.retrieval.metadata import read_csv
from lithoscope.segmenters import segmenter
from lithoscope.volume.box import Box


@pytest.fixture
def no_library(tmp_path, monkeypatch):
    """No library where one is looked for first."""
    monkeypatch.setattr("lithoscope._napari.similar_dock.library_place", lambda: tmp_path / "none")
    return tmp_path / "none"


@pytest.fixture
def dock(session, qtbot, no_library):
    made = SimilarDock(session.viewer)
    qtbot.addWidget(made)
    made.resize(360, 900)
    made.show()
    return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Two scans, and a library of both."""
    pytest.importorskip("lancedb")
    pytest.importorskip("torch")
    from lithoscope.retrieval.adding import add

    folder = tmp_path_factory.mktemp("lab")
    for name in ("stripes", "grains"):
        small_scan(folder, name)
    (folder / "lab.csv").write_text("scan,porosity,lithology\nstripes,0.2,shale\ngrains,,sand\n")
    add(str(folder / "lib"), [folder / "stripes.zarr", folder / "grains.zarr"], metadata=read_csv(folder / "lab.csv"), **SMALL)
    return folder


@pytest.fixture
def asked(dock, session, lab, qtbot):
    """The dock with the stripes open and the library read."""
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.open(lab / "stripes.zarr")
    with qtbot.waitSignal(dock.finder.loaded, timeout=60_000):
        dock.library.place_edit.setText(str(lab / "lib"))
        dock.library.place_edit.editingFinished.emit()
    return dock


def final(dock, qtbot, ask):
    """Ask, and wait until the place itself was looked at."""
    seen = []
    dock.finder.answered.connect(seen.append)
    ask()
    qtbot.waitUntil(lambda: bool(seen) and not seen[-1].rough, timeout=60_000)
    dock.finder.answered.disconnect(seen.append)
    return seen


def test_without_a_library_the_dock_says_how_to_make_one(dock, opened, scan_path, qtbot):
    assert "add this scan" in dock.library._line.text()
    assert not dock.ask_button.isEnabled()
    assert not dock._below.isVisibleTo(dock)


def test_every_control_has_a_name_and_fits_into_360_pixels(dock, opened):
    dock._below.show()
    dock.proposals.show()
    for kind in (QAbstractButton, QComboBox, QLineEdit):
        for widget in dock.findChildren(kind):
            if widget.isVisibleTo(dock) and not widget.objectName().startswith("qt_"):
                assert widget.accessibleName() or getattr(widget, "text", str)(), widget
    assert dock.body.minimumSizeHint().width() <= 360 - 30


def test_a_drawn_box_lies_within_the_scan_or_is_refused():
    assert question_box((20, 40, 40), 0, 3, [(-0.5, 9.5), (30.0, 60.0)], 8) == Box((0, 0, 30), (7, 11, 40))
    assert question_box((20, 40, 40), 2, 39, [(2.0, 2.0), (5.0, 6.0)], 1) == Box((2, 5, 39), (3, 7, 40))
    with pytest.raises(MissingError, match="outside the scan"):
        question_box((20, 40, 40), 0, 3, [(-30, -9.0), (3.0, 6.0)], 8)


def test_a_box_is_answered_at_once_and_then_looked_at(asked, qtbot):
    seen = final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    assert seen[0].rough
    assert not seen[-1].rough
    hits = asked.hits.hits()
    assert hits[0].name == "stripes"
    assert len(hits) == asked.hits.count()
    assert all(hit.name != "stripes" or not hit.box.intersect(seen[-1].question.box).size for hit in hits)
    assert asked.marks._layer is not None


def test_hits_are_grouped_voted_on_filtered_and_saved(asked, qtbot, session, tmp_path):
    final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    asked.group.setCurrentIndex(asked.group.findData("lithology"))
    assert "lithology: shale" in asked._vote.text()
    assert asked.hits.count() == len(asked.hits.hits()) + 2
    with qtbot.waitSignal(session.said, timeout=60_000):
        asked.save(str(tmp_path / "hits.csv"))
    rows = list(csv.DictReader((tmp_path / "hits.csv").open(encoding="utf-8")))
    found = asked._answer.found.hits
    assert [row["lithology"] for row in rows] == [hit.metadata["lithology"] for hit in found]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True), "grouped places are numbered anew"
    way = asked.way.currentIndex()
    asked.way.setCurrentIndex((way + 1) % asked.way.count())
    with qtbot.waitSignal(session.said, timeout=60_000):
        asked.save(str(tmp_path / "hits.csv"))
    assert list(csv.DictReader((tmp_path / "hits.csv").open(encoding="utf-8"))) == rows, "what is listed is what is saved"
    asked.way.setCurrentIndex(way)
    final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    with qtbot.waitSignal(session.said, timeout=60_000):
        asked.save(str(tmp_path / "hits.png"))
    assert (tmp_path / "hits.png").stat().st_size > 1000
    asked.where.setText("lithology = 'sand'")
    final(asked, qtbot, asked.where.returnPressed.emit)
    assert {hit.name for hit in asked.hits.hits()} == {"grains"}
    asked.where.setText("lithology = ")
    with qtbot.waitSignal(asked.finder.failed, timeout=60_000):
        asked.where.returnPressed.emit()
    assert "filter" in asked._line.text()


def test_examples_move_the_answer(asked, qtbot):
    final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    wrong = [i for i in range(asked.hits.count()) if asked.hits.item(i).data(256).name == "grains"][:2]
    for i in wrong:
        asked.hits.item(i).setSelected(True)
    rows = {hit.row for hit in asked.hits.chosen()}
    before = max(hit.similarity for hit in asked.hits.hits() if hit.name == "grains" and hit.row not in rows)
    final(asked, qtbot, asked.more_button.click)
    assert max(hit.similarity for hit in asked.hits.hits() if hit.name == "grains") > before
    assert not rows & {hit.row for hit in asked.hits.hits()}


def test_a_double_click_opens_the_other_scan_there(asked, qtbot, session):
    final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    other = next(hit for hit in asked.hits.hits() if hit.name == "grains")
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        asked.hits.wanted.emit(other)
    assert session.scan.name == "grains"
    assert other.box.start[0] <= session.plane().index < other.box.stop[0]
    assert other.box in asked.marks._boxes.values()
    assert session.viewer.layers.selection.active is not asked.marks._layer
    assert asked.hits.hits()


def test_strokes_and_spots_are_asked_for_on_their_own_plane(asked, qtbot, session):
    asked.way.setCurrentIndex(asked.way.findData("stroke"))
    asked.ask_button.click()
    assert "nothing is painted" in asked._line.text()
    session.change_classes(ClassTable.numbered(2))
    session.painting.choose(1)
    plane = session.plane()
    session.painting.strokes.write(Box((plane.index, 10, 10), (plane.index + 1, 20, 24)), None, 1)
    seen = final(asked, qtbot, asked.ask_button.click)
    assert set(seen[-1].query[1.0]) == {"z_mean"}
    assert seen[-1].question.box.shape == (1, 10, 14)
    seen = final(asked, qtbot, lambda: asked.ask_token(0, plane.index, [20, 20]))
    assert seen[-1].question.box.size <= 16


def test_proposals_follow_the_threshold_and_are_one_step_to_undo(asked, qtbot, session):
    session.change_classes(ClassTable.numbered(2))
    session.painting.choose(1)
    final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    mine = [i for i in range(asked.hits.count()) if asked.hits.item(i).data(256).name == "stripes"][:2]
    for i in mine:
        asked.hits.item(i).setSelected(True)
    with qtbot.waitSignal(asked.finder.proposed, timeout=60_000):
        asked.propose_button.click()
    panel, store = asked.proposals, session.painting.strokes
    counts = []
    for value in (0, 40, 100):
        panel.threshold.setValue(value)
        counts.append(int(panel._proposal.mask(value / 100).sum()))
    assert counts == sorted(counts, reverse=True)
    panel.threshold.setValue(0)
    box, mask = panel._proposal.box, panel._proposal.mask(0.0)
    assert mask.any()
    assert np.array_equal(session.layer("preview").data.plane > 0, mask)
    segment(session.scan, segmenter("otsu")(classes=2), output="otsu")
    session.correct("otsu")
    assert not panel.accept_button.isEnabled(), "the class chosen is now one of the result"
    assert "end the correction first" in panel._line.text()
    session.show_result("")
    session.painting.choose(1)
    assert panel.accept_button.isEnabled()
    with qtbot.waitSignal(asked.finder.proposed, timeout=60_000):
        panel.accept_button.click()
    assert np.array_equal(store.read(box) == 1, mask)
    session.painting.undo()
    assert not store.read(box).any()
    panel.close_button.click()
    assert not panel.isVisibleTo(asked)


def test_a_method_that_previews_does_not_paint_over_a_proposal(asked, qtbot, session, request):
    segment = SegmentDock(session.viewer)
    qtbot.addWidget(segment)
    request.getfixturevalue("proposed")
    asked.proposals.threshold.setValue(0)
    offered = asked.proposals._proposal.mask(0.0)
    with qtbot.waitSignal(segment.methods._work.done, timeout=60_000):
        segment.methods.update_preview()
    assert np.array_equal(np.asarray(session.layer("preview").data).any(0), offered[0])
    asked.proposals.close_button.click()
    qtbot.waitUntil(lambda: np.asarray(session.layer("preview").data).shape[1:] == session.scan.shape[1:], timeout=60_000)
    segment.put_away()


def test_the_dock_says_whether_the_open_scan_is_in_the_library_and_what_became_of_adding_it(asked, qtbot, session, lab, monkeypatch):
    assert "stripes is in it" in asked.library._line.text()
    small_scan(lab, "noise")
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.open(lab / "noise.zarr")
    assert "noise is not in it" in asked.library._line.text()
    begun = []
    monkeypatch.setattr(session, "run", lambda *words: begun.append(words))
    asked.library.add_button.click()
    assert asked.library._line.text() == "noise is being added …"
    assert not asked.library.add_button.isEnabled()
    session.scan_changed.emit()
    assert asked.library._line.text() == "noise is being added …"
    job = SimpleNamespace(state="cancelled", result={}, began=2.0)
    begun[0][3](job)
    assert "add it again to go on" in asked.library._line.text()
    assert asked.library.add_button.isEnabled()


def test_an_addition_cancelled_while_it_waited_says_that_nothing_was_added(dock, opened, fake_worker, monkeypatch):
    client = WorkerClient(command=fake_worker)
    client.finished.connect(opened._on_job)
    monkeypatch.setattr(opened, "jobs", client)
    client.submit("wait", {}, "another job")
    dock.library.add_button.click()
    client.cancel(client.jobs[-1])
    assert dock.library._line.text() == "nothing was added: it was cancelled while it waited"
    assert dock.library.add_button.isEnabled()
    client.close(finish=False)


def test_a_line_too_long_for_the_dock_ends_in_dots_and_is_whole_in_its_tip(asked, qtbot):
    final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    item = asked.hits.item(0)
    assert "lithology shale" in item.toolTip()
    assert item.toolTip().index("lithology") < item.toolTip().index("voxel 2 µm")


def test_adding_the_scan_runs_in_the_worker_and_reads_the_library_again(dock, opened, tmp_path, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(opened, "run", lambda *words: asked.append(words))
    dock.library.place_edit.setText(str(tmp_path / "new.library"))
    dock.library.add_button.click()
    command, arguments, _, then = asked[0]
    assert command == "library_add"
    assert arguments == {"library": str(tmp_path / "new.library"), "scans": [str(opened.scan.path)], "metadata": None}
    assert then == dock.library._on_added


@pytest.fixture
def proposed(asked, session, qtbot):
    """The dock with a place on offer."""
    session.change_classes(ClassTable.numbered(2))
    session.painting.choose(1)
    final(asked, qtbot, lambda: asked.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)]))
    mine = next(i for i in range(asked.hits.count()) if asked.hits.item(i).data(256).name == "stripes")
    asked.hits.item(mine).setSelected(True)
    with qtbot.waitSignal(asked.finder.proposed, timeout=60_000):
        asked.propose_button.click()
    return asked


def test_a_filter_that_was_previewed_has_the_plane_again_after_a_proposal_and_no_method_has(asked, session, qtbot, request):
    panel, segment = FilterPanel(session), SegmentDock(session.viewer)
    for part in (panel, segment):
        qtbot.addWidget(part)
    panel.method.setCurrentIndex(panel.method.findData("median"))
    with qtbot.waitSignal(panel._work.done, timeout=60_000):
        panel.live.setChecked(True)
    proposals = request.getfixturevalue("proposed").proposals
    assert isinstance(session.layer("preview"), Labels)
    with qtbot.waitSignal(panel._work.done, timeout=60_000):
        proposals.close_button.click()
    assert isinstance(session.layer("preview"), Image), "the filter shows its plane"
    with qtbot.waitSignal(segment.methods._work.done, timeout=60_000):
        segment.methods.update_preview()
    assert isinstance(session.layer("preview"), Image)
    with qtbot.waitSignal(segment.methods._work.done, timeout=60_000):
        panel.live.setChecked(False)
    qtbot.waitUntil(lambda: isinstance(session.layer("preview"), Labels), timeout=60_000)
    segment.put_away()


def test_what_is_not_seen_cannot_be_accepted(proposed, session, qtbot):
    panel, filters = proposed.proposals, FilterPanel(session)
    qtbot.addWidget(filters)
    panel.threshold.setValue(0)
    assert panel.accept_button.isEnabled()
    with qtbot.waitSignal(filters._work.done, timeout=60_000):
        filters.live.setChecked(True)
    assert not panel.accept_button.isEnabled()
    assert "another preview" in panel._line.text()
    panel.threshold.setValue(1)
    assert panel.accept_button.isEnabled(), "what is moved last is shown"
    assert isinstance(session.layer("preview"), Labels)


def test_in_3d_nothing_is_proposed_and_a_proposal_waits_for_a_plane(proposed, session):
    panel, dims = proposed.proposals, session.viewer.dims
    panel.threshold.setValue(0)
    dims.ndisplay = 3
    assert "2D" in panel._line.text()
    assert not panel.accept_button.isEnabled()
    assert not session.layer("preview").visible
    dims.ndisplay = 2
    assert panel.accept_button.isEnabled()
    assert session.layer("preview").visible
    panel.close_button.click()
    dims.ndisplay = 3
    proposed.propose_button.click()
    assert proposed._line.text() == "look at one plane (2D) to see what is proposed"
    assert not proposed.finder.busy
    assert not session.previewing


def test_what_is_worked_out_after_the_end_is_not_offered(proposed, session, qtbot):
    with qtbot.waitSignal(proposed.finder.proposed, timeout=60_000):
        proposed.propose_button.click()
        proposed.proposals.close_button.click()
    assert not proposed.proposals.isVisibleTo(proposed)
    assert not session.previewing


def test_a_segment_dock_that_is_closed_leaves_the_preview_of_a_filter(asked, session, qtbot):
    panel, segment = FilterPanel(session), SegmentDock(session.viewer)
    for part in (panel, segment):
        qtbot.addWidget(part)
    with qtbot.waitSignal(panel._work.done, timeout=60_000):
        panel.live.setChecked(True)
    segment.put_away()
    assert isinstance(session.layer("preview"), Image)
    assert session.layer("preview").visible


@pytest.mark.parametrize("wrong", ["gone", "failing"])
def test_a_place_that_cannot_be_proposed_gives_the_plane_back(proposed, session, qtbot, wrong):
    proposed.proposals.close_button.click()
    if wrong == "gone":
        proposed.finder.memory = None
        proposed.propose_button.click()
    else:
        proposed._answer = replace(proposed._answer, query={1.0: {"z_mean": np.ones(3, np.float32)}})  # of another width
        with qtbot.waitSignal(proposed.finder.failed, timeout=60_000):
            proposed.propose_button.click()
        assert "ValueError" in proposed._line.text()
    assert not session.previewing
    assert not proposed.proposals.isVisibleTo(proposed)
