"""The heads on tokens and LoRA: as large as published, deterministic in evaluation, taught from strokes, kept small."""

import numpy as np
import pytest
import torch

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.features.adapters import adapter_hash, tuned
from lithoscope.features.backbones import RANDOM, open_backbone
from lithoscope.features.token_grid import Grid, Windows
from lithoscope.features.tokens import Tokens
from lithoscope.features.vit import Vit, VitConfig
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.saving import load, save
from lithoscope.training.lora import LoraSettings, adapted, adapter_of, taught_parameters
from lithoscope.training.losses import BOUND, class_weights
from lithoscope.training.token_heads import CnnHead, LinearHead
from lithoscope.training.token_network import TokenNetwork, plane_scores

TRUTH = np.concatenate([np.full((3, 64, 40), 1, np.uint8), np.full((3, 64, 40), 2, np.uint8)], 2)
QUICK = {"backbone": RANDOM, "dimensions": 2, "plane": "z", "scale": 1, "steps": 25, "side": 32, "rate": 0.01}


def noisy(seed):
    noise = np.random.default_rng(seed).normal(0, 25, TRUTH.shape)
    return (np.where(TRUTH == 1, 100, 150) + noise).clip(0, 255).astype(np.uint8)


def taught(image, *, held=True, truth=TRUTH):
    labels, kept = np.zeros_like(truth), np.zeros(truth.shape, bool)
    labels[1, 4:-4:3] = truth[1, 4:-4:3]
    kept[1, 40:] = held
    whole = Block.of(image, (0, 255))
    sample = Sample(image=image, core=whole.core, window=whole.window, labels=labels, held=kept)
    return ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(int(truth.max())))


def fitted(samples=None, **given):
    return configured(segmenter("dino"), {**QUICK, **given}).fit(samples or taught(noisy(0)))


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_heads_have_the_published_numbers_of_parameters():
    assert count(LinearHead(768, 3)) == 3_843
    assert count(LinearHead(768, 2)) == 3_074
    assert count(CnnHead(768, 3, 14)) == 8_418_819


def test_lora_on_dinov2_base_teaches_the_published_number():
    with torch.device("meta"):
        base = Vit(VitConfig(hidden=768, depth=12, heads=12, registers=0))
    network = adapted(base, LoraSettings())
    assert taught_parameters(network) == 5_308_416
    assert taught_parameters(TokenNetwork(network, CnnHead(768, 3, 14), 14, 2.5)) == 13_727_235
    assert LoraSettings() == LoraSettings(rank=32, alpha=32, dropout=0.1, stabilised=True)
    scaling = next(m.scaling["default"] for m in network.modules() if hasattr(m, "lora_A"))
    assert scaling == pytest.approx(32 / 32**0.5)


@pytest.mark.parametrize("patch", [8, 14, 16])
def test_the_convolutional_head_ends_at_the_networks_pixels(patch):
    logits = CnnHead(12, 3, patch).eval()(torch.zeros(1, 12, 8, 6))
    assert logits.shape == (1, 3, 8 * patch, 6 * patch)


def test_fresh_adapters_change_nothing_and_merged_ones_are_the_same_network():
    network, pixels = open_backbone(RANDOM).network, torch.randn(2, 1, 48, 48)
    how = LoraSettings(rank=4, alpha=4)
    taught_ = adapted(network, how).eval()
    with torch.no_grad():
        assert torch.equal(taught_(pixels), network(pixels))
        for name, parameter in taught_.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.05)
        for parameter in (p for n, p in taught_.named_parameters() if "lora_" in n):
            parameter.copy_(parameter.half().float())
        whole = tuned(network, adapter_of(taught_), how.scale)
        torch.testing.assert_close(whole(pixels), taught_(pixels), atol=2e-5, rtol=1e-4)
        assert not torch.allclose(whole(pixels), network(pixels), atol=1e-2)
    assert whole.state_dict().keys() == network.state_dict().keys()


def test_an_adapter_of_another_backbone_is_refused():
    network = open_backbone(RANDOM).network
    adapter = adapter_of(adapted(network, LoraSettings(rank=4)))
    with pytest.raises(InputError, match="does not fit"):
        tuned(network, dict(list(adapter.items())[1:]), 1.0)


def test_the_hash_tells_adapters_apart():
    network = open_backbone(RANDOM).network
    adapter = adapter_of(adapted(network, LoraSettings(rank=4)))
    other = {name: values + np.float16(1) for name, values in adapter.items()}
    hashes = {adapter_hash(adapter, 1), adapter_hash(other, 1), adapter_hash(adapter, 2)}
    assert len(hashes) == 3


@pytest.mark.parametrize("head", ["linear", "cnn"])
def test_two_evaluations_are_the_same_to_the_bit(head):
    network = open_backbone(RANDOM).network
    made = TokenNetwork(network, LinearHead(48, 3) if head == "linear" else CnnHead(48, 3, 8), 8, 1.5).eval()
    images = torch.rand(2, 1, 50, 44)
    with torch.no_grad():
        assert torch.equal(made(images), made(images))
        assert made(images).shape == (2, 3, 50, 44)


@pytest.mark.parametrize("head", ["linear", "cnn"])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_part_of_a_plane_is_answered_as_the_whole(head, scale):
    torch.manual_seed(0)
    network, image = open_backbone(RANDOM).network, np.random.default_rng(0).random((150, 170)).astype(np.float32)
    made = (LinearHead(48, 2) if head == "linear" else CnnHead(48, 2, 8)).eval()
    grid, windows = Grid(8, scale), Windows(6, 4)
    whole = plane_scores(network, made, image, grid, windows, (0, 0), ((0, 150), (0, 170)))
    part = plane_scores(network, made, image, grid, windows, (0, 0), ((31, 77), (60, 141)))
    np.testing.assert_allclose(part, whole[:, 31:77, 60:141], atol=1e-4)
    np.testing.assert_allclose(whole.sum(0), 1, atol=1e-5)


def test_answers_on_planes_are_those_that_crops_were_taught_on():
    torch.manual_seed(0)
    network, image = open_backbone(RANDOM).network, np.random.default_rng(0).random((48, 48)).astype(np.float32)
    for head in (LinearHead(48, 2).eval(), CnnHead(48, 2, 8).eval()):
        with torch.no_grad():
            crop = torch.softmax(TokenNetwork(network, head, 8, 1.0)(torch.from_numpy(image)[None, None]), 1)[0].numpy()
        plane = plane_scores(network, head, image, Grid(8), Windows(6, 6), (0, 0), ((0, 48), (0, 48)))
        np.testing.assert_allclose(plane[:, :20, :20], crop[:, :20, :20], atol=0.02)


@pytest.mark.parametrize(
    "given", [{"head": "trees"}, {"head": "knn"}, {"head": "cnn", "rate": 2e-3, "steps": 40}, {"head": "linear", "preset": "published"}]
)
def test_every_head_learns_what_noise_hides(given):
    method = fitted(reduced=12, **given)
    assert (method.predict(Block.of(noisy(5), (0, 255))) == TRUTH).mean() > 0.8


def test_lora_is_kept_as_an_adapter_and_comes_back_the_same(tmp_path):
    method = fitted(taught(noisy(0), held=False), tuning="lora", rank=4)
    story = method.learnt()
    assert story["tuning"] == "lora"
    assert story["adapter_bytes"] < 100_000
    assert method.remarks()[-1] == "no strokes were held out, so LoRA was not compared with the frozen backbone"
    again = load(save(method, tmp_path / "model"))
    whole = Block.of(noisy(1), (0, 255))
    np.testing.assert_allclose(again.scores(whole), method.scores(whole), atol=1e-6)
    assert np.array_equal(again.predict(whole), method.predict(whole))
    assert (again.predict(whole) == TRUTH).mean() > 0.9
    assert again.learnt() == story
    opened = open_backbone(tmp_path / "model")
    assert opened.sha256 != open_backbone(RANDOM).sha256
    assert Tokens(str(tmp_path / "model"), reduced=0).key() != Tokens(RANDOM, reduced=0).key()
    network = method.tokens.opened.network
    assert all(torch.equal(a, b) for a, b in zip(opened.network.parameters(), network.parameters(), strict=True))
    assert method.tokens.key() not in (again.tokens.key() + "x", Tokens(RANDOM, scale=1, reduced=64).key())
    assert method.tokens.key() == again.tokens.key()


def test_lora_that_does_not_improve_the_held_out_strokes_gives_the_frozen_head_and_says_so():
    perfect = np.where(TRUTH == 1, 60, 190).astype(np.uint8)
    method = fitted(taught(perfect), tuning="lora", rank=2)
    story = method.learnt()
    assert story["tuning"] == "frozen"
    assert "did not improve" in story["fell_back"]
    assert method.remarks() == [story["fell_back"]]
    assert method.learnt_.adapter is None
    plain, alone = fitted(taught(perfect)), fitted(taught(perfect), tuning="lora", rank=2, unlabelled="nothing")
    whole = Block.of(noisy(1), (0, 255))
    assert np.array_equal(alone.predict(whole), plain.predict(whole))


def test_lora_joined_with_filters_is_taught_by_all_strokes_once_it_is_chosen():
    method = fitted(taught(noisy(0)), tuning="lora", rank=4)
    story, chosen = method.learnt(), dict(method.learnt()["voxels"])
    assert {"held_out_joined_frozen", "held_out_joined_lora"} <= set(story)
    done = method.finished(taught(noisy(0), held=False))
    assert sum(done.learnt()["voxels"].values()) > sum(chosen.values())
    assert done.tokens.key() == method.tokens.key()
    assert (done.predict(Block.of(noisy(5), (0, 255))) == TRUTH).mean() > 0.9


def test_the_linear_head_is_fitted_and_tells_classes_apart_without_a_step():
    given = {"preset": "published", "head": "linear"}
    method = fitted(taught(noisy(0)), **given, steps=1)
    assert (method.predict(Block.of(noisy(5), (0, 255))) == TRUTH).mean() > 0.85


def test_class_weights_are_bounded():
    weights = class_weights(torch.tensor([2, 298, 700]))
    assert float(weights.min()) >= 1 / BOUND
    assert float(weights.max()) <= BOUND
    assert (weights > 0).all()


def test_classes_that_a_crop_lacks_do_not_shift_the_others():
    from lithoscope.segmenters.network_parts import taught as pieces_of

    truth = TRUTH.copy()
    truth[truth == 2] = 3
    image = noisy(0)
    labels = np.zeros_like(truth)
    labels[1, 4:-4:3] = truth[1, 4:-4:3]
    other = np.zeros_like(truth)
    other[2, :4] = 2
    whole = Block.of(image, (0, 255))
    both = tuple(Sample(image=image, core=whole.core, window=whole.window, labels=given) for given in (labels, other))
    found = pieces_of(ArraySamples(image, labelled=both, classes=ClassTable.numbered(3)), lambda progress: None)
    assert set(np.unique(found.pieces[0].labels)) == {0, 1, 3}
    assert set(np.unique(found.pieces[1].labels)) == {0, 2}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"head": "knn", "tuning": "lora", "preset": "published"}, "learns from kept tokens"),
        ({"head": "trees", "preset": "published"}, "learns from kept tokens"),
        ({"tuning": "lora", "four_bit": True}, "needs an NVIDIA GPU"),
    ],
)
def test_what_does_not_go_together_is_one_line(given, said):
    method = configured(segmenter("dino"), {**QUICK, **given})
    method.device = "cpu"
    with pytest.raises(InputError, match=said):
        method.fit(taught(noisy(0)))


def test_without_bitsandbytes_four_bits_say_what_to_install(monkeypatch):
    from lithoscope.training import lora

    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lithoscope\[4bit\]"):
        lora.check_four_bit(torch.device("cuda"))
