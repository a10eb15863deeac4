"""Every published layout gives the tokens that its own library gives; nothing is loaded in part."""

import json
import re

import numpy as np
import pytest
import torch
import transformers

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.features import backbones, layouts
from lithoscope.features.vit import Vit

SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}


def shaken(model):
    """Random values everywhere, so that no scale or place is at its neutral default."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def saved(model, folder):
    model.save_pretrained(folder)
    return folder


def dinov2(registers, folder):
    if registers:
        config = transformers.Dinov2WithRegistersConfig(image_size=56, patch_size=14, num_register_tokens=4, **SMALL)
        model = shaken(transformers.Dinov2WithRegistersModel(config))
    else:
        model = shaken(transformers.Dinov2Model(transformers.Dinov2Config(image_size=56, patch_size=14, **SMALL)))
    return model, saved(model, folder)


@pytest.mark.parametrize("registers", [False, True])
@pytest.mark.parametrize("size", [(56, 56), (70, 42)])
def test_dinov2_of_the_hubs_layout_gives_the_tokens_of_transformers(tmp_path, registers, size):
    model, folder = dinov2(registers, tmp_path)
    ours = backbones.open_backbone(folder)
    pixels = torch.randn(2, 3, *size)
    with torch.no_grad():
        theirs = model(pixels, output_hidden_states=True)
        mine = ours.network(pixels)
        first = ours.network.layers(pixels, (1,), norm=False)[0]
    torch.testing.assert_close(mine, theirs.last_hidden_state, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(first, theirs.hidden_states[1], atol=1e-4, rtol=1e-4)


def test_attention_equals_that_of_transformers(tmp_path):
    config = transformers.Dinov2Config(image_size=56, patch_size=14, attn_implementation="eager", **SMALL)
    model = shaken(transformers.Dinov2Model(config))
    ours = backbones.open_backbone(saved(model, tmp_path))
    pixels = torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        theirs = model(pixels, output_attentions=True).attentions
        torch.testing.assert_close(ours.network.attention(pixels, -1), theirs[-1], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.network.attention(pixels, 1), theirs[0], atol=1e-5, rtol=1e-4)


def vit(folder):
    config = transformers.ViTConfig(image_size=32, patch_size=8, intermediate_size=96, **SMALL)
    model = shaken(transformers.ViTModel(config, add_pooling_layer=False))
    return model, saved(model, folder)


def test_dino_v1_of_transformers_loads(tmp_path):
    model, folder = vit(tmp_path)
    ours = backbones.open_backbone(folder)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours.network(pixels), model(pixels).last_hidden_state, atol=1e-4, rtol=1e-4)
    assert ours.layout == "transformers ViT"


def test_mae_of_transformers_loads_without_its_decoder(tmp_path):
    config = transformers.ViTMAEConfig(
        image_size=32, patch_size=8, intermediate_size=96, decoder_hidden_size=24, decoder_num_attention_heads=3, mask_ratio=0.0, **SMALL
    )
    model = shaken(transformers.ViTMAEForPreTraining(config))
    ours = backbones.open_backbone(saved(model, tmp_path))
    assert any(name.startswith("decoder") for name in ours.left_out)
    pixels = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        theirs = model.vit(pixels, noise=torch.arange(16.0)[None]).last_hidden_state
        torch.testing.assert_close(ours.network(pixels), theirs, atol=1e-4, rtol=1e-4)


def facebook(tensors):
    """The same weights under facebookresearch's and timm's names, queries, keys and values joined."""
    made = {}
    for name, value in tensors.items():
        if ".attention.attention.key." in name or ".attention.attention.value." in name:
            continue
        new = name.removeprefix("embeddings.").replace("position_embeddings", "pos_embed")
        new = new.replace("patch_embeddings.projection", "patch_embed.proj").replace("layernorm.", "norm.")
        new = new.replace("encoder.layer.", "blocks.").replace("attention.output.dense", "attn.proj")
        new = re.sub(r"layer_scale(\d)\.lambda1", r"ls\1.gamma", new)
        if ".attention.attention.query." in new:
            value = torch.cat([tensors[name.replace("query", part)] for part in ("query", "key", "value")])
            new = new.replace("attention.attention.query", "attn.qkv")
        made[new] = value
    return made


@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: {"teacher": {f"module.backbone.{n}": v for n, v in t.items()}}, lambda t: {"model": t}]
)
def test_the_names_of_timm_and_facebookresearch_load_under_any_wrapper_and_prefix(tmp_path, wrap):
    _, folder = dinov2(True, tmp_path / "hub")
    expected = layouts.load(folder)
    torch.save(wrap(facebook(expected.tensors)), tmp_path / "weights.pth")
    found = layouts.load(tmp_path / "weights.pth")
    assert found.layout == "timm"
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(found.tensors[n], expected.tensors[n]) for n in expected.tensors)


def test_the_student_is_loaded_when_it_is_asked_for(tmp_path):
    _, folder = dinov2(False, tmp_path / "hub")
    weights = facebook(layouts.load(folder).tensors)
    doubled = {name: 2 * value for name, value in weights.items()}
    torch.save({"teacher": weights, "student": doubled}, tmp_path / "both.pth")
    student = layouts.load(tmp_path / "both.pth", key="student").tensors["layernorm.weight"]
    torch.testing.assert_close(student, 2 * layouts.load(tmp_path / "both.pth", key="teacher").tensors["layernorm.weight"])


def test_missing_and_unexpected_keys_are_listed(tmp_path):
    _, folder = dinov2(False, tmp_path / "hub")
    weights = layouts.load(folder).tensors
    less = {n: t for n, t in weights.items() if n != "encoder.layer.1.mlp.fc2.weight"} | {"surprise.weight": torch.zeros(2)}
    with pytest.raises(InputError, match=r"missing keys: encoder\.layer\.1\.mlp\.fc2\.weight; 1 unexpected keys: surprise\.weight"):
        layouts.understood(less, {})


def test_a_tensor_of_another_shape_is_refused(tmp_path):
    _, folder = dinov2(False, tmp_path / "hub")
    weights = dict(layouts.load(folder).tensors)
    weights["layernorm.bias"] = torch.zeros(5)
    with pytest.raises(InputError, match="another shape"):
        layouts.understood(weights, {})


def test_a_pickle_is_not_opened(tmp_path):
    from argparse import Namespace

    torch.save({"model": {"a": torch.zeros(1)}, "args": Namespace(lr=1)}, tmp_path / "full.pth")
    with pytest.raises(UnreadableError, match="more than plain tensors"):
        layouts.load(tmp_path / "full.pth")


def test_a_broken_file_is_said_to_be_broken(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(UnreadableError, match="fetch it again"):
        layouts.load(tmp_path)


def test_a_missing_backbone_says_which_file_to_put_where(monkeypatch, tmp_path):
    monkeypatch.setenv("LITHOSCOPE_BACKBONES", str(tmp_path))
    with pytest.raises(MissingError, match=re.escape(f"into {tmp_path / 'dinov2-small'}")):
        backbones.open_backbone("dinov2-small")


def test_a_hub_that_is_not_there_says_which_file_to_put_where(monkeypatch, tmp_path):
    import huggingface_hub

    def unreachable(*given, **more):
        raise OSError("no route to host")

    monkeypatch.setenv("LITHOSCOPE_BACKBONES", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(MissingError, match="could not be fetched") as caught:
        backbones.fetch("dinov2-small")
    assert str(tmp_path / "dinov2-small") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_named_backbone_is_found_in_the_folder_of_its_name(monkeypatch, tmp_path):
    monkeypatch.setenv("LITHOSCOPE_BACKBONES", str(tmp_path))
    dinov2(False, tmp_path / "dinov2-small")
    opened = backbones.open_backbone("dinov2-small")
    assert opened.name == "dinov2-small"
    assert opened.licence == "Apache-2.0"
    listed = {entry["name"]: entry for entry in backbones.listing()}
    assert listed["dinov2-small"]["present"]
    assert listed["dinov2-small"]["sha256"] == opened.sha256
    assert not listed["dinov2-base"]["present"]
    json.dumps(list(listed.values()))


def test_two_random_networks_of_a_seed_are_equal():
    a, b = (backbones.open_backbone(backbones.RANDOM) for _ in range(2))
    assert a.sha256 == b.sha256
    assert backbones.weights_hash(Vit.random(backbones.random_config(), seed=1)) != a.sha256


def test_places_do_not_show_in_homogeneous_texture():
    network = backbones.open_backbone(backbones.RANDOM).network
    with torch.no_grad():
        tokens = network(torch.full((1, 1, 64, 64), 0.3))[0, network.prefix :]
    np.testing.assert_allclose(tokens.numpy(), tokens[:1].expand_as(tokens).numpy(), atol=1e-5)
