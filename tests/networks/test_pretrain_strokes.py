"""The second half of the shipped backbone's recipe: simulated tasks, and a last layer taught on them."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lithoscope.errors import InputError
from lithoscope.features.token_grid import Grid, upsampled
from lithoscope.features.vit import Vit, VitConfig
from lithoscope.training.selfsupervised.crops import HIGH, LOW, Source, View, cut

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from pretrain_episodes import CROPS, Places, episodes, geometries, scanned_pair, seen_by
from pretrain_strokes import FREE, Answers, Lessons, pooled, sampled, teach_last

CONFIG = VitConfig(hidden=48, depth=2, heads=3, patch=8, channels=1, image_size=48, position="conv", mean=(0.5,), std=(0.25,))
SMALL = Lessons(steps=3, tasks=2, crops=4, bank=6, real=32, volumes=9)


@pytest.fixture(scope="module")
def tasks():
    return episodes(geometries(7, 3, edge=64), 6, 48, seed=0)


@pytest.fixture(scope="module")
def scans():
    rng = np.random.default_rng(0)
    return [Source.of(rng.normal(100 + 20 * i, 10 * (1 + i), (40, 64, 64)).astype(np.float32), f"s{i}") for i in range(2)]


def network(seed=0):
    made = Vit.random(CONFIG, seed)
    with torch.no_grad():
        made.layernorm.weight[-FREE:] = 0
        made.layernorm.weight[0] = 0
    return made


@pytest.mark.parametrize(
    ("angle", "zoom", "flip"), [(0.0, 1.0, False), (0.0, 1.0, True), (np.pi / 2, 1.0, False), (0.7, 0.6, True), (2.0, 1.3, False)]
)
def test_the_truth_of_a_view_lies_where_its_grey_values_do(angle, zoom, flip):
    """A plane of wide stripes, read as an image: away from their borders and within the plane the phase is the grey value."""
    plane = ((np.arange(64)[:, None] // 16 + np.arange(64)[None] // 16) % 3).astype(np.uint8)
    view = View(0, 0, (31.0, 33.0), zoom, angle, flip)
    grey = cut(plane[None].astype(np.float32), (0.0, 2.0), view, 24).numpy() * 2
    same = np.abs(grey - np.round(grey)) < 1e-3
    assert same.mean() > 0.5
    assert (np.round(grey)[same] == seen_by(view, plane, 24)[same]).all()


def test_a_task_holds_at_least_two_phases_and_each_on_both_slices(tasks):
    rng = np.random.default_rng(1)
    for task in tasks:
        assert task.crops.shape == (CROPS, 1, 48, 48)
        assert LOW <= float(task.crops.min()) < float(task.crops.max()) <= HIGH
        assert task.phases >= 2
        for part, places in zip((task.truth[:2], task.truth[2:]), task.places(rng), strict=True):
            assert (part[tuple(places.where.T)] == places.phase).all()
            assert len(set(np.bincount(places.phase))) == 1


def test_tasks_depend_on_the_seed_alone():
    volumes = geometries(2, 3, edge=64)
    once, again, other = (episodes(volumes, 2, 48, seed) for seed in (4, 4, 5))
    assert all(torch.equal(a.crops, b.crops) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0].crops, other[0].crops)


def test_a_window_is_never_empty():
    flat = np.zeros((64, 64), np.uint8)
    for seed in range(20):
        images, (low, high) = scanned_pair([flat, flat], np.random.default_rng(seed))
        assert high > low
        assert all(np.isfinite(image).all() for image in images)


def test_tokens_are_read_between_patches_as_methods_read_them():
    tokens = torch.randn(2, 6, 6, 5, generator=torch.Generator().manual_seed(0))
    where = np.argwhere(np.ones((2, 48, 48), bool))
    found = sampled(tokens, Places(where, np.zeros(len(where), np.int64)), 48).numpy()
    for crop in range(2):
        whole = upsampled(tokens[crop].numpy(), Grid(8, 1.0), (0, 48), (0, 48), (48, 48))
        np.testing.assert_allclose(found[where[:, 0] == crop].T, whole.reshape(5, -1), atol=1e-5)


def test_the_ridge_is_ridge_regression(tasks):
    """With strength 1 on standardised tokens, scikit-learn's; the loss is the cross entropy of what it gives, six times as sure."""
    from sklearn.linear_model import Ridge

    answers, task = Answers(), tasks[0]
    with torch.no_grad():
        answers.strength.zero_()
    tokens = torch.randn(CROPS, 6, 6, 48, generator=torch.Generator().manual_seed(0))
    places = task.places(np.random.default_rng(0))
    wrong, _, right = answers.phases(tokens, task, places)
    told, asked = (sampled(part, p, 48).numpy() for part, p in zip((tokens[:2], tokens[2:]), places, strict=True))
    middle, spread = told.mean(0), told.std(0, ddof=1)
    ridge = Ridge(alpha=1.0).fit((told - middle) / spread, np.eye(task.phases)[places[0].phase])
    said, truth = ridge.predict((asked - middle) / spread), torch.from_numpy(places[1].phase)
    assert float(wrong.detach()) == pytest.approx(float(torch.nn.functional.cross_entropy(torch.from_numpy(said * 6), truth)), rel=1e-3)
    assert right == pytest.approx((said.argmax(1) == places[1].phase).mean(), abs=0.01)


def test_a_network_whose_last_channels_are_in_use_is_refused(scans):
    with pytest.raises(InputError, match="started in closed form"):
        teach_last(Vit.random(CONFIG, 0), scans, SMALL)


def test_crops_that_find_their_scan_are_better_than_crops_that_do_not():
    answers = Answers()
    scans = torch.tensor([0, 0, 1, 1])
    tokens = torch.randn(4, 6, 6, 8, generator=torch.Generator().manual_seed(0)) * 0.1
    alike = tokens + scans.view(-1, 1, 1, 1)
    mixed = tokens + torch.tensor([0, 1, 0, 1]).view(-1, 1, 1, 1)
    by_mean, by_chance = (answers.scans(pooled(made.flatten(1, 2)), scans) for made in (alike, mixed))
    assert by_mean < by_chance


def test_only_the_last_layer_is_taught_and_silent_channels_stay_silent(scans):
    start = network()
    before = copy.deepcopy(start.state_dict())
    taught = teach_last(start, scans, SMALL)
    after = taught.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("encoder.layer.1.", "layernorm.")) for name in moved)
    assert all(torch.equal(before[name], value) for name, value in start.state_dict().items()), "the start is not touched"
    assert after["layernorm.weight"][0] == 0 == after["layernorm.bias"][0]
    assert after["layernorm.weight"][-FREE:].abs().min() > 0.5


def test_the_same_lessons_give_the_same_weights(scans):
    once, again = (teach_last(network(), scans, SMALL).state_dict() for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once.values(), again.values(), strict=True))


def test_lessons_make_strokes_go_further(scans):
    """On the tasks that teach it: more right after forty steps than before any."""
    from dataclasses import replace

    from pretrain_strokes import _before_last, _right

    how = replace(SMALL, steps=40, rate=2e-3, held=0.0)
    start = network()
    taught = teach_last(start, scans, how)
    known = episodes(geometries(how.volumes, 77)[1:], how.bank, 48, how.seed + 1)
    shares = []
    for made in (start, taught):
        before = torch.stack([_before_last(made, task.crops) for task in known])
        shares.append(_right(made, Answers(), known, before, 6))
    assert shares[1] > shares[0]
