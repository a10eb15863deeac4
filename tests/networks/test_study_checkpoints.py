"""Checkpoints of the published study: backbone, adapters and head come back as the study's own modules answer."""

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from lithoscope.cli.commands import learning
from lithoscope.errors import InputError
from lithoscope.features.backbones import open_backbone
from lithoscope.sample import simulate
from lithoscope.segmenters import Block
from lithoscope.segmenters.study import from_study

SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}


class Published(nn.Module):
    """The modules of the study by their names."""

    def __init__(self, *, lora, cnn):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = transformers.Dinov2Model(transformers.Dinov2Config(**SMALL))
        if lora:
            import peft

            how = peft.LoraConfig(r=32, lora_alpha=32, lora_dropout=0.1, target_modules="all-linear", use_rslora=True)
            self.backbone = peft.get_peft_model(self.backbone, how)
        self.seg_head = nn.Module()
        if cnn:
            self.seg_head.input_conv = nn.Conv2d(128, 512, 3, padding=1)
            self.seg_head.decoder_convs = nn.ModuleList(
                nn.Sequential(*([nn.BatchNorm2d(c)] if norm else []), nn.Conv2d(c, c, 3, padding=1))
                for c, norm in ((512, True), (512, True), (128, False), (32, False))
            )
            self.seg_head.seg_conv = nn.Sequential(nn.Conv2d(32, 3, 3, padding=1))
        else:
            self.seg_head.head = nn.Sequential(nn.BatchNorm2d(128), nn.Conv2d(128, 3, 1))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.05)
        self.eval()

    def tokens(self, pixels):
        return self.backbone(pixel_values=pixels).last_hidden_state


@pytest.fixture(params=[(True, True), (True, False), (False, False)], ids=["lora-cnn", "lora-linear", "linear"])
def published(request, tmp_path):
    lora, cnn = request.param
    model = Published(lora=lora, cnn=cnn)
    torch.save(model.state_dict(), tmp_path / "model_best_iou.pth")
    return model, tmp_path / "model_best_iou.pth"


def test_the_backbone_answers_with_its_adapters_worked_in(published):
    model, path = published
    pixels = torch.randn(2, 3, 56, 56)
    opened = open_backbone(path)
    assert any(n.startswith("seg_head") for n in opened.left_out)
    with torch.no_grad():
        torch.testing.assert_close(opened.network(pixels), model.tokens(pixels), atol=1e-4, rtol=1e-3)


def test_the_head_is_the_studys(published):
    model, path = published
    method = from_study(path)
    tokens = torch.randn(1, 128, 8, 8)
    head, theirs = method.learnt_.head, model.seg_head
    with torch.no_grad():
        if method.head == "linear":
            torch.testing.assert_close(head(tokens), theirs.head(tokens))
        else:
            x = theirs.input_conv(tokens)
            for step, (conv, wide) in enumerate(zip(theirs.decoder_convs, (14, 28, 56, 112), strict=True)):
                x = nn.functional.interpolate(x, size=(wide, wide), mode="bicubic") if step < 2 else nn.functional.pixel_shuffle(x, 2)
                x = x + conv(x)
                x = nn.functional.leaky_relu(x) if step % 2 else x
            torch.testing.assert_close(head(tokens), theirs.seg_conv(x), atol=1e-4, rtol=1e-3)
    image = np.random.default_rng(0).integers(0, 255, (1, 40, 44)).astype("u1")
    scores = method.scores(Block.of(image))
    assert scores.shape == (3, 1, 40, 44)
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)


def test_it_is_given_as_a_model(published, tmp_path):
    _, path = published
    method, lesson = learning.loaded(path, simulate(tmp_path / "small.zarr", shape=(4, 40, 40)))
    assert [c.name for c in method.classes_] == ["class 1", "class 2", "class 3"]
    assert "model_best_iou.pth" in lesson.notes[0]


def test_a_backbone_in_four_bits_is_refused_in_one_line(tmp_path):
    tensors = Published(lora=True, cnn=False).state_dict()
    packed = {n: t.to(torch.uint8) if n.endswith("base_layer.weight") else t for n, t in tensors.items()}
    torch.save(packed, tmp_path / "four.pth")
    with pytest.raises(InputError, match="in four bits"):
        open_backbone(tmp_path / "four.pth")


def test_a_checkpoint_without_a_head_says_how_to_use_it(tmp_path):
    model = Published(lora=False, cnn=False)
    torch.save({n: t for n, t in model.state_dict().items() if n.startswith("backbone")}, tmp_path / "bare.pth")
    with pytest.raises(InputError, match="no head of the study"):
        from_study(tmp_path / "bare.pth")
