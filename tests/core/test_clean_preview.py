"""One plane as a cleaning would leave it, against the cleaning of the whole volume."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labels_data import make_scan
from scipy import ndimage
from test_clean_results import made_result

from lithoscope.job import Cancelled
from lithoscope.labels.clean import clean
from lithoscope.labels.clean_preview import preview_plane
from lithoscope.labels.cleaning.steps import parse_steps
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import open_result

module = import_module("lithoscope.labels.clean_preview")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    made = make_scan(tmp_path_factory.mktemp("preview") / "rock.zarr", (30, 34, 38), shard=(16, 16, 16))
    field = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=made.shape), 1.2)
    made_result(made, np.digitize(field, np.quantile(field, [0.3, 0.6])).astype(np.uint8) + np.uint8(1), classes=3)
    return made


def previewed(scan, steps, axis, index, **more):
    found = open_result(scan, "a")
    return preview_plane(scan, found, found.array, parse_steps(steps), axis, index, **more)


CHAINS = [
    ["islands=30"],
    ["islands=30,class=2,to=1,connectivity=26"],
    ["holes=all,class=3"],
    ["holes=20"],
    ["majority=1"],
    ["median=2um"],
    ["opening=4um,class=1", "closing=1,class=3"],
    ["merge=1+2", "islands=40"],
    ["islands=9", "majority=1", "renumber=3+1+2"],
    ["largest=1"],
    ["through=y,class=3", "merge=1+3"],
]


@pytest.mark.parametrize("steps", CHAINS, ids=" then ".join)
def test_the_plane_is_that_of_the_cleaned_volume(scan, steps):
    clean(scan, "a", steps, output="b", overwrite=True)
    whole, before = open_result(scan, "b").array[...], open_result(scan, "a").array[...]
    for axis, index in ((0, 0), (0, 17), (1, 5), (2, 37)):
        made = previewed(scan, steps, axis, index)
        assert np.array_equal(made.labels, np.take(whole, [index], axis))
        assert made.changed == np.count_nonzero(np.take(whole, index, axis) != np.take(before, index, axis))
        assert list(made.origin) == [index if a == axis else 0 for a in range(3)]
        assert made.factor == (1, 1, 1)
        assert made.classes == open_result(scan, "b").classes


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2), st.integers(0, 29), st.integers(2, 60))
def test_on_few_slices_it_shows_what_the_run_does_or_leaves_as_it_is(scan, axis, index, size):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "FARTHEST", 3)
        made = previewed(scan, [f"islands={size}"], axis, index)
    assert "more than 3 slices" in made.note
    clean(scan, "a", [f"islands={size}"], output="b", overwrite=True)
    run, now = (np.take(open_result(scan, name).array[...], [index], axis) for name in ("b", "a"))
    changed = made.labels != now
    assert (changed <= (run != now)).all()


def test_what_only_the_whole_volume_tells_is_judged_on_a_coarser_level(scan, monkeypatch):
    found = open_result(scan, "a")
    levels, factors = [found.array, found.array[::2, ::2, ::2]], [(1, 1, 1), (2, 2, 2)]
    coarse = type("R", (), {"name": "a", "box": found.box, "classes": found.classes, "levels": levels, "level_factors": factors})()
    monkeypatch.setattr(module, "LOOKED_AT", 10_000)
    made = preview_plane(scan, coarse, found.array, parse_steps(["largest=1", "majority=1"]), 1, 11)
    assert made.factor == (2, 1, 2)
    assert made.origin == (0, 11, 0)
    assert made.labels.shape == (15, 1, 19)
    assert "1/2 of its resolution" in made.note
    assert "left out" in made.note
    assert made.changed > 0


def test_corrections_are_seen_and_outside_stays_outside(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr", (20, 36, 36), shard=(16, 16, 16))
    scan.set(field_of_view="cylinder:18,18,12")
    inside = np.broadcast_to(scan.inside(scan.box), scan.shape)
    made_result(scan, np.where(inside, 1, 0).astype(np.uint8))
    with corrected(scan, "a") as labels:
        labels[7, 18, 15:18] = 2
        made = preview_plane(scan, open_result(scan, "a"), labels, parse_steps(["islands=5"]), 0, 7)
        assert np.array_equal(labels[7] == 2, np.isin(np.arange(36 * 36).reshape(36, 36), [18 * 36 + x for x in (15, 16, 17)]))
    assert made.changed == 3
    assert np.array_equal(made.labels[0], inside[7])
    scan.set(field_of_view="box:4:20,4:30,4:30")
    empty = preview_plane(scan, open_result(scan, "a"), open_result(scan, "a").array, parse_steps(["islands=5"]), 0, 2)
    assert not empty.changed


def test_it_stops_when_another_plane_is_wanted(scan):
    def stop(progress):
        raise Cancelled

    with pytest.raises(Cancelled):
        previewed(scan, ["islands=9"], 0, 3, report=stop)
