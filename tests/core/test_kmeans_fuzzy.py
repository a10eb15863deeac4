"""K-means and fuzzy C-means against scikit-learn and scikit-fuzzy, and on data that make naive starts collapse."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.segmenters import REGISTRY, Block, configured
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.memberships import memberships
from lithoscope.volume.blocks import spread
from lithoscope.volume.box import Box


def fitted(name, image, **settings):
    return configured(REGISTRY[name], settings).fit(ArraySamples(np.asarray(image).reshape(1, 1, -1)))


def drawn(seed, classes, dtype):
    rng = np.random.default_rng(seed)
    grey = rng.choice(rng.uniform(20, 235, classes), 1500) + rng.normal(0, rng.uniform(2, 25), 1500)
    return grey.clip(0, 255).astype(dtype) if dtype == "u1" else (grey * 250).clip(0, 65535).astype(dtype)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from(["u1", "u2", "f4"]))
def test_kmeans_is_otsus_partition_and_no_worse_than_scikit_learns_best_of_twenty(seed, classes, dtype):
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    image = drawn(seed, classes, dtype)
    if np.unique(image).size < classes:
        return
    ours, otsu = fitted("kmeans", image, classes=classes), fitted("otsu", image, classes=classes)
    assert np.array_equal(ours.thresholds_, otsu.thresholds_)
    levels, sizes = np.unique(image, return_counts=True)
    with threadpool_limits(1):
        theirs = KMeans(classes, n_init=20, random_state=0).fit(levels.astype(float)[:, None], sample_weight=sizes)
    labels = ours.predict(Block.of(image.reshape(1, 1, -1))).ravel()
    inertia = sum(((image[labels == c].astype(float) - image[labels == c].astype(float).mean()) ** 2).sum() for c in range(1, classes + 1))
    # Floats are binned: the optimum over the bins can miss that over the values by a bin's width.
    assert inertia <= theirs.inertia_ * (1 + (1e-4 if dtype == "f4" else 1e-9))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 3), st.sampled_from([1.5, 2.0, 3.0]))
def test_fuzzy_centres_are_a_fixed_point_that_scikit_fuzzy_reaches_too(seed, classes, m):
    from skfuzzy import cmeans

    image = np.random.default_rng(seed).choice([40, 120, 210][:classes], 1500) + np.random.default_rng(seed + 1).normal(0, 12, 1500)
    image = image.clip(0, 255).astype("u1")
    ours = fitted("fuzzy", image, classes=classes, m=m)
    start = memberships(image, ours.centres_ + 1, m, np.float64)
    theirs = cmeans(image.astype(float)[None], classes, m, error=1e-7, maxiter=2000, init=start)[0][:, 0]
    assert ours.converged_
    assert np.allclose(np.sort(theirs), ours.centres_, atol=0.01)


def test_a_seeded_start_gives_the_same_centres_every_time():
    image = drawn(3, 3, "u1")
    a, b = (fitted("kmeans", image, starts="seeded", seed=5) for _ in range(2))
    assert np.array_equal(a.centres_, b.centres_)
    assert fitted("kmeans", image).inertia_ <= a.inertia_


@pytest.mark.parametrize("name", ["kmeans", "fuzzy"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_two_levels_keep_a_centre_each(name, dtype):
    image = np.array([50, 200] * 50, dtype)
    method = fitted(name, image, classes=2)
    assert np.allclose(method.centres_, [50, 200], atol=0.01)
    assert method.predict(Block.of(image.reshape(1, 1, -1))).ravel().tolist() == [1, 2] * 50


@pytest.mark.parametrize("name", ["kmeans", "fuzzy"])
def test_symmetric_data_do_not_collapse(name):
    image = np.tile(np.array([0, 100, 100, 200], np.uint8), 25)
    centres = fitted(name, image, classes=3).centres_
    assert np.allclose(centres, [0, 100, 200], atol=1)


@pytest.mark.parametrize("name", ["kmeans", "fuzzy", "otsu"])
def test_more_classes_than_grey_levels_are_refused(name):
    with pytest.raises(InputError, match="only 2 grey levels"):
        fitted(name, np.array([3, 3, 9], np.uint8), classes=3)


@pytest.mark.parametrize("name", ["kmeans", "fuzzy", "otsu"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_constant_data_are_refused_and_so_is_nothing_at_all(name, dtype):
    with pytest.raises(InputError, match="only 1 grey level"):
        fitted(name, np.full(50, 7, dtype), classes=2)
    if dtype == "f4":
        with pytest.raises(InputError, match="0 grey levels"):
            fitted(name, np.full(50, np.nan, dtype), classes=2)


@pytest.mark.parametrize("name", ["kmeans", "fuzzy"])
@pytest.mark.parametrize(("dtype", "scale"), [("i1", 0.5), ("i2", 100), ("f4", 1e-5), ("f8", 1e9)])
def test_negative_and_float_data_are_grouped_like_any_others(name, dtype, scale):
    grey = np.random.default_rng(0).normal(np.repeat([-150.0, 0, 150], 300), 9).round()
    plain = fitted(name, (grey + 250).astype("u2"), classes=3)
    moved = fitted(name, (grey * scale).astype(dtype), classes=3)
    levels = 1 if np.dtype(dtype).kind == "i" and scale < 1 else 0.02
    assert np.allclose(moved.centres_ / scale, plain.centres_ - 250, atol=max(levels, 0.02))
    image = (grey * scale).astype(dtype)
    assert moved.predict(Block.of(image.reshape(1, 1, -1))).ravel().tolist() == [1] * 300 + [2] * 300 + [3] * 300


def test_a_constant_slice_among_others_takes_the_thresholds_of_the_volume():
    image = np.random.default_rng(0).choice(np.array([10, 90, 200], np.uint8), (4, 9, 9))
    image[2] = 90
    for name in ("kmeans", "fuzzy"):
        method = configured(REGISTRY[name], {"per_slice": True}).fit(ArraySamples(image))
        assert method.learnt()["slices_with_thresholds_of_the_volume"] == [2]
        assert np.array_equal(method.predict(Block.of(image)), np.digitize(image, [10, 90], right=True) + 1)


def test_the_seeded_starts_are_those_published():
    method = configured(REGISTRY["kmeans"], {"starts": "seeded"})
    assert (method.tolerance, method.iterations, method.attempts) == (0.2, 100, 10)
    image = np.random.default_rng(0).normal(np.repeat([60, 120, 190], 2000), 12).clip(0, 255).astype("u1")
    best = fitted("kmeans", image)
    for seed in range(3):
        found = fitted("kmeans", image, starts="seeded", seed=seed)
        assert np.abs(found.centres_ - best.centres_).max() < 1
        assert best.inertia_ <= found.inertia_ <= 1.002 * best.inertia_


def test_filters_without_torch_are_refused_and_grey_values_do_not_ask_for_it(monkeypatch):
    monkeypatch.setattr("lithoscope.segmenters.kmeans.find_spec", lambda name: None)
    image = np.array([50, 200] * 50, np.uint8)
    assert fitted("kmeans", image, classes=2).thresholds_.tolist() == [50]
    with pytest.raises(InputError, match=r"lithoscope\[networks\]"):
        fitted("kmeans", image, classes=2, on="filters")


def test_grey_values_are_grouped_without_loading_torch():
    code = (
        "import sys, numpy as np\n"
        "from lithoscope.segmenters import REGISTRY, Block\n"
        "from lithoscope.segmenters.arrays import ArraySamples\n"
        "image = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)\n"
        "for name in ('kmeans', 'fuzzy'):\n"
        "    REGISTRY[name]().fit(ArraySamples(image)).predict(Block.of(image))\n"
        "print('torch' in sys.modules, 'sklearn' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]


@pytest.mark.parametrize("m", [1, 0.5, "nan", -2])
def test_a_fuzzifier_of_one_or_less_is_refused(m):
    with pytest.raises(InputError, match="m="):
        configured(REGISTRY["fuzzy"], {"m": m})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from([1.05, 1.3, 2.0, 6.0, 20.0]), st.sampled_from(["u1", "u2", "f4"]))
def test_centres_never_fall_together_silently(seed, classes, m, dtype):
    try:
        method = fitted("fuzzy", drawn(seed, 2, dtype), classes=classes, m=m)
    except InputError as error:
        assert "ask for fewer classes" in str(error)  # noqa: PT017 - either is right
    else:
        assert np.diff(method.centres_).min() > 0
        assert np.diff(method.thresholds_).min(initial=1) > 0


@pytest.mark.parametrize("name", ["kmeans", "fuzzy", "otsu"])
def test_what_is_not_finite_is_left_out_of_the_fit(name):
    clean = np.random.default_rng(0).choice([-0.5, 0.1, 0.9], 999).astype("f4")
    dirty = np.concatenate([clean, np.array([np.nan, np.inf, -np.inf], "f4")])
    a, b = fitted(name, clean), fitted(name, dirty)
    assert np.allclose(a.thresholds_, b.thresholds_, atol=1e-4)
    assert b.predict(Block.of(dirty.reshape(1, 1, -1), window=(0, 1))).ravel()[-2:].tolist() == [3, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(2, 5), st.floats(1.05, 20))
def test_memberships_sum_to_one_and_prefer_the_nearest(values, classes, m):
    centres = np.linspace(-300, 300, classes)
    image = np.array([*values, np.nan, np.inf, -np.inf])
    share = memberships(image, centres, m)
    assert np.isfinite(share).all()
    assert np.allclose(share.sum(0), 1, atol=1e-5)
    nearest = np.abs(image[:-3] - centres[:, None]).argmin(0)
    assert np.all(share.max(0)[:-3] - np.take_along_axis(share[:, :-3], nearest[None], 0)[0] <= 1e-6)
    assert share[:, -2].argmax() == classes - 1
    assert share[:, -1].argmax() == 0


def test_neighbours_mend_specks():
    rng = np.random.default_rng(0)
    truth = np.ones((12, 24, 24), np.uint8)
    truth[:, :, 12:] = 2
    image = (truth * 80 + rng.normal(0, 30, truth.shape)).clip(0, 255).astype("u1")
    samples, block = ArraySamples(image), Block.of(image)
    wrong = {
        key: float((configured(REGISTRY["fuzzy"], {"classes": 2, **key_settings}).fit(samples).predict(block) != truth).mean())
        for key, key_settings in {"alone": {}, "plane": {"spatial": True, "dimensions": 2}, "space": {"spatial": True}}.items()
    }
    assert wrong["space"] < wrong["plane"] < wrong["alone"] / 2


def test_centres_of_a_noisy_scan_settle_near_the_truth():
    from lithoscope.volume.simulate import Scanner, rock

    image, truth = rock((48, 64, 64), 0, scanner=Scanner(noise=25, circular=False))
    true = [float(image[truth == c].mean()) for c in (1, 2, 3)]
    samples = ArraySamples(image)
    alone, together = (configured(REGISTRY["fuzzy"], {"spatial": s}).fit(samples) for s in (False, True))
    assert np.abs(together.centres_ - true).max() < np.abs(alone.centres_ - true).max() / 2
    block = Block.of(image)
    assert (together.predict(block) == truth).mean() > (alone.predict(block) == truth).mean() + 0.15


@settings(max_examples=80, deadline=None)
@given(st.tuples(*[st.integers(1, 300)] * 3), st.integers(5, 64), st.integers(1, 12))
def test_spread_blocks_lie_apart_within_the_scan(shape, edge, count):
    whole = Box.whole(shape)
    found = spread(whole, edge, count)
    assert 1 <= len(found) <= count
    assert len(set(found)) == len(found)
    for box in found:
        assert box.size
        assert box.intersect(whole) == box
