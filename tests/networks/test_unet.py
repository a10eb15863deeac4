"""The UNet: its published size, its reach, tiles against the whole, checkpoints, and the command line."""

import json

import numpy as np
import pytest
import torch

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, UnreadableError
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.saving import load, save
from lithoscope.training.tiles import Tiler
from lithoscope.training.unet import UNet, UNetConfig, config_of

CPU = torch.device("cpu")


def network(**more):
    torch.manual_seed(0)
    return UNet(UNetConfig(**{"classes": 3, "channels": 1, "features": 4, "levels": 2, "dropout": 0.5, **more})).eval()


def image_of(shape, seed=0):
    rng = np.random.default_rng(seed)
    phase = rng.integers(0, 3, tuple(-(-n // 5) for n in shape)).repeat(5, 0).repeat(5, 1).repeat(5, 2)
    return (50 + 60 * phase[tuple(slice(n) for n in shape)] + rng.normal(0, 10, shape)).clip(0, 255).astype("u1")


def samples(image, *, classes=3, held=False, thin=3):
    labels = np.zeros(image.shape, np.uint8)
    truth = np.digitize(image, [80, 140][: classes - 1]) + 1
    labels[2, ::thin, 1:-1] = truth[2, ::thin, 1:-1]
    kept = np.zeros(image.shape, bool)
    kept[2, : image.shape[1] // 3] = held
    whole = Block.of(image)
    sample = Sample(image=image, core=whole.core, window=whole.window, labels=labels, held=kept)
    return ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(3))


def made(**settings):
    return configured(segmenter("unet"), {"preset": "tiny", "dimensions": 2, "steps": 6, **settings})


@pytest.mark.parametrize(("features", "parameters"), [(32, 7_844_483), (64, 31_356_163)])
def test_the_published_networks_have_the_published_size(features, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in UNet(UNetConfig(3, features=features)).parameters()) == parameters


@pytest.mark.parametrize(("preset", "features"), [("small", 32), ("large", 64)])
def test_the_presets_are_the_published_networks(preset, features):
    config = configured(segmenter("unet"), {"preset": preset, "dimensions": 2})._config(3)
    assert config == UNetConfig(3, 3, features, 4, 2, 0.5)


def test_dropout_rests_in_evaluation_and_not_in_training():
    net, x = network(), torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        assert torch.equal(net(x), net(x))
        net.train()
        assert not torch.equal(net(x), net(x))


@pytest.mark.parametrize(("classes", "channels", "axes"), [(1, 1, 2), (2, 5, 2), (7, 2, 3), (254, 1, 3)])
def test_any_number_of_classes_and_channels(classes, channels, axes):
    found = network(classes=classes, channels=channels, axes=axes)(torch.rand(1, channels, *[8] * axes))
    assert found.shape == (1, classes, *[8] * axes)


@pytest.mark.parametrize("levels", [1, 2])
def test_the_reach_is_as_far_as_an_answer_depends(levels):
    net = network(levels=levels).double()
    reach, step = net.config.reach, net.config.stride
    side = 2 * (reach // step + 2) * step
    farthest = 0
    for place in range(side // 2, side // 2 + step):
        low, high = side, 0
        for _ in range(3):
            x = torch.rand(1, 1, side, side, dtype=torch.double, requires_grad=True)
            net(x)[0, :, place, place].sum().backward()
            seen = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
            low, high = min(low, int(seen.min())), max(high, int(seen.max()))
        farthest = max(farthest, place - low, high - place)
    assert farthest == reach


def assembled(tiler, image, core, origin, channels=1, space=False):
    found = np.full((tiler.classes, *image.shape), np.nan, np.float32)
    looks = tiler.space(image, core, origin) if space else tiler.planes(image, core, origin, channels)
    for place, scores in looks:
        assert np.isnan(found[(slice(None), *place)]).all()
        found[(slice(None), *place)] = (scores if space else scores.movedim(1, 0)).numpy()
    return found[(slice(None), *core)]


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize(("shape", "origin"), [((3, 61, 47), (0, 0, 0)), ((2, 33, 90), (5, -7, 13)), ((1, 1, 3), (0, 2, 1))])
def test_tiles_equal_the_whole(shape, origin, flips):
    net = network()
    image = image_of(shape).astype("f4") / 255
    core = tuple(slice(0, n) for n in shape)
    given = (net, 3, net.config.reach, net.config.stride, net.config.voxel_bytes, CPU)
    whole = assembled(Tiler(*given, flips=flips), image, core, origin)
    tiled = assembled(Tiler(*given, memory=net.config.voxel_bytes * 80**2, flips=flips), image, core, origin)
    assert np.abs(whole - tiled).max() < 1e-4
    assert np.allclose(whole.sum(0), 1, atol=1e-5)


def test_tiles_in_space_equal_the_whole():
    net = network(axes=3, levels=1)
    image = image_of((22, 31, 27)).astype("f4") / 255
    core = (slice(2, 20), slice(0, 31), slice(5, 26))
    given = (net, 3, net.config.reach, net.config.stride, net.config.voxel_bytes, CPU)
    whole = assembled(Tiler(*given), image, core, (3, 1, -2), space=True)
    tiled = assembled(Tiler(*given, memory=net.config.voxel_bytes * 36**3), image, core, (3, 1, -2), space=True)
    assert np.abs(whole - tiled).max() < 1e-4


@pytest.mark.parametrize("given", [{}, {"dimensions": 3, "side": 8}, {"plane": "all", "slices": 1}, {"slices": 5, "plane": "x"}])
def test_two_evaluations_are_the_same_bytes(given):
    image = image_of((8, 23, 25))
    method = made(**given).fit(samples(image))
    assert method.scores(Block.of(image)).tobytes() == method.scores(Block.of(image)).tobytes()


def test_more_than_chance_is_learnt_from_strokes_on_one_slice():
    image = image_of((6, 60, 60))
    method = made(steps=150, slices=1).fit(samples(image, held=True))
    truth = np.digitize(image, [80, 140]) + 1
    assert (method.predict(Block.of(image)) == truth)[4:].mean() > 0.85
    story = method.learnt()
    assert len(story["curves"]["held_out_iou"]) == 15
    assert story["best_step"] in story["curves"]["judged_at"]
    json.dumps(story)


def test_held_strokes_teach_nothing():
    image = image_of((5, 40, 40))
    given = samples(image, held=True)
    method = made().fit(given)
    labels = given.labelled[0].labels
    teaching = int(((labels > 0) & ~given.labelled[0].held).sum())
    assert sum(method.learnt()["voxels"].values()) == teaching


def test_a_class_whose_only_stroke_is_held_is_taught_with_it_and_said():
    image = image_of((5, 40, 40))
    given = samples(image, held=True)
    labels, held = given.labelled[0].labels, given.labelled[0].held
    labels[(labels == 3) & ~held] = 0
    method = made().fit(given)
    assert method.learnt()["not_held_out"] == ["class 3"]
    assert len(method.classes_) == 3


def test_one_tiny_stroke_a_class_is_enough_and_one_class_is_not():
    image = image_of((5, 30, 30))
    given = samples(image)
    labels = given.labelled[0].labels
    labels[:] = 0
    labels[2, 5, 5], labels[2, 20, 20] = 1, 3
    method = made().fit(given)
    assert [c.name for c in method.classes_] == ["class 1", "class 3"]
    labels[2, 5, 5] = 0
    with pytest.raises(InputError, match="only class 3 is painted"):
        made().fit(given)


def test_an_even_number_of_slices_is_refused():
    with pytest.raises(InputError, match="odd"):
        made(slices=4).fit(samples(image_of((5, 30, 30))))


def harmed(folder, change):
    file = folder / "model.safetensors"
    from safetensors.numpy import load_file, save_file

    arrays = load_file(file)
    change(arrays)
    save_file(arrays, file)


def wrong_shape(arrays):
    arrays["network.stem.weight"] = arrays["network.stem.weight"][:1].copy()


def not_numbers(arrays):
    arrays["network.stem.weight"] = np.full_like(arrays["network.stem.weight"], np.nan)


def huge(arrays):
    about = json.loads(arrays["about"].tobytes())
    about["config"][2:4] = [10**6, 30]
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8).copy()


@pytest.mark.parametrize("change", [wrong_shape, not_numbers, huge, lambda a: a.pop("about"), lambda a: a.pop("network.head.bias")])
def test_a_corrupt_checkpoint_is_refused_in_one_line(tmp_path, change):
    image = image_of((5, 30, 30))
    folder = save(made().fit(samples(image)), tmp_path / "model")
    harmed(folder, change)
    with pytest.raises(UnreadableError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_pickle_in_place_of_a_checkpoint_is_not_run(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    folder = save(made().fit(samples(image_of((5, 30, 30)))), tmp_path / "model")
    (folder / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UnreadableError, match="damaged"):
        load(folder)
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    folder = save(made().fit(samples(image_of((5, 30, 30)))), tmp_path / "model")
    about = json.loads((folder / "model.json").read_text())
    about["classes"] = ClassTable.numbered(2).to_json()
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="3 classes"):
        load(folder)


@pytest.mark.parametrize("row", [(3, 1, 4, 0, 2, 0.0), (0, 1, 4, 2, 2, 0.0), (3, 1, 4, 2, 4, 0.0), (3, 1, 256, 6, 2, 0.0)])
def test_networks_that_cannot_be_are_refused(row):
    with pytest.raises(ValueError, match="network"):
        config_of(row)


class Narrow(torch.nn.Module):
    """A network that holds two planes, no more."""

    def __init__(self, most):
        super().__init__()
        self.inner, self.most, self.asked = network(), most, []

    def forward(self, images):
        if len(images) > self.most:
            raise torch.OutOfMemoryError("no room")
        self.asked.append(len(images))
        return self.inner(images)


def test_planes_that_memory_does_not_hold_together_are_answered_in_halves():
    image = image_of((7, 40, 40)).astype("f4") / 255
    core = tuple(slice(0, n) for n in image.shape)

    def tiler(net):
        return Tiler(net, 3, net.inner.config.reach, net.inner.config.stride, net.inner.config.voxel_bytes, CPU)

    small = Narrow(2)
    np.testing.assert_allclose(
        assembled(tiler(small), image, core, (0, 0, 0)), assembled(tiler(Narrow(99)), image, core, (0, 0, 0)), atol=1e-5
    )
    assert max(small.asked) == 2
    assert sum(small.asked) == 7
    with pytest.raises(torch.OutOfMemoryError):
        assembled(tiler(Narrow(0)), image, core, (0, 0, 0))


def test_what_chose_the_weights_teaches_too_in_the_end():
    image = image_of((5, 40, 40))
    method = made().fit(samples(image, held=True))
    done = method.finished(samples(image))
    assert sum(done.learnt()["voxels"].values()) > sum(method.learnt()["voxels"].values())
    assert done.learnt()["steps_with_all"] == 2
    before, after = (m.network_.state_dict() for m in (method, done))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    alone = made().fit(samples(image))
    assert alone.finished(samples(image)) is alone
