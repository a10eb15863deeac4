"""Non-local means and the bilateral filter: against slow, obvious versions, against scikit-image, and on a GPU's library."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_data import scan_of, three_phases

from lithoscope.filtering import REGISTRY, Survey, filter_image
from lithoscope.filtering.pairs import Likeness, averaged
from lithoscope.parameters import configured


def made(name, **given):
    return configured(REGISTRY[name], given)


def slow(values, like, valid=None):
    """Every voxel and every neighbour, one after another, in double precision."""
    halo = like.halo()
    v, known = values.astype(np.float64), np.ones(values.shape) if valid is None else valid.astype(np.float64)
    out = np.zeros([n - 2 * h for n, h in zip(values.shape, halo, strict=True)])
    around = np.stack([a.ravel() for a in np.mgrid[tuple(slice(-p, p + 1) for p in like.patch)]], -1)
    for place in np.ndindex(*out.shape):
        at = np.add(place, halo)
        mine = v[tuple((at + around).T)]
        total = weight = 0.0
        for offset in np.ndindex(*(2 * r + 1 for r in like.reach)):
            step = np.subtract(offset, like.reach)
            other = tuple(at + step)
            apart = ((like.scale * (v[tuple((at + step + around).T)] - mine)) ** 2).sum()
            share = np.exp(-max(apart - like.free, 0)) * known[other]
            if like.factor is not None and step.any():
                share *= like.factor(tuple(step))
            total, weight = total + share * v[other], weight + share
        out[place] = total / weight if weight else 0
    return out


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)),
    reach=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 2)),
    patch=st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 2)),
    free=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 9),
    holes=st.booleans(),
)
def test_every_pair_is_weighed_as_the_slow_version_does(shape, reach, patch, free, seed, holes):
    like = Likeness(reach, patch, 0.5, free)
    rng = np.random.default_rng(seed)
    values = rng.normal(size=[n + 2 * h for n, h in zip(shape, like.halo(), strict=True)]).astype(np.float32)
    valid = rng.random(values.shape) < 0.8 if holes else None
    if valid is not None:
        values[~valid] = 0
    assert np.allclose(averaged(values, like, valid=valid), slow(values, like, valid), atol=1e-5)


def test_non_local_means_come_nearer_to_the_truth_than_scikit_images_fast_mode(tmp_path):
    from skimage.restoration import denoise_nl_means

    truth = np.array([60, 120, 190])[np.digitize(three_phases((24, 40, 40), "f4", seed=1), [0.35, 0.6])]
    values = np.rint(truth + np.random.default_rng(1).normal(0, 15, truth.shape)).clip(0, 255).astype("u1")
    scan = scan_of(values, tmp_path / "s.zarr")
    filter_image(scan, made("nlm", h=20, patch=3, search=7, noise=0), "clean")
    peer = denoise_nl_means(values.astype(np.float64), patch_size=3, patch_distance=3, h=20, fast_mode=True, preserve_range=True)
    ours = np.square(scan.array("clean")[...] - truth.astype(float)).mean()
    assert ours < np.square(peer - truth).mean() * 1.01


def test_the_published_preset_is_the_published_filter(tmp_path):
    values = three_phases((1, 32, 32))
    scan = scan_of(values, tmp_path / "s.zarr")
    record = filter_image(scan, made("nlm", preset="published"), "clean")
    assert {k: record.parameters[k] for k in ("h", "patch", "search", "noise", "dimensions")} == {
        "h": 15, "patch": 7, "search": 21, "noise": 0, "dimensions": 2,
    }  # fmt: skip
    padded = np.pad(values.astype(np.float64), [(0, 0), (13, 13), (13, 13)], mode="symmetric")[:, 8:-8, 8:-8]
    expected = slow(padded, Likeness((0, 10, 10), (0, 3, 3), 1 / (15 * 7)))
    assert np.abs(scan.array("clean")[:, 8:-8, 8:-8] - expected).max() <= 0.501
    wide = scan_of(values.astype("u2") * 100, tmp_path / "wide.zarr")
    span = np.subtract(*Survey(wide).histogram.window(0.01, 99.99)[::-1])
    assert filter_image(wide, made("nlm", preset="published"), "clean").parameters["h"] == pytest.approx(15 / 255 * span)


def test_the_bilateral_filter_is_the_slow_one(tmp_path):
    values = three_phases((1, 24, 24), "f4")
    scan = scan_of(values, tmp_path / "s.zarr")
    filter_image(scan, made("bilateral", sigma=1.5, grey=0.1), "clean")
    like = Likeness((0, 3, 3), (0, 0, 0), 1 / (0.1 * 2**0.5), factor=lambda d: np.exp(-np.square(d).sum() / 4.5))
    assert np.allclose(scan.array("clean")[...], slow(np.pad(values, [(0, 0), (3, 3), (3, 3)], mode="symmetric"), like), atol=1e-5)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "f8"])
def test_noise_is_found_and_mostly_taken_away_whatever_the_dtype(tmp_path, dtype):
    rng = np.random.default_rng(3)
    clean = np.full((16, 48, 48), 60.0)
    clean[:, :, 24:] = 180
    gain, offset = {"u1": (1, 0), "u2": (200, 1000), "i2": (100, -20000), "f4": (1e-4, -0.01), "f8": (1e20, -1e22)}[dtype]
    noisy = (gain * (clean + rng.normal(0, 8, clean.shape)) + offset).astype(dtype)
    scan = scan_of(noisy, tmp_path / "s.zarr")
    record = filter_image(scan, made("nlm"), "clean")
    found = scan.array("clean")[...]
    assert found.dtype == np.dtype(dtype)
    assert record.learnt["noise"] == pytest.approx(8 * gain, rel=0.1)
    error = (found.astype(float) - offset) / gain - clean
    assert error[:, :, np.r_[4:20, 28:44]].std() < 2.5
    assert abs(error.mean()) < 0.6


def test_the_noise_of_flat_and_of_tiny_planes_is_nothing(tmp_path):
    for number, shape in enumerate([(3, 2, 2), (1, 1, 1), (4, 20, 20)]):
        scan = scan_of(np.full(shape, 7, "u1"), tmp_path / f"{number}.zarr")
        assert Survey(scan).noise == 0
        filter_image(scan, made("nlm"), "clean")
        assert (scan.array("clean")[...] == 7).all()
