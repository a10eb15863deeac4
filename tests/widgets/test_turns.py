"""Work of the window's thread in pieces: one a turn, in order, and nothing left behind."""

import pytest
from qtpy.QtCore import QObject

from lithoscope._napari.turns import Turns


@pytest.fixture
def turns(qapp):
    owner = QObject()
    yield Turns(owner)
    owner.deleteLater()


def steps(done, name, count=3):
    try:
        for n in range(count):
            done.append(f"{name}{n}")
            yield
        done.append(f"{name} whole")
    finally:
        done.append(f"{name} closed")


def test_each_step_waits_for_its_turn(turns, qtbot):
    done = []
    turns.start(steps(done, "a"))
    assert done == ["a0"]
    qtbot.waitUntil(lambda: "a closed" in done, timeout=60_000)
    assert done == ["a0", "a1", "a2", "a whole", "a closed"]


def test_what_is_under_way_ends_before_something_else_begins(turns):
    done = []
    turns.start(steps(done, "a"))
    turns.start(steps(done, "b"))
    assert done == ["a0", "a1", "a2", "a whole", "a closed", "b0"]
    turns.stop()
    assert done[-1] == "b closed"
    assert "b whole" not in done


def test_an_error_ends_the_steps_and_the_next_ones_are_done(turns):
    def faulty():
        yield
        raise ValueError("no")

    turns.start(faulty())
    with pytest.raises(ValueError, match="no"):
        turns.finish()
    done = []
    turns.start(steps(done, "a"))
    turns.finish()
    assert done[-2:] == ["a whole", "a closed"]


def test_a_scan_opened_again_before_it_is_shown_is_open_once(session, scan_path, qtbot):
    told = []
    session.scan_changed.connect(lambda: told.append(session.scan))
    session.open(scan_path)
    session.open(scan_path)
    qtbot.waitUntil(lambda: session.scan is not None and not session.reading.busy, timeout=60_000)
    assert [layer.name for layer in session.viewer.layers] == ["steps", "steps · strokes"]
    assert session.readonly == ""
    assert len(told) == 1


def test_closing_takes_the_layers_one_by_one(opened, qtbot):
    with qtbot.waitSignal(opened.scan_changed, timeout=60_000):
        opened.leave()
        assert [layer.name for layer in opened.viewer.layers] == ["steps"]
    assert opened.scan is None
    assert not opened.viewer.layers
