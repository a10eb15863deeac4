"""How trainings end before their last step: by a wish, by a kill, by a device that is gone; and how they are taken up."""

import os
import signal
import subprocess
import sys
import textwrap
from functools import partial

import numpy as np
import pytest
import tifffile
import torch
from test_training import CPU, lesson, network, weights

from lithoscope.cli.commands import learning, segmenting
from lithoscope.errors import ResourceError, TakenError
from lithoscope.job import Cancelled
from lithoscope.labels.results import open_result
from lithoscope.labels.trainings import begun, training_folder
from lithoscope.training import loop, progress, stopping
from lithoscope.training.devices import guarded
from lithoscope.training.loop import Plan, train
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan

TINY = {"preset": "tiny", "dimensions": "2", "steps": "20"}


@pytest.fixture
def painted(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 3, (9, 24, 24)).repeat(8, 1).repeat(8, 2).astype("u1")
    image = (70.0 * truth + rng.normal(0, 10, truth.shape)).astype("u1")
    strokes = np.zeros_like(truth)
    strokes[4, 3::48, :] = truth[4, 3::48, :]
    tifffile.imwrite(tmp_path / "strokes.tif", strokes)
    np.save(tmp_path / "rock.npy", image)
    import_scan(tmp_path / "rock.npy", tmp_path / "rock.zarr", field_of_view=None)
    return tmp_path


def test_a_wish_to_stop_ends_it_with_its_best_weights(tmp_path):
    def report(p):
        if p.done == 5:
            assert stopping.wish(tmp_path)

    net = network()
    tmp_path.mkdir(exist_ok=True)
    standing = train(net, lesson(), Plan(60, 4, every=4), device=CPU, folder=tmp_path, report=report)
    assert standing.stopped
    assert standing.step == 5
    assert standing.curves["judged_at"] == [4, 5]
    assert weights(net) == b"".join(v.numpy().tobytes() for v in standing.best.values())


def test_a_wish_of_an_earlier_training_is_forgotten(tmp_path):
    stopping.wish(tmp_path)
    assert train(network(), lesson(), Plan(4, 4, every=2), device=CPU, folder=tmp_path).step == 4


def test_curves_come_with_the_reports():
    told = []
    train(network(), lesson(), Plan(8, 4, every=4), device=CPU, report=lambda p: told.append(p.details))
    shown = [d["curves"] for d in told if d]
    assert [c["step"] for c in shown] == [[4.0], [4.0, 8.0]]
    assert len(shown[-1]["held_out_iou"]) == len(shown[-1]["judged_at"]) == 2


class Lost(torch.nn.Module):
    """A network whose device goes away at its seventh call."""

    def __init__(self):
        super().__init__()
        self.inner, self.calls = network(), 0

    def forward(self, images):
        self.calls += self.training
        if self.calls == 7:
            raise getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: unspecified launch failure")
        return self.inner(images)


def test_a_gpu_lost_in_mid_run_is_one_line_and_what_was_learnt_is_kept(tmp_path, monkeypatch):
    whole = network()
    train(whole, lesson(), Plan(12, 4, every=4), device=CPU)
    monkeypatch.setattr(loop, "guarded", lambda device: guarded(torch.device("cuda")))
    plan, lost = Plan(12, 4, every=4), Lost()
    with pytest.raises(ResourceError, match=r"the GPU was lost in mid-run .*--resume") as caught:
        train(lost, lesson(), plan, device=CPU, folder=tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / progress.NAME).exists()
    again = Lost()
    again.calls = 99
    standing = train(again, lesson(), plan, device=CPU, folder=tmp_path)
    assert standing.step == 12
    assert weights(again.inner) == weights(whole)


def test_a_device_that_gives_nothing_back_does_not_hide_why_it_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "guarded", lambda device: guarded(torch.device("cuda")))

    def gone(*_):
        raise RuntimeError("CUDA error: the copy failed too")

    def report(p):
        if p.done == 3:
            monkeypatch.setattr(progress, "save", gone)
            raise RuntimeError("CUDA error: device lost")

    with pytest.raises(ResourceError, match="device lost"):
        train(network(), lesson(), Plan(12, 4, every=4), device=CPU, folder=tmp_path, report=report)


def given(folder, **more):
    shared = {"method": "unet", "settings": TINY, "strokes": str(folder / "strokes.tif"), "device": "cpu", "output": "net"}
    return {"scans": [str(folder / "rock.zarr")], **shared, **more}


def bytes_of(folder):
    return open_result(Scan.open(folder / "rock.zarr"), "net").array[...].tobytes()


def test_a_run_that_was_cancelled_while_it_learnt_is_resumed_and_ends_the_same(painted):
    segmenting.segment(**given(painted))
    wanted = bytes_of(painted)
    place = training_folder(Scan.open(painted / "rock.zarr").sidecar, "net")
    assert not place.exists()

    def stop(p):
        if p.message.startswith("learning") and p.done == 7:
            raise Cancelled

    with pytest.raises(Cancelled):
        segmenting.segment(**given(painted, overwrite=True, report=stop))
    assert begun(Scan.open(painted / "rock.zarr"))["net"].method == "unet"
    first = []
    segmenting.segment(**given(painted, overwrite=True, resume=True, report=first.append))
    assert next(p.done for p in first if p.message.startswith("learning")) == 8
    assert bytes_of(painted) == wanted
    assert not place.exists()


def test_a_result_that_is_there_is_said_before_anything_is_learnt(painted):
    segmenting.segment(**given(painted))
    told = []
    with pytest.raises(TakenError, match="net"):
        segmenting.segment(**given(painted, report=told.append))
    assert not any(p.message.startswith("learning") for p in told)


def test_a_training_ended_early_says_so_in_the_record(painted):
    place = training_folder(Scan.open(painted / "rock.zarr").sidecar, "net")

    def report(p):
        if p.message.startswith("learning") and p.done == 5:
            stopping.wish(place)

    record = segmenting.segment(**given(painted, report=report))
    assert record["learnt"]["ended_early"] == "by hand"
    assert record["learnt"]["steps"] == 5


KILLED = """
    import sys
    from lithoscope.cli.commands import learning
    def report(p):
        if p.message.startswith("learning"):
            print(p.done, flush=True)
    learning.train([sys.argv[1]], method="unet", settings={"preset": "tiny", "dimensions": "2", "steps": "200"},
                   strokes=sys.argv[2], model=sys.argv[3], device="cpu", report=report)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9 on Windows")
def test_killed_outright_and_resumed_equals_uninterrupted(painted):
    scan, strokes = str(painted / "rock.zarr"), str(painted / "strokes.tif")
    many = {"method": "unet", "settings": {**TINY, "steps": "200"}, "strokes": strokes, "device": "cpu"}
    learning.train([scan], model=str(painted / "whole"), **many)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), scan, strokes, str(painted / "model")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 60:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait(60)
    steps = []
    resumed = partial(learning.train, [scan], model=str(painted / "model"), resume=True, **many)
    resumed(report=lambda p: steps.append(p.done) if p.message.startswith("learning") else None)
    assert steps[0] > 40, "it began anew"
    assert (painted / "model" / "model.safetensors").read_bytes() == (painted / "whole" / "model.safetensors").read_bytes()
