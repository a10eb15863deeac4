"""The curves of a training in the Segment dock, its early end, and what came of it. The worker is none: its words are given."""

import pytest

from lithoscope._napari.segment_dock import SegmentDock
from lithoscope._napari.training_panel import ended, folder_of, told
from lithoscope._napari.worker_client import Job
from lithoscope.labels.trainings import training_folder
from lithoscope.training import stopping

CURVES = {"step": [10, 20], "loss": [0.9, 0.6], "judged_at": [10, 20], "held_out_iou": [0.4, 0.7]}


@pytest.fixture
def dock(opened, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    made = SegmentDock(opened.viewer)
    qtbot.addWidget(made)
    made.resize(360, 1000)
    made.show()
    return made


def job_of(session, command="segment", **more):
    where = {"scans": [str(session.scan.path)], "output": "net"} if command == "segment" else {"model": str(session.scan.path.parent / "m")}
    return Job(1, command, where, "net of steps", "running", 20, 150, "learning: loss 0.6", details={"curves": CURVES}, **more)


def test_curves_grow_while_it_learns_and_stay_when_it_is_done(opened, dock):
    training = dock.training
    assert not training.isVisibleTo(dock)
    job = job_of(opened)
    opened.jobs.changed.emit(job)
    assert training.isVisibleTo(dock)
    assert training.stop_button.isVisibleTo(dock)
    assert list(training.plot.loss.getData()[1]) == CURVES["loss"]
    assert list(training.plot.held.getData()[0]) == CURVES["judged_at"]
    assert training.words.text() == "step 20: loss .60, held out IoU .70, best .70 at step 20"
    job.state, job.message = "done", ""
    scores = {"mean_iou": 0.7, "iou": {"pore": 0.6, "grain": 0.8}}
    job.result = {"learnt": {"curves": CURVES, "steps": 20, "best_step": 20, "held_out": scores}}
    opened.jobs.finished.emit(job)
    assert training.words.text() == "learnt for 20 steps, best at 20: held out  IoU .70   pore .60 · grain .80"
    assert not training.stop_button.isVisibleTo(dock)
    assert training.plot.isVisibleTo(dock)
    training.forget()
    assert not training.isVisibleTo(dock)


def test_stop_asks_the_training_to_end_with_its_best(opened, dock):
    folder = training_folder(opened.scan.sidecar, "net")
    folder.mkdir(parents=True)
    job = job_of(opened)
    assert folder_of(job) == folder
    opened.jobs.changed.emit(job)
    dock.training.stop_button.click()
    assert stopping.wished(folder)
    assert "best so far" in dock.training.words.text()


def test_a_training_that_was_cancelled_can_be_resumed(opened, dock, monkeypatch):
    job = job_of(opened, "train")
    opened.jobs.changed.emit(job)
    job.state = "cancelled"
    opened.jobs.finished.emit(job)
    assert "what was learnt is kept" in dock.training.words.text()
    asked = []
    monkeypatch.setattr(opened, "run", lambda command, arguments, title: asked.append((command, arguments["resume"])))
    assert dock.training.resume_button.isVisibleTo(dock)
    dock.training.resume_button.click()
    assert asked == [("train", True)]


def test_a_job_that_learns_nothing_shows_no_curves(opened, dock):
    opened.jobs.changed.emit(Job(1, "segment", {}, "otsu of steps", "running", 1, 4, "segmenting with otsu"))
    assert not dock.training.isVisibleTo(dock)


def test_what_lacks_is_said():
    assert "nothing is held out" in told({"step": [10], "loss": [0.5]}, "")
    words = ended({"steps": 5, "not_held_out": ["pore"], "ended_early": "by hand"})
    assert "no other stroke of pore was left" in words
    assert "by hand" in words


def test_unfinished_trainings_are_offered_when_the_scan_is_opened(opened, dock, qtbot):
    from lithoscope.labels.trainings import begin
    from lithoscope.record import RunRecord

    begin(training_folder(opened.scan.sidecar, "net"), RunRecord("segment", "unet", {"preset": "light"}, {}, output="net"))
    with qtbot.waitSignal(opened.scan_changed, timeout=60_000):
        opened.open(opened.scan.path)
    qtbot.waitUntil(lambda: dock.methods.resume_button.isVisibleTo(dock), timeout=60_000)
    assert dock.methods.resume_button.text() == "Resume net"
