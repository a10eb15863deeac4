"""The averaging filters with torch give what they give without."""

import numpy as np
import pytest
import torch

from lithoscope.filtering import REGISTRY, filter_image
from lithoscope.filtering.pairs import Likeness, averaged
from lithoscope.parameters import configured
from lithoscope.volume.convert import import_scan


def test_torch_gives_what_numpy_gives():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 14, 15)).astype(np.float32)
    like = Likeness((1, 2, 2), (1, 1, 1), 0.4, 0.3)
    # "cpu:0" takes the way of a GPU, on the processor.
    assert np.allclose(averaged(values, like, device="cpu:0"), averaged(values, like), atol=1e-6)
    valid = rng.random(values.shape) < 0.8
    holed = np.where(valid, values, np.float32(0))
    assert np.allclose(averaged(holed, like, valid=valid, device="cpu:0"), averaged(holed, like, valid=valid), atol=1e-6)


def made(name, **given):
    return configured(REGISTRY[name], {"search": 5, "patch": 3, **given} if name == "nlm" else given)


def agree(found, expected):
    """As a GPU and a processor should: the same grey level nearly everywhere, never more than one apart."""
    apart = np.abs(found.astype(int) - expected.astype(int))
    return apart.max() <= 1 and (apart == 0).mean() >= 0.999


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(0)
    phase = rng.integers(0, 2, (4, 5, 5)).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    np.save(tmp_path / "a.npy", (80 + 90 * phase + rng.normal(0, 15, phase.shape)).clip(0, 255).astype(np.uint8))
    return import_scan(tmp_path / "a.npy", tmp_path / "a.zarr", field_of_view="cylinder:20,20,18")


@pytest.mark.parametrize("name", ["nlm", "bilateral"])
def test_a_whole_scan_by_torch_is_that_by_numpy_and_blocks_are_the_whole(scan, name, monkeypatch):
    filter_image(scan, made(name), "numpy")
    # "cpu:0" takes the way of a GPU, on the processor.
    monkeypatch.setattr("lithoscope.filtering.run.resolved", lambda device: "cpu:0")
    record = filter_image(scan, made(name), "torch", device="cuda")
    assert record.device == "cpu:0"
    assert agree(scan.array("torch")[...], scan.array("numpy")[...])
    monkeypatch.setattr(type(scan), "shard", property(lambda _: (16, 32, 32)))
    filter_image(scan, made(name), "blocks", device="cuda")
    np.testing.assert_array_equal(scan.array("blocks")[...], scan.array("torch")[...])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("name", ["nlm", "bilateral"])
def test_a_gpu_gives_what_the_processor_gives(scan, name):
    filter_image(scan, made(name), "cpu", device="cpu")
    record = filter_image(scan, made(name), "gpu", device="cuda")
    assert record.device == "cuda"
    assert agree(scan.array("gpu")[...], scan.array("cpu")[...])


def test_filters_that_know_no_gpu_stay_on_the_processor(scan):
    assert filter_image(scan, made("median"), "m", device="auto").device == "cpu"
