"""Rings, cupping and flickering slices: made on purpose, taken away, and left alone where there are none."""

import numpy as np
import pytest
from segment_data import scan_of, three_phases

from lithoscope.filtering import REGISTRY, filter_image, preview
from lithoscope.parameters import configured

SHAPE = (10, 96, 96)
VIEW = "cylinder:47.5,47.5,47"


def made(name, **given):
    return configured(REGISTRY[name], given)


@pytest.fixture(scope="module")
def rock():
    """Grains and pores (z, y, x) with noise of 6 grey levels, as floats."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(2)
    field = gaussian_filter(rng.normal(size=SHAPE), 5)
    pores = field < np.quantile(field, 0.25)
    return np.where(pores, 60.0, 160.0) + rng.normal(0, 6, SHAPE)


def radius(cy=47.5, cx=47.5):
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    return np.hypot(y - cy, x - cx)


def filtered(folder, values, name, fov=VIEW, dtype="u1", **settings):
    scan = scan_of(np.rint(values).clip(0, 255).astype(dtype), folder / "s.zarr", fov=fov)
    record = filter_image(scan, made(name, **settings), "i", overwrite=True)
    inside = np.broadcast_to(True, SHAPE) if scan.inside(scan.box) is None else scan.inside(scan.box)
    return scan, record, (scan.array("i")[...].astype(float) - values)[inside], inside


@pytest.mark.parametrize("centre", [None, (40.0, 55.5)])
def test_rings_are_taken_away_around_the_axis_given_or_found(tmp_path, rock, centre):
    strengths = np.random.default_rng(0).normal(0, 12, 80) * (np.arange(80) % 4 == 0)
    place = radius() if centre is None else radius(*centre)
    rings = np.interp(place, np.arange(80), strengths) * (place > 5)
    given = {} if centre is None else {"centre_y": centre[0], "centre_x": centre[1]}
    scan, record, difference, inside = filtered(tmp_path, rock + rings, "rings", **given)
    left = difference + np.broadcast_to(rings, SHAPE)[inside]
    assert left.std() < 0.45 * np.broadcast_to(rings, SHAPE)[inside].std()
    assert record.learnt["axis"] == list(centre or (47.5, 47.5))
    assert np.array_equal(preview(scan, made("rings", **given), 0, 4), scan.array("i")[4])


def test_where_there_are_no_rings_next_to_nothing_is_changed(tmp_path, rock):
    _, record, difference, _ = filtered(tmp_path, rock, "rings")
    assert record.learnt["ring_strength"] < 0.3
    assert difference.std() < 0.6  # of which .3 is rounding


def test_cupping_is_taken_away_and_found_to_be_as_strong_as_it_is(tmp_path, rock):
    profile = 1 - 0.3 * (1 - (radius() / 47) ** 2)
    _, record, difference, inside = filtered(tmp_path, rock * profile, "cupping")
    assert record.learnt["darker_at_the_axis"] == pytest.approx(0.3, abs=0.04)
    found = (difference + (rock * profile)[inside])[rock[inside] > 110]
    place = np.broadcast_to(radius(), SHAPE)[inside][rock[inside] > 110]
    assert abs(found[place < 15].mean() - found[place > 40].mean()) < 0.03 * found.mean()


def test_where_there_is_no_cupping_next_to_nothing_is_changed(tmp_path, rock):
    _, record, difference, _ = filtered(tmp_path, rock, "cupping", fov=None)
    assert abs(record.learnt["darker_at_the_axis"]) < 0.03
    assert difference.std() < 2


@pytest.mark.parametrize("by", ["neighbours", "levels"])
def test_flickering_slices_get_the_levels_of_all(tmp_path, rock, by):
    rng = np.random.default_rng(4)
    gain, offset = 1 + 0.06 * rng.normal(size=(SHAPE[0], 1, 1)), 6 * rng.normal(size=(SHAPE[0], 1, 1))
    faulty = rock * gain + offset
    scan, record, _, _ = filtered(tmp_path, faulty, "normalise", by=by, fov=None)
    grains = rock > 110

    def spread(values):
        means = [[plane[mask].mean() for mask in (known, ~known)] for plane, known in zip(values, grains, strict=True)]
        return np.std(means, axis=0).max()

    assert spread(scan.array("i")[...].astype(float)) < 0.45 * spread(faulty)
    assert len(record.learnt["gain"]) == SHAPE[0]
    assert np.array_equal(preview(scan, made("normalise", by=by), 0, 4), scan.array("i")[4])


def test_one_odd_slice_is_mended_and_the_others_are_left(tmp_path, rock):
    faulty = rock.copy()
    faulty[5] += 25
    _, record, _, _ = filtered(tmp_path, faulty, "normalise", match="offset")
    offsets = np.array(record.learnt["offset"])
    assert offsets[5] == pytest.approx(-25, abs=1.5)
    assert np.abs(np.delete(offsets, 5)).max() < 5


def test_unrelated_slices_are_compared_by_their_levels_alone(tmp_path):
    values = three_phases((4, 40, 40))
    scan = scan_of(values, tmp_path / "s.zarr", separate_slices=True)
    assert configured(REGISTRY["normalise"], {}).by == "neighbours"
    assert filter_image(scan, made("normalise"), "i").parameters["by"] == "levels"
