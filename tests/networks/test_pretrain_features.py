"""Masked feature prediction: what is foretold, the start in closed form, the clock, and attention that fades with distance."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lithoscope.errors import InputError
from lithoscope.features.backbones import open_backbone
from lithoscope.features.vit import Vit, VitConfig
from lithoscope.training.selfsupervised.augment import Augmentation
from lithoscope.training.selfsupervised.clock import UNSETTLED, Clock
from lithoscope.training.selfsupervised.crops import Crops, Pool
from lithoscope.training.selfsupervised.described import (
    LEAST,
    MIDDLE,
    NUMBERS,
    SPREAD,
    WIDTHS,
    described,
    looks,
    plain,
    roughness,
    smoothed,
)
from lithoscope.training.selfsupervised.foretold import Foretold
from lithoscope.training.selfsupervised.loop import WATCH, crops_of, pretrain
from lithoscope.training.selfsupervised.schedule import Schedule
from lithoscope.training.selfsupervised.sources import plan_of
from lithoscope.training.selfsupervised.warm_start import Room, ridge, settle_reading, warm_start, whitening

CONFIG = VitConfig(hidden=48, depth=2, heads=3, patch=8, channels=1, image_size=48, position="conv", mean=(0.5,), std=(0.25,))


def plan(steps=6, **changes):
    made = replace(plan_of("features", size="test", steps=steps, batch=4), side=48, blocks=4, edge=48, refresh=2)
    return replace(made, **changes)


def test_the_curvatures_are_those_of_scikit_image():
    from skimage.feature import hessian_matrix, hessian_matrix_eigvals

    image = torch.nn.functional.interpolate(
        torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0)), scale_factor=8, mode="bicubic"
    )
    smooth, large, small = looks(image, 4.0)[0].numpy()
    wanted = 16 * hessian_matrix_eigvals(hessian_matrix(smooth.astype(np.float64), 0.01, order="rc", use_gaussian_derivatives=False))
    inner = slice(10, -10)
    np.testing.assert_allclose(large[inner, inner], wanted[0][inner, inner], atol=0.02 * np.abs(wanted).max())
    np.testing.assert_allclose(small[inner, inner], wanted[1][inner, inner], atol=0.02 * np.abs(wanted).max())


def test_the_numbers_have_a_fixed_middle_and_spread_whatever_else_is_in_the_batch():
    images = torch.rand(4, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    numbers = described(images, 8)
    assert numbers.shape == (4, 48, NUMBERS)
    assert NUMBERS == 3 * len(WIDTHS) + 1 == len(MIDDLE) == len(SPREAD)
    torch.testing.assert_close(described(images[:1], 8), numbers[:1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(numbers * torch.tensor(SPREAD) + torch.tensor(MIDDLE), plain(images, 8), atol=1e-5, rtol=1e-4)


def test_roughness_is_the_local_deviation_and_its_number_the_logarithm():
    image = 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) + 0.5
    wanted = float((image - smoothed(image, 1.0)).std())
    assert float(roughness(image)[..., 8:-8, 8:-8].mean()) == pytest.approx(wanted, rel=0.1)
    rough = plain(image, 8)[..., -1]
    assert float(rough.mean()) == pytest.approx(float(np.arcsinh(wanted / LEAST)), rel=0.1)
    assert float(plain(torch.full((1, 1, 16, 16), 0.3), 8)[..., -1].abs().max()) < 1e-4


def test_the_curvatures_of_a_smooth_scan_still_tell_patches_apart():
    """A tenth of the contrast leaves more than three tenths of the spread of what curvatures tell."""
    spots = torch.nn.functional.interpolate(
        torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)), scale_factor=8, mode="bicubic"
    )
    strong, faint = (described(0.5 + contrast * (spots - 0.5), 8)[..., [7, 8]].std() for contrast in (1.0, 0.1))
    assert faint > 0.3 * strong


def test_ridge_without_strength_is_least_squares():
    rng = torch.Generator().manual_seed(0)
    inputs, true = torch.randn(200, 5, generator=rng), torch.randn(3, 5, generator=rng)
    weight, offset = ridge(inputs, inputs @ true.T + 2, strength=1e-9)
    torch.testing.assert_close(weight, true, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(offset, torch.full((3,), 2.0), atol=1e-4, rtol=1e-4)


def test_whitened_rows_vary_by_one_in_every_direction_that_they_use():
    rows = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) @ torch.tensor([[2.0, 0, 1, 0], [0, 0.3, 0, 0], [1, 0, 1, 0]])
    map_, middle = whitening(rows + 5)
    made = (rows + 5 - middle) @ map_
    torch.testing.assert_close(made.T @ made / 500, torch.diag(torch.tensor([1.0, 1, 1, 0])), atol=1e-3, rtol=0)


@pytest.mark.parametrize("hidden", [48, 192, 384])
@pytest.mark.parametrize("patch", [8, 14])
@pytest.mark.parametrize("position", ["conv", "alibi"])
def test_the_channels_are_shared_out_without_overlap(hidden, patch, position):
    room = Room(replace(CONFIG, hidden=hidden, patch=patch, position=position))
    ways = room.ways()
    assert not ways.sum(1).any()
    assert ((ways != 0).sum(0) == (torch.arange(hidden) < room.constants.start)).all()
    assert room.constants.stop == room.work.start == room.own.start < room.own.stop == room.around.start <= room.around.stop <= hidden
    assert room.work.stop == hidden
    assert room.work.start == room.mixed.start < room.mixed.stop <= hidden
    assert (ways[:, room.told[:NUMBERS]] == torch.eye(NUMBERS)).all()
    assert room.own.stop - room.own.start <= patch**2


@pytest.mark.parametrize("position", ["conv", "alibi", "none", "learned"])
def test_the_start_in_closed_form_already_tells_the_numbers(sources, position):
    crops = Crops(Pool(sources, 0, 6, 48, 2), side=48)
    fresh, warm = (Foretold(replace(CONFIG, position=position), origins=2) for _ in range(2))
    warm_start(warm, crops, Augmentation(), steps=8, batch=8)
    settle_reading(fresh, crops, Augmentation(), steps=8, batch=8)
    drawn = warm.draw(crops, 9, 8, torch.Generator().manual_seed(5), Augmentation())[0]
    with torch.no_grad():
        a, b = (made.eval().loss(drawn, "cpu")[1] for made in (fresh, warm))
    assert b["seen"] < 0.9 * a["seen"]


def test_what_is_only_worked_on_is_gone_from_the_tokens_and_mixtures_stand_there(sources):
    crops = Crops(Pool(sources, 0, 6, 48, 2), side=48)
    warm = Foretold(CONFIG, origins=2)
    warm_start(warm, crops, Augmentation(), steps=8, batch=8)
    network, room = warm.encoder.eval(), Room(CONFIG)
    with torch.no_grad():
        tokens = network(network.normalised(crops.single(900, 8)[0]))[:, network.prefix :]
    silent = sorted(set(range(CONFIG.hidden)) - set(room.told))
    assert not (tokens[..., silent] - tokens[:1, :1, silent]).any()
    assert len(room.told) == NUMBERS + room.mixed.stop - room.mixed.start
    assert tokens[..., room.told].std((0, 1)).min() > 0.03
    assert tokens[..., room.mixed].abs().max() < 3


def test_a_network_to_begin_from_is_read_as_it_is(sources):
    crops = Crops(Pool(sources, 0, 6, 48, 2), side=48)
    begun = Foretold(CONFIG, start=Vit.random(CONFIG, 3), origins=2)
    before = {name: value.clone() for name, value in begun.encoder.state_dict().items()}
    drawn = begun.draw(crops, 9, 8, torch.Generator().manual_seed(5), Augmentation())[0]
    with torch.no_grad():
        first = begun.eval().loss(drawn, "cpu")[1]["seen"]
        settle_reading(begun, crops, Augmentation())
        assert begun.loss(drawn, "cpu")[1]["seen"] < 0.8 * first
    assert all(torch.equal(before[name], value) for name, value in begun.encoder.state_dict().items())


def test_foretelling_is_learnt_and_the_rank_is_watched(sources, tmp_path):
    longer = plan(schedule=Schedule(steps=WATCH + 1, batch=8, rate=2e-3, warmup=10))
    pretrain(sources, tmp_path, longer)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    first, last = (np.mean([line["seen"] for line in part]) for part in (lines[:10], lines[-10:]))
    assert last < 0.9 * first
    assert [line["step"] for line in lines if "rank" in line] == [0, WATCH]
    assert lines[-1]["rank"] > 1


def test_no_step_at_all_gives_the_start_in_closed_form(sources, tmp_path):
    made = plan(steps=0)
    network = pretrain(sources, tmp_path, made)
    again = Foretold(made.network, made.features, seed=made.seed, origins=2)
    warm_start(again, crops_of(made, sources), made.augmentation)
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.encoder.state_dict().values(), strict=True))
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), open_backbone(tmp_path).network.state_dict().values(), strict=True)
    )


def test_one_scan_has_no_name_to_tell(sources):
    made = Foretold(CONFIG, origins=1)
    crops = Crops(Pool(sources[:1], 0, 4, 48, 2), side=48)
    drawn = made.draw(crops, 0, 4, torch.Generator().manual_seed(0), Augmentation())[0]
    assert "origin" not in made.loss(drawn, "cpu")[1]


def test_a_training_that_ends_by_the_clock_is_the_one_with_that_many_steps(sources, tmp_path, monkeypatch):
    ticks = iter(range(0, 10_000, 4))
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    clocked = pretrain(sources, tmp_path / "clock", plan(steps=3), minutes=2.0)
    monkeypatch.undo()
    steps = json.loads((tmp_path / "clock" / "steps.json").read_text())["steps"]
    assert 4 < steps < 40
    told = len((tmp_path / "clock" / "log.jsonl").read_text().splitlines())
    assert told == steps
    given = pretrain(sources, tmp_path / "steps", plan(steps=steps))
    assert all(torch.equal(a, b) for a, b in zip(clocked.state_dict().values(), given.state_dict().values(), strict=True))
    again = pretrain(sources, tmp_path / "clock", plan(steps=3), minutes=2.0)
    assert all(torch.equal(a, b) for a, b in zip(clocked.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_clock_settles_once(tmp_path):
    clock, schedule = Clock(tmp_path, 10.0), Schedule(decay=0.25)
    assert clock.settled(schedule, 50, 300).steps == UNSETTLED
    assert clock.settled(schedule, 75, 451).steps == 100
    assert Clock(tmp_path, 10.0).settled(schedule, 90, 540).steps == 100
    assert Clock(tmp_path / "none", None).settled(schedule, 90, 540) is schedule


def test_distance_counts_for_nothing_to_and_from_the_class_token_and_more_from_token_to_token():
    network = Vit.random(replace(CONFIG, position="alibi"))
    far = network.far(torch.zeros(1, 1, 24, 32))
    assert far.shape == (3, 5 + 12, 5 + 12)
    assert not far[:, :5].any()
    assert not far[:, :, :5].any()
    assert torch.equal(far, far.transpose(1, 2))
    np.testing.assert_allclose(far[0, 5, 5 + 4 + 1], -(2 ** (-8 / 3)) * 2**0.5, rtol=1e-6)
    assert Vit.random(CONFIG).far(torch.zeros(1, 1, 24, 32)) is None


def test_attention_that_fades_is_saved_and_opened_again(tmp_path):
    from lithoscope.training.selfsupervised.loop import write

    network = Vit.random(replace(CONFIG, position="alibi"))
    write(tmp_path, network)
    opened = open_backbone(tmp_path).network
    pixels = torch.rand(1, 1, 32, 32)
    assert opened.config.position == "alibi"
    with torch.no_grad():
        torch.testing.assert_close(opened(pixels), network(pixels))
        torch.testing.assert_close(network.layers(pixels, (-1,))[0], network(pixels))
        assert not torch.allclose(network(pixels), Vit.random(replace(CONFIG, position="none"))(pixels), atol=1e-3)
    large = torch.rand(1, 1, 160, 160)
    with torch.no_grad():
        from lithoscope.features import vit

        fused = network(large)
        kept, vit.SHORT = vit.SHORT, 10_000
        try:
            torch.testing.assert_close(network(large), fused, atol=1e-4, rtol=1e-3)
        finally:
            vit.SHORT = kept


def test_a_negative_time_is_refused(sources, tmp_path):
    with pytest.raises(InputError, match="minutes"):
        pretrain(sources, tmp_path, plan(), minutes=0)
