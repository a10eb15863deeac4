"""What only a GPU shows: mixed precision, memory that runs out, and the same answers as the processor's."""

import numpy as np
import pytest
import torch
from test_training import CPU, lesson, network
from test_unet import image_of, made, samples

from lithoscope.errors import ResourceError
from lithoscope.segmenters import Block
from lithoscope.segmenters.saving import load, save
from lithoscope.training.devices import device_of, guarded
from lithoscope.training.loop import Lesson, Plan, train
from lithoscope.training.tiles import Tiler
from lithoscope.training.unet import UNet, UNetConfig

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")]


@pytest.fixture
def gpu():
    return device_of("cuda")


def test_the_best_device_is_the_gpu(gpu):
    assert device_of("auto").type == "cuda"


@pytest.mark.parametrize("half", [False, True])
def test_training_learns_in_full_and_in_mixed_precision(gpu, half):
    given, net = lesson(judged=False), network()
    standing = train(net, given, Plan(60, 4, rate=1e-2, every=20, half=half), device=gpu)
    loss = standing.curves["loss"]
    assert np.isfinite(loss).all()
    assert np.mean(loss[-10:]) < 0.9 * np.mean(loss[:10])
    assert next(net.parameters()).dtype == torch.float32


def test_the_same_seed_trains_alike(gpu):
    a, b = network(), network()
    for net in (a, b):
        train(net, lesson(judged=False), Plan(8, 4, every=4), device=gpu)
    for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        assert torch.allclose(x.float(), y.float(), atol=1e-3)


def test_memory_that_runs_out_divides_the_batch_and_training_goes_on(gpu):
    """The share of this process is cut until a batch of 32 does not fit, as on a smaller card."""
    config = UNetConfig(3, 1, 32, 3)
    side, given = 256, lesson(batch=32, side=256, judged=False)
    probe = UNet(config).to(gpu).train()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.autograd.backward(probe(torch.rand(4, 1, side, side, device=gpu)).float().mean())
    four = torch.cuda.max_memory_allocated()
    del probe
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(gpu).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction(min(1.0, 4 * four / total))
        standing = train(UNet(config), Lesson(given.batch, given.weights), Plan(2, 32, every=2), device=gpu)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert standing.divided >= 2
    assert np.isfinite(standing.curves["loss"]).all()


def test_a_plane_that_fills_the_memory_is_one_line(gpu):
    config = UNetConfig(3, 1, 64, 4)
    total = torch.cuda.get_device_properties(gpu).total_memory
    tiler = Tiler(UNet(config).to(gpu).eval(), 3, config.reach, config.stride, config.voxel_bytes, gpu)
    try:
        torch.cuda.set_per_process_memory_fraction(min(1.0, (1 << 30) / total))
        with pytest.raises(ResourceError, match="too little memory"), guarded(gpu):
            tiler.ask(torch.rand(1, 1, 8192, 8192))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


@pytest.mark.parametrize("given", [{"slices": 1}, {"slices": 3}, {"dimensions": 3, "side": 8}])
def test_the_processor_and_the_gpu_agree(gpu, tmp_path, given):
    image = image_of((12, 120, 120))
    method = made(steps=80, **given)
    method.device = "cuda"
    method.fit(samples(image, held=True))
    folder = save(method, tmp_path / "model")
    there = method.predict(Block.of(image))
    here = load(folder)
    here.device = "cpu"
    assert (here.predict(Block.of(image)) == there).mean() >= 0.999


def test_two_evaluations_on_the_gpu_are_the_same_bytes(gpu):
    image = image_of((6, 60, 60))
    method = made()
    method.device = "cuda"
    method.fit(samples(image))
    assert method.scores(Block.of(image)).tobytes() == method.scores(Block.of(image)).tobytes()


def test_a_training_begun_on_the_gpu_goes_on_on_the_processor(gpu, tmp_path):
    given, plan = lesson(), Plan(8, 4, every=4)

    def stop(p):
        if p.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network(), given, plan, device=gpu, folder=tmp_path, report=stop)
    assert train(network(), given, plan, device=CPU, folder=tmp_path).step == 8
