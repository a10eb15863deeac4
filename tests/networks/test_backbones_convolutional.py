"""ResNets give tokens as the other backbones do, whoever's names their files use."""

import re

import numpy as np
import pytest
import torch
import transformers

from lithoscope.errors import InputError
from lithoscope.features.backbones import known, open_backbone
from lithoscope.features.convnet import ConvConfig, Convnet
from lithoscope.features.tokens import Tokens
from lithoscope.training.lora import LoraSettings, adapted, taught_parameters
from lithoscope.training.token_heads import CnnHead


def resnet(kind, depths):
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[16, 32, 64, 128], depths=depths, layer_type=kind)
    model = transformers.ResNetModel(config).eval()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model


@pytest.fixture(params=[("basic", [2, 2, 2, 2]), ("bottleneck", [1, 2, 1, 1])], ids=["basic", "bottleneck"])
def model(request):
    return resnet(*request.param)


def torchvision(tensors):
    def renamed(name):
        name = name.replace("embedder.embedder.convolution", "conv1").replace("embedder.embedder.normalization", "bn1")
        name = re.sub(r"encoder\.stages\.(\d)\.layers", lambda m: f"layer{int(m.group(1)) + 1}", name)
        name = name.replace("shortcut.convolution", "downsample.0").replace("shortcut.normalization", "downsample.1")
        name = re.sub(r"\.layer\.(\d)\.convolution", lambda m: f".conv{int(m.group(1)) + 1}", name)
        return re.sub(r"\.layer\.(\d)\.normalization", lambda m: f".bn{int(m.group(1)) + 1}", name)

    return {renamed(n): t for n, t in tensors.items()} | {"fc.weight": torch.zeros(10, 128), "fc.bias": torch.zeros(10)}


def test_a_folder_of_the_hubs_layout_gives_the_tokens_of_transformers(model, tmp_path):
    model.save_pretrained(tmp_path / "resnet")
    opened = open_backbone(tmp_path / "resnet")
    pixels = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        theirs = model(pixels).last_hidden_state
        ours = opened.network.layers(pixels, (-1,))[0]
    torch.testing.assert_close(ours, theirs.flatten(2).transpose(1, 2))
    assert (opened.patch, opened.width) == (32, 128)


def test_torchvisions_names_are_understood_and_the_classifier_is_left_out(model, tmp_path):
    torch.save(torchvision(model.state_dict()), tmp_path / "resnet18.pth")
    opened = open_backbone(tmp_path / "resnet18.pth")
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(opened.network(pixels), model(pixels).last_hidden_state.flatten(2).transpose(1, 2))
    assert opened.left_out == ("fc.weight", "fc.bias")


def test_tokens_of_planes_come_from_it(model, tmp_path):
    model.save_pretrained(tmp_path / "resnet")
    tokens = Tokens(str(tmp_path / "resnet"), reduced=0)
    made = tokens.of_plane(np.random.default_rng(0).random((70, 40)).astype(np.float32), (0, 1))
    assert made.shape == (3, 2, 128)
    with pytest.raises(InputError, match="no attention"):
        tokens.opened.network.attention(torch.zeros(1, 3, 32, 32))


def test_keys_that_lack_are_listed(model, tmp_path):
    tensors = model.state_dict()
    tensors.pop("encoder.stages.1.layers.0.layer.0.normalization.weight")
    torch.save(tensors, tmp_path / "part.pth")
    with pytest.raises(InputError, match="1 missing keys: encoder"):
        open_backbone(tmp_path / "part.pth")


def test_resnet_152_with_lora_and_the_published_head_is_as_large_as_published():
    config = ConvConfig(64, (256, 512, 1024, 2048), (3, 8, 36, 3), deep=True)
    with torch.device("meta"):
        network = adapted(Convnet(config), LoraSettings())
        head = CnnHead(2048, 3, 32)
    assert taught_parameters(network) == 7_785_056
    assert taught_parameters(network) + taught_parameters(head) == 22_102_115
    assert known("resnet-152").licence == "Apache-2.0"
