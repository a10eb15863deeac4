"""Tokens: where they lie, how windows join, and that the cache answers for any block what the whole scan would say."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError, ResourceError
from lithoscope.features import basis as bases
from lithoscope.features.backbones import RANDOM, open_backbone
from lithoscope.features.basis import Basis
from lithoscope.features.token_cache import TokenCache
from lithoscope.features.token_grid import Grid, Windows, plane_tokens, upsampled, windowed
from lithoscope.features.tokens import Tokens
from lithoscope.job import Cancelled
from lithoscope.sample import simulate
from lithoscope.volume.box import Box


@pytest.fixture(scope="module")
def network():
    return open_backbone(RANDOM).network


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("scans") / "small.zarr", shape=(10, 44, 52), seed=1)


def plane(rows, columns, seed=0):
    return np.random.default_rng(seed).random((rows, columns)).astype(np.float32)


@given(st.integers(1, 90), st.sampled_from([8, 14]), st.sampled_from([0.5, 1.0, 2.0, 2.5]), st.sampled_from([1, 2]))
def test_tokens_cover_the_plane_and_are_counted_the_same_everywhere(size, patch, scale, density):
    grid = Grid(patch, scale, density)
    count = grid.count(size)
    assert count * grid.pitch >= size - 1
    first, last, shares = grid.weights(0, size, count)
    assert 0 <= first < last <= count
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([1, 2]))
def test_every_size_of_plane_has_its_tokens(rows, columns, scale, density):
    net = open_backbone(RANDOM).network
    grid = Grid(8, scale, density)
    tokens = plane_tokens(net, plane(rows, columns), grid, windows=Windows(6, 4))
    assert tokens.shape == (grid.count(rows), grid.count(columns), 48)
    assert np.isfinite(tokens).all()


def test_one_window_over_everything_is_the_network_itself(network):
    image = plane(48, 48)
    tokens = plane_tokens(network, image, Grid(8), windows=Windows(6, 6))
    with torch.no_grad():
        expected = network(network.normalised(torch.from_numpy(image)[None, None]))[0, network.prefix :]
    np.testing.assert_allclose(tokens.reshape(-1, 48), expected.numpy(), atol=1e-5)


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 12), st.data())
def test_windows_leave_no_token_out_and_are_the_same_for_every_block(first, count, side, data):
    look = Windows(side, data.draw(st.integers(1, side)))
    whole, part = look.over(0, first + count), look.over(first, first + count)
    seen = {t for start in part for t in range(start, start + side)}
    assert seen >= set(range(first, first + count))
    assert set(part) == {start for start in whole if start + side > first}


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("axis", ["z", "x"])
def test_a_block_with_its_halo_gives_the_tokens_of_the_whole(scale, axis):
    tokens = Tokens(backbone=RANDOM, plane=axis, scale=scale, reduced=0, windows=Windows(4, 3))
    image = np.random.default_rng(0).random((5, 61, 70)).astype(np.float32)
    halo = tokens.halo()
    padded = np.pad(image, [(h, h) for h in halo], "symmetric")

    def answer(box):
        grown = box.grow(halo)
        there = grown.shift(halo).slices
        return tokens.extract_at(padded[there], (0, 1), None, grown.start)[(slice(None), *box.within(grown).slices)]

    whole = answer(Box.whole(image.shape))
    for box in (Box((1, 0, 0), (3, 20, 30)), Box((0, 33, 41), (5, 61, 70)), Box((2, 17, 9), (3, 18, 10))):
        np.testing.assert_allclose(answer(box), whole[(slice(None), *box.slices)], atol=1e-4)


def test_windows_of_homogeneous_texture_join_without_a_seam(network):
    tokens = plane_tokens(network, np.full((200, 200), 0.4, np.float32), Grid(8), windows=Windows(8, 6))
    assert np.ptp(tokens, axis=(0, 1)).max() < 1e-4


def test_denser_tokens_hold_the_coarser_ones_among_them(network):
    image = plane(64, 64)
    fine, coarse = (plane_tokens(network, image, Grid(8, 1, d), windows=Windows(16, 12)) for d in (2, 1))
    np.testing.assert_allclose(fine[::2, ::2], coarse, atol=1e-6)


def test_a_token_counts_most_at_its_own_centre():
    grid = Grid(8)
    tokens = np.arange(4, dtype=np.float32)[None, :, None]
    fine = upsampled(tokens, grid, (0, 1), (0, 32), (8, 32))[0, 0]
    np.testing.assert_allclose(fine[[3, 4, 11, 12]], [0, 0.0625, 0.9375, 1.0625])
    assert (np.diff(fine) >= 0).all()


@pytest.mark.parametrize("axis", ["z", "y", "x", "all"])
def test_the_cache_gives_any_block_what_the_whole_scan_gives(scan, axis):
    tokens = Tokens(backbone=RANDOM, plane=axis, reduced=0, windows=Windows(4, 3))
    cache = TokenCache(scan, tokens).make()
    whole = tokens.extract(np.asarray(scan.array()[:]), scan.window, None)
    box = Box((2, 5, 17), (9, 40, 33))
    np.testing.assert_allclose(cache(box, tokens), whole[(slice(None), *box.slices)], atol=4e-3)


def test_a_box_beyond_the_faces_is_answered(scan):
    tokens = Tokens(backbone=RANDOM, reduced=0, windows=Windows(4, 3))
    cache = TokenCache(scan, tokens).make()
    assert cache(Box((-2, -3, 0), (4, 20, 55)), tokens).shape == (48, 6, 23, 55)


def test_a_cancelled_cache_goes_on_where_it_was(scan):
    tokens = Tokens(backbone=RANDOM, plane="all", reduced=0, windows=Windows(5, 3))
    cache = TokenCache(scan, tokens)

    def cancel(progress):
        if progress.done > 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        cache.make(cancel)
    assert not cache.complete
    seen = []
    cache.make(lambda progress: seen.append(progress.done))
    assert cache.complete
    assert min(seen) > 8
    box = Box.whole(scan.shape)
    expected = tokens.extract(np.asarray(scan.array()[:]), scan.window, None)
    np.testing.assert_allclose(cache(box, tokens), expected, atol=4e-3)


def test_keys_tell_settings_weights_and_basis_apart():
    basis = Basis.fit([np.random.default_rng(0).normal(size=(50, 48)).astype(np.float32)], 8)
    keys = {
        Tokens(backbone=RANDOM, reduced=0).key(),
        Tokens(backbone=RANDOM, reduced=0, scale=2).key(),
        Tokens(backbone=RANDOM, reduced=8, basis=basis).key(),
        Tokens(backbone=RANDOM, reduced=4, basis=basis).key(),
    }
    assert len(keys) == 4
    assert Tokens(backbone=RANDOM, reduced=0).key() == Tokens(backbone=RANDOM, reduced=0).key()


def test_a_basis_equals_that_of_scikit_learn_and_survives_the_disk(tmp_path):
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    tokens = (rng.normal(size=(500, 12)) * np.arange(1, 13)).astype(np.float32)
    ours = Basis.fit([tokens[:200], tokens[200:]], 4)
    theirs = PCA(4).fit(tokens)
    np.testing.assert_allclose(np.abs(ours.components @ theirs.components_.T), np.eye(4), atol=1e-3)
    np.testing.assert_allclose(ours.spread, np.sqrt(theirs.explained_variance_), rtol=2e-3)
    bases.save(tmp_path, {(4, 12): ours})
    loaded = bases.load(tmp_path, (4, 12))
    np.testing.assert_array_equal(loaded.components, ours.components)
    assert loaded.key() == ours.key()
    assert bases.load(tmp_path, (12,)) is None


def test_reduced_tokens_are_those_of_the_basis():
    image = plane(16, 16)[None]
    whole = Tokens(backbone=RANDOM, reduced=0).extract(image, (0, 1), None)
    basis = Basis.fit([whole.reshape(48, -1).T], 5)
    fewer = Tokens(backbone=RANDOM, reduced=5, basis=basis)
    assert fewer.channels == 5
    expected = (whole.reshape(48, -1).T - basis.mean) @ basis.components.T / basis.spread[0]
    np.testing.assert_allclose(fewer.extract(image, (0, 1), None).reshape(5, -1).T, expected, atol=1e-4)


def test_values_that_are_no_numbers_do_not_spread():
    image = plane(20, 20)
    image[3, 4] = np.nan
    assert np.isfinite(windowed(image, (0, 1))).all()


def test_another_extractor_is_refused(scan):
    cache = TokenCache(scan, Tokens(backbone=RANDOM, reduced=0))
    with pytest.raises(InputError, match="holds tokens"):
        cache(Box((0, 0, 0), (1, 1, 1)), object())


class Narrow(torch.nn.Module):
    """A network for which the memory holds so many windows at once."""

    def __init__(self, inner, most):
        super().__init__()
        self.inner, self.most, self.asked, self.prefix = inner, most, [], inner.prefix

    def normalised(self, crops):
        return self.inner.normalised(crops)

    def layers(self, pixels, layers):
        if len(pixels) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.asked.append(len(pixels))
        return self.inner.layers(pixels, layers)


def test_windows_that_memory_does_not_hold_together_are_seen_in_halves(network):
    plane, grid, windows = np.random.default_rng(0).random((100, 90)).astype("f4"), Grid(8), Windows(4, 3)
    narrow = Narrow(network, 3)
    found = plane_tokens(narrow, plane, grid, windows=windows)
    np.testing.assert_allclose(found, plane_tokens(network, plane, grid, windows=windows), atol=1e-5)
    assert 1 <= max(narrow.asked) <= 3


def test_a_window_that_fills_the_memory_is_one_line(network):
    with pytest.raises(ResourceError, match="too little memory for one window of 32 × 32 pixels"):
        plane_tokens(Narrow(network, 0), np.zeros((64, 64), "f4"), Grid(8), windows=Windows(4, 3))
