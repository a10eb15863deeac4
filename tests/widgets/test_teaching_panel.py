"""Adapting a network to the open scan from the Segment dock: the request, the curve while it learns, cancel and going on."""

import json

import numpy as np
import pytest
from PIL import Image

from lithoscope._napari.learning_curve import Log, smooth
from lithoscope._napari.segment_dock import SegmentDock
from lithoscope._napari.worker_client import Job
from lithoscope.training.selfsupervised.choices import FRESH, Teaching


@pytest.fixture
def panel(opened, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    monkeypatch.setenv("LITHOSCOPE_BACKBONES", str(tmp_path / "backbones"))
    dock = SegmentDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.resize(360, 900)
    dock.show()
    dock.teaching.fold.setChecked(True)
    yield dock.teaching
    dock.close()


@pytest.fixture
def asked(panel, monkeypatch):
    """What the session was asked to run, instead of running it."""
    found = []

    def run(command, arguments, title, then=None):
        job = Job(1, command, arguments, title, state="running")
        found.append((job, then))
        return job

    monkeypatch.setattr(panel._session, "run", run)
    return found


def write(folder, losses, **more):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a") as file:
        for step, loss in enumerate(losses):
            file.write(json.dumps({"step": step, "loss": loss, **more}) + "\n")


def test_one_button_adapts_the_shipped_network_to_the_scan(panel, asked, tmp_path):
    panel.teach_button.click()
    job, _ = asked[0]
    told = job.arguments
    assert job.command == "pretrain"
    assert told["scans"] == [str(panel._session.scan.path)]
    assert told["output"] == str(tmp_path / "backbones" / f"{panel._session.scan.name}-network")
    assert (told["start"], told["tuning"], told["objective"], told["minutes"]) == ("lithoscope-tiny", "lora", "features", 20.0)
    assert "patch" not in told
    assert not panel.teach_button.isEnabled()


def test_every_argument_is_one_of_the_command(panel, asked):
    from inspect import signature

    from lithoscope.cli.commands import command

    known = set(signature(command("pretrain")).parameters)
    for start in ("lithoscope-tiny", FRESH):
        assert set(Teaching(start=start).arguments()) <= known
    assert Teaching(start=FRESH).arguments()["tuning"] == "all"


def test_the_curve_and_the_reconstructions_follow_the_training(panel, asked):
    panel.teach_button.click()
    assert not panel.curve.isVisible()
    write(panel.folder, [3.0, 2.0, 1.0], rank=7.25)
    panel.look()
    assert panel.curve.isVisible()
    assert list(panel.curve.drawn) == [3.0, 2.0, 1.0]
    assert "step 3" in panel.words.text()
    assert "effective rank 7.2" in panel.words.text()
    assert not panel.picture.isVisible()
    Image.fromarray(np.zeros((30, 60), np.uint8)).save(panel.folder / "reconstructions.png")
    write(panel.folder, [0.5])
    panel.look()
    assert len(panel.curve.drawn) == 4
    assert panel.picture.isVisible()
    assert panel.picture.pixmap().width() <= 360


def test_a_cancelled_training_can_be_gone_on_with(panel, asked):
    panel.teach_button.click()
    job, then = asked[0]
    (panel.folder / "checkpoint").mkdir(parents=True)
    (panel.folder / "checkpoint" / "state.safetensors").write_bytes(b"")
    job.state = "cancelled"
    then(job)
    assert panel.teach_button.isEnabled()
    assert panel.teach_button.text() == "Go on"


def test_a_network_that_is_ready_is_used_with_one_click(panel, asked, qtbot):
    panel.teach_button.click()
    job, then = asked[0]
    job.state = "done"
    assert not panel.use_button.isVisible()
    then(job)
    with qtbot.waitSignal(panel.wanted, timeout=60_000) as found:
        panel.use_button.click()
    assert found.args == [str(panel.folder)]


@pytest.mark.parametrize("name", ["", "a/b", ".."])
def test_names_that_are_none_are_refused(panel, asked, name):
    panel.output.setText(name)
    assert not panel.teach_button.isEnabled()
    assert "name" in panel._note.text()
    panel.teach()
    assert not asked


def test_settings_of_the_network_itself_are_asked_only_when_there_is_none_to_begin_from(panel):
    assert "patch" not in panel.form.values()
    panel.form.set_values({"start": FRESH})
    assert panel.form.values()["patch"] == 8


def test_half_a_line_waits_and_a_log_that_was_cut_is_read_anew(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    assert not log.read()
    (tmp_path / "log.jsonl").write_text('{"loss": 1.0}\n{"loss": 2')
    assert log.read()
    assert log.losses == [1.0]
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(".5}\n")
    log.read()
    assert log.losses == [1.0, 2.5]
    (tmp_path / "log.jsonl").write_text('{"loss": 4.0}\n')
    log.read()
    assert log.losses == [4.0]


def test_a_collapse_is_said(tmp_path):
    write(tmp_path, [1.0], rank=1.1)
    log = Log(tmp_path / "log.jsonl")
    log.read()
    assert "all look alike" in log.words()


def test_the_running_mean_is_that_of_the_definition():
    values = np.random.default_rng(0).random(50)
    wanted = [values[max(0, i - 19) : i + 1].mean() for i in range(50)]
    np.testing.assert_allclose(smooth(values), wanted)


def test_the_panel_fits_into_360_pixels(panel):
    assert panel.minimumSizeHint().width() <= 344
