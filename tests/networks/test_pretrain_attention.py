"""Attention in the start in closed form, attention taught alone, and how widely attention looks."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lithoscope.cli.commands.pretraining import pretrain as command
from lithoscope.errors import InputError
from lithoscope.features.vit import Layer, Vit, VitConfig
from lithoscope.training.selfsupervised.augment import Augmentation
from lithoscope.training.selfsupervised.foretold import FeatureSettings, Foretold
from lithoscope.training.selfsupervised.likeness import ALIKE, HEARD, hear_kinds, looked_at
from lithoscope.training.selfsupervised.loop import crops_of, pretrain
from lithoscope.training.selfsupervised.sources import plan_of
from lithoscope.training.selfsupervised.warm_start import Room

CONFIG = VitConfig(hidden=192, depth=2, heads=3, patch=8, channels=1, image_size=48, position="conv", mean=(0.5,), std=(0.25,))


def plan(**changes):
    made = plan_of("features", size="test", steps=5, batch=4, rate=1e-2, tuning="attention")
    return replace(made, side=48, blocks=4, edge=48, refresh=2, **changes)


def test_a_head_averages_the_numbers_over_patches_near_in_its_kind():
    """Compared with the average written out patch by patch."""
    torch.manual_seed(0)
    room, spread = Room(CONFIG), 2.0
    ways = room.ways()
    reading = ways / ways.abs().sum(1, keepdim=True)
    numbers = torch.randn(20, len(reading))
    tokens = numbers @ ways
    for kind, channel in zip(room.kinds, room.sizes.tolist(), strict=True):
        tokens[:, channel] = numbers[:, list(kind)].square().mean(1)
    layer = Layer(CONFIG)
    with torch.no_grad():
        hear_kinds(layer, spread, [reading[list(kind)] for kind in room.kinds], reading, room.heard, room.sizes)
        said = layer.attention(tokens[None] / spread)[0].numpy()
    for kind, channels in zip(room.kinds, room.heard.tolist(), strict=True):
        seen = numbers[:, list(kind)].numpy()
        for patch in range(20):
            weights = np.array([np.exp(-ALIKE * np.mean((seen[patch] - other) ** 2)) for other in seen])
            wanted = HEARD * (weights[:, None] * numbers.numpy()).sum(0) / weights.sum()
            np.testing.assert_allclose(said[patch, channels], wanted, atol=2e-4)
    others = np.setdiff1d(np.arange(192), room.heard.numpy())
    assert not said[:, others].any()


@pytest.mark.parametrize(("hidden", "heads"), [(48, 3), (192, 3), (384, 6)])
def test_what_kinds_are_like_has_its_own_channels_in_the_workspace(hidden, heads):
    room = Room(replace(CONFIG, hidden=hidden, heads=heads))
    taken = [*room.heard.flatten().tolist(), *room.sizes.tolist()]
    assert len(set(taken)) == len(taken)
    assert set(taken) <= set(range(room.work.start, room.work.stop))
    assert len(room.kinds) == (3 if hidden >= 192 else 1)


def test_attention_that_tells_nothing_apart_looks_at_every_token_alike():
    network = Vit.random(CONFIG, 0)
    with torch.no_grad():
        for layer in network.encoder.layer:
            layer.attention.attention.query.weight.zero_()
    np.testing.assert_allclose(looked_at(network, torch.rand(2, 1, 48, 48)), [36 + network.prefix] * 2, rtol=1e-4)


def test_taught_alone_attention_changes_and_nothing_else_that_tokens_of_patches_pass_through(sources, tmp_path):
    start = pretrain(sources, tmp_path / "start", plan(schedule=replace(plan().schedule, steps=0)))
    taught = pretrain(sources, tmp_path / "taught", plan())
    before, after = start.state_dict(), taught.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.endswith("query.weight") for name in moved)
    assert all(".attention." in name or name.endswith(("cls_token", "mask_token", "register_tokens")) for name in moved)
    lines = [json.loads(line) for line in (tmp_path / "taught" / "log.jsonl").read_text().splitlines()]
    assert len(lines[0]["looked"]) == 2
    parts = tmp_path / "parts"
    pretrain(sources, parts, plan(), stop_after=2)
    again = pretrain(sources, parts, plan())
    assert all(torch.equal(a, b) for a, b in zip(taught.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_class_token_alone_names_the_scan_where_patches_are_not_to_tell_it(sources):
    made = Foretold(plan().network, FeatureSettings(pooled=False, hidden=0.0), origins=2)
    crops = crops_of(plan(), sources)
    drawn = made.draw(crops, 0, 4, torch.Generator().manual_seed(0), Augmentation())[0]
    assert made.name_scan.in_features == plan().network.hidden
    assert "origin" in made.loss(drawn, "cpu")[1]


def test_attention_alone_of_a_network_of_random_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="name one with --start"):
        command(["none.zarr"], output=str(tmp_path), objective="mae", tuning="attention")
