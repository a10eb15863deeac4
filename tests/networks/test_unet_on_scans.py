"""The UNet on scans, taught by strokes through the commands."""

import numpy as np
import pytest
import tifffile
import torch

from lithoscope.cli.commands import learning, segmenting
from lithoscope.errors import InputError, MissingError
from lithoscope.job import Cancelled
from lithoscope.labels.results import open_result
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


def test_segment_learns_from_strokes_and_says_how_it_did(painted):
    record = segmenting.segment(
        [str(painted / "rock.zarr")], method="unet", settings=TINY, strokes=str(painted / "strokes.tif"), output="net", device="cpu"
    )
    learnt = record["learnt"]
    assert learnt["preset"] == "tiny"
    assert 0 <= learnt["held_out"]["mean_iou"] <= 1
    assert learnt["curves"]["loss"]
    assert record["device"] == "cpu"
    found = open_result(Scan.open(painted / "rock.zarr"), "net").array[...]
    assert set(np.unique(found)) <= {1, 2}


def test_a_training_that_was_cancelled_is_taken_up_and_ends_the_same(painted):
    given = {"method": "unet", "settings": TINY, "strokes": str(painted / "strokes.tif"), "device": "cpu"}
    scans = [str(painted / "rock.zarr")]
    learning.train(scans, model=str(painted / "whole"), **given)

    def stop(progress):
        if progress.message.startswith("learning") and progress.done == 7:
            raise Cancelled

    with pytest.raises(Cancelled):
        learning.train(scans, model=str(painted / "model"), report=stop, **given)
    assert not (painted / "model").exists()
    learning.train(scans, model=str(painted / "model"), resume=True, **given)
    assert (painted / "model" / "model.safetensors").read_bytes() == (painted / "whole" / "model.safetensors").read_bytes()
    assert not (painted / "model.training").exists()
    with pytest.raises(MissingError, match="no unfinished training"):
        learning.train(scans, model=str(painted / "model"), resume=True, overwrite=True, **given)


def test_a_model_goes_to_another_scan(painted):
    scans = [str(painted / "rock.zarr")]
    learning.train(scans, method="unet", settings=TINY, strokes=str(painted / "strokes.tif"), model=str(painted / "model"))
    record = segmenting.segment(scans, model=str(painted / "model"), output="again")
    assert any("classes of the model" in note for note in record["notes"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("method", ["unet", "otsu"])
def test_a_gpu_that_is_not_there_is_said_before_anything_is_done(painted, method):
    with pytest.raises(InputError, match="--device c") as caught:
        segmenting.segment([str(painted / "rock.zarr")], method=method, device="cuda", output="x")
    assert "\n" not in str(caught.value)


def test_what_was_left_open_is_chosen_and_said(painted):
    from lithoscope.labels.predict import resolved
    from lithoscope.segmenters import configured, segmenter

    method, notes = resolved(Scan.open(painted / "rock.zarr"), configured(segmenter("unet"), {}))
    assert method.dimensions == 3
    assert method.preset in ("light", "small")
    assert any(note.startswith("preset=") for note in notes)


def test_no_network_looks_across_separate_slices(painted):
    from lithoscope.labels.predict import resolved
    from lithoscope.segmenters import configured, segmenter

    scan = import_scan(painted / "rock.npy", painted / "apart.zarr", separate_slices=True)
    method, _ = resolved(scan, configured(segmenter("unet"), {}))
    assert (method.dimensions, method.slices) == (2, 1)
    with pytest.raises(InputError, match="slices=1"):
        resolved(scan, configured(segmenter("unet"), {"slices": 3}))


def test_shards_answered_together_are_as_when_answered_apart(tmp_path, monkeypatch):
    from lithoscope.labels.budget import MEMORY, allot
    from lithoscope.labels.predict import segment
    from lithoscope.segmenters import Block, Sample, configured, segmenter
    from lithoscope.segmenters.arrays import ArraySamples

    rng = np.random.default_rng(0)
    truth = rng.integers(1, 3, (2, 34, 38)).repeat(8, 1).repeat(8, 2).astype("u1")
    np.save(tmp_path / "wide.npy", (70.0 * truth + rng.normal(0, 20, truth.shape)).astype("u1"))
    scan = import_scan(tmp_path / "wide.npy", tmp_path / "wide.zarr", field_of_view=None)
    image = scan.array()[...]
    labels = np.where(np.arange(image.shape[2]) < 60, truth, 0).astype("u1")
    whole = Block.of(image, scan.window)
    sample = Sample(image=image, core=whole.core, window=scan.window, labels=labels)
    method = configured(segmenter("unet"), {"preset": "tiny", "dimensions": 2, "steps": 10})
    method.fit(ArraySamples(image, labelled=(sample,), classes=scan_classes()))
    share = allot(scan, method, 1, MEMORY)
    assert share.block[1:] == (512, 512)
    segment(scan, method, output="together")
    monkeypatch.setattr(type(method), "widest", lambda self: None)
    assert allot(scan, method, 1, MEMORY).block == scan.shard
    segment(scan, method, output="apart")
    together, apart = (open_result(scan, name).array[...] for name in ("together", "apart"))
    assert (together == apart).mean() >= 0.9999
    assert together.all()


def scan_classes():
    from lithoscope.classes import ClassTable

    return ClassTable.numbered(2)
