"""The spot check: places drawn at random in each class, and estimates that the truth lies in."""

import json

import numpy as np
import pytest
from labels_data import make_scan
from test_clean_results import made_result

from lithoscope.errors import InputError
from lithoscope.measure.spotcheck import Draw, checked, draw, draw_places, shares
from lithoscope.volume.box import Box


def biased(seed, shape=(40, 40, 40)):
    """The truth, and a threshold that is off: it takes too much for pore."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(shape) < 0.2, 1, 2).astype(np.uint8)
    grey = np.where(truth == 1, 60, 120) + rng.normal(0, 25, shape)
    return truth, np.where(grey < 98, 1, 2).astype(np.uint8)


def test_the_interval_covers_the_true_fraction_where_the_raw_fraction_does_not():
    truth, result = biased(0)
    actual = (truth == 1).mean()
    covered = 0
    right = 0
    for seed in range(100):
        places = draw_places(result, 200, (32, 32, 32), seed=seed)
        found = checked(places.voxels, [(p.mapped, int(truth[p.at])) for p in places.places])
        covered += found.fractions[1].low <= actual <= found.fractions[1].high
        right += found.accuracy.low <= (truth == result).mean() <= found.accuracy.high
    assert 90 <= covered <= 99
    assert 90 <= right <= 99
    assert abs((result == 1).mean() - actual) > 0.05


def test_estimates_weigh_classes_by_their_share():
    found = checked({1: 800, 2: 200}, [(1, 1)] * 9 + [(1, 2)] + [(2, 2)] * 5 + [(2, 1)] * 5)
    assert found.accuracy.value == pytest.approx(0.8 * 0.9 + 0.2 * 0.5)
    assert found.fractions[1].value == pytest.approx(0.8 * 0.9 + 0.2 * 0.5)
    assert found.fractions[2].value == pytest.approx(0.8 * 0.1 + 0.2 * 0.5)
    variance = 0.8**2 * 0.9 * 0.1 / 9 + 0.2**2 * 0.25 / 9
    assert found.fractions[1].high - found.fractions[1].value == pytest.approx(1.959964 * variance**0.5)
    assert found.mapped == {1: 0.8, 2: 0.2}


def test_a_class_that_the_result_lacks_gets_a_fraction():
    found = checked({1: 100}, [(1, 1)] * 8 + [(1, 3)] * 2)
    assert found.fractions[3].value == pytest.approx(0.2)
    assert found.to_json()["fractions"]["3"]["mapped"] == 0.0


def test_perfect_agreement_has_an_interval_of_its_own():
    found = checked({1: 50, 2: 50}, [(1, 1)] * 20 + [(2, 2)] * 20)
    assert found.accuracy.value == 1
    assert found.accuracy.low < 1
    assert found.fractions[1].low < 0.5 < found.fractions[1].high


def test_places_are_of_their_class_each_once_and_the_same_for_a_seed():
    labels = np.random.default_rng(1).choice([0, 1, 2, 3], (20, 21, 22), p=[0.3, 0.6, 0.09, 0.01]).astype(np.uint8)
    places = draw_places(labels, 150, (8, 9, 10), seed=4)
    assert len({p.at for p in places.places}) == len(places.places)
    assert all(labels[p.at] == p.mapped for p in places.places)
    assert places.voxels == {id: int((labels == id).sum()) for id in (1, 2, 3)}
    counts = np.bincount([p.mapped for p in places.places])
    assert counts[1:].min() >= 25
    assert places == draw_places(labels, 150, (8, 9, 10), seed=4)
    assert places != draw_places(labels, 150, (8, 9, 10), seed=5)
    assert Draw.from_json(json.loads(json.dumps(places.to_json()))) == places


def test_every_voxel_of_a_class_is_as_likely():
    labels = np.ones((4, 5, 5), np.uint8)
    drawn = np.zeros(labels.shape)
    for seed in range(300):
        for p in draw_places(labels, 20, (3, 2, 4), seed=seed).places:
            drawn[p.at] += 1
    assert drawn.mean() == pytest.approx(60)
    assert drawn.std() < 11


def test_rare_classes_get_their_places_and_no_more_than_they_have():
    assert shares([10**6, 1000], 200) == [175, 25]
    assert shares([10**6, 3], 200) == [175, 3]
    assert shares([100, 100, 100], 30) == [10, 10, 10]


def test_too_little_is_said():
    with pytest.raises(InputError, match="two places of class 2"):
        checked({1: 5, 2: 5}, [(1, 1), (1, 1), (2, 2)])
    with pytest.raises(InputError, match="nothing to check"):
        draw_places(np.zeros((3, 3, 3), np.uint8), 20, (3, 3, 3))
    with pytest.raises(InputError, match="draw at least"):
        draw_places(np.ones((3, 3, 3), np.uint8), 0, (3, 3, 3))


def test_places_of_a_result_are_drawn_through_its_corrections(tmp_path):
    from lithoscope.labels.corrections import corrected

    scan = make_scan(tmp_path / "rock.zarr", (12, 12, 12), shard=(8, 8, 8))
    made_result(scan, np.full(scan.shape, 2, np.uint8))
    with corrected(scan, "a") as labels:
        labels.write(Box((0, 0, 0), (6, 12, 12)), None, 1)
    places = draw(scan, "a", 60)
    assert places.voxels == {1: 864, 2: 864}
    assert all((p.at[0] < 6) == (p.mapped == 1) for p in places.places)


def test_the_rarest_classes_do_not_keep_a_check_without_an_estimate():
    """One of a single voxel, and more classes than places."""
    labels = np.random.default_rng(0).integers(2, 12, (9, 9, 9), np.uint8)
    labels[4, 4, 4] = 1
    for count in (2, 5, 100):
        places = draw_places(labels, count, (9, 9, 9))
        found = checked(places.voxels, [(p.mapped, p.mapped) for p in places.places])
        assert found.fractions[1].value == pytest.approx(1 / 9**3)
    every = draw_places(labels, 20_000, (9, 9, 9))
    exact = checked(every.voxels, [(p.mapped, p.mapped) for p in every.places])
    assert (exact.accuracy.low, exact.accuracy.high) == pytest.approx((1, 1))
