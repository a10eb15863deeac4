"""What tokens hold, measured from the command line: probes of a truth, and crops that are to find others of their scan."""

import numpy as np
import pytest

from lithoscope.cli.commands.backbones import evaluate_backbone
from lithoscope.cli.commands.finding_again import COUNT, crops_of_scans, found_again, pooled
from lithoscope.features.backbones import RANDOM
from lithoscope.sample import TRUTH, simulate


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return [simulate(folder / f"{seed}.zarr", shape=(8, 72, 80), seed=seed) for seed in (0, 1)]


def test_two_scans_are_probed_and_their_crops_find_each_other(scans):
    told = evaluate_backbone([RANDOM], scans=[str(s.path) for s in scans], truth=TRUTH, per_class=60, slices=1, scale=1.0)
    assert [row["name"] for row in told["rows"]] == ["pixels", RANDOM, f"{RANDOM}, untaught"]
    assert told["crops"] == 2 * COUNT
    for row in told["rows"]:
        for key in ("linear", "neighbours", "p_at_nk", "nn_f1"):
            assert 0 <= row[key] <= 1
    same = {key: value for key, value in told["rows"][1].items() if key != "name"}
    assert same == pytest.approx({key: value for key, value in told["rows"][2].items() if key != "name"})


def test_one_scan_has_no_other_to_be_told_from(scans):
    told = evaluate_backbone([RANDOM], scans=[str(scans[0].path)], truth=TRUTH, per_class=60, slices=1, scale=1.0)
    assert told["crops"] == 0
    assert all("p_at_nk" not in row for row in told["rows"])


def test_crops_that_differ_are_all_found_again_and_crops_of_noise_by_chance():
    rng = np.random.default_rng(0)
    crops = [((rng.normal(5 * k, 1 + 3 * k, (20, 20))).astype(np.float32), (0.0, 1.0), str(k)) for k in (0, 1) for _ in range(12)]
    told = found_again(crops, lambda image, window: image[None])
    assert told["p_at_nk"] > 0.95
    assert told["nn_f1"] > 0.95
    alike = [(rng.normal(size=(20, 20)).astype(np.float32), (0.0, 1.0), str(k % 2)) for k in range(40)]
    assert found_again(alike, lambda image, window: image[None])["p_at_nk"] < 0.7


def test_pooled_vectors_are_means_and_deviations_at_unit_spread():
    values = [np.random.default_rng(k).normal(k, 1 + k, (3, 5, 5)).astype(np.float32) for k in range(4)]
    vectors = pooled(values)
    plain = np.stack([np.concatenate([v.mean((1, 2)), v.std((1, 2))]) for v in values])
    np.testing.assert_allclose(vectors, (plain - plain.mean(0)) / plain.std(0), rtol=1e-4)


def test_crops_lie_within_their_scans_and_depend_on_the_seed_alone(scans):
    one, again, other = (crops_of_scans(scans, seed=seed) for seed in (3, 3, 4))
    assert {image.shape for image, *_ in one} == {(72, 80)}
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(one, other, strict=True))
