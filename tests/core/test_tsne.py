"""t-SNE by parts against slow and obvious sums, and as a whole against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.explain.embedding import neighbours_kept
from lithoscope.explain.tsne import _over_grid, _over_pairs, affinities, tsne
from lithoscope.job import Cancelled


def blobs(count, width=20, groups=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, width)) * 3
    return (centres[rng.integers(0, groups, count)] + rng.normal(size=(count, width))).astype(np.float32)


@settings(max_examples=12, deadline=None)
@given(st.integers(60, 200), st.sampled_from([1e-4, 0.3, 5.0, 15.0]), st.integers(0, 99))
def test_repulsion_over_the_grid_is_the_sum_over_all_pairs(count, extent, seed):
    at = np.random.default_rng(seed).normal(size=(count, 2)) * extent
    apart = at[:, None] - at[None]
    near = 1 / (1 + (apart**2).sum(-1))
    expected = (apart * near[..., None] ** 2).sum(1)
    scale = np.sqrt((expected**2).sum(1).mean())
    for way, part in ((_over_pairs, 1e-9), (_over_grid, 0.04)):
        push, total = way(at)
        assert total == pytest.approx(near.sum() - count, rel=part)
        assert np.sqrt(((push - expected) ** 2).sum(1).mean()) < part * scale


def test_affinities_have_the_perplexity_that_is_asked_for():
    vectors = blobs(200)
    near = affinities(vectors, 10).toarray()
    assert near.sum() == pytest.approx(1)
    np.testing.assert_allclose(near, near.T)
    apart = ((vectors[:, None] - vectors[None]) ** 2).sum(-1).astype(np.float64)
    np.fill_diagonal(apart, np.inf)
    one = np.zeros_like(near)
    for i, row in enumerate(apart):
        chosen = np.argsort(row)[:31]
        low, high = 0.0, 1e3
        for _ in range(100):
            beta = (low + high) / 2
            p = np.exp(-beta * (row[chosen] - row[chosen].min()))
            p /= p.sum()
            low, high = (beta, high) if -(p * np.log(p + 1e-300)).sum() > np.log(10) else (low, beta)
        one[i, chosen] = p
    np.testing.assert_allclose(near, (one + one.T) / 400, atol=2e-6)


def test_as_many_neighbours_stay_near_as_with_scikit_learns():
    from sklearn.manifold import TSNE

    vectors = blobs(420, groups=12)
    ours = neighbours_kept(vectors, tsne(vectors))
    theirs = neighbours_kept(vectors, TSNE(2, perplexity=30, init="pca", random_state=0).fit_transform(vectors))
    assert ours > theirs - 0.03


@pytest.mark.parametrize("vectors", [np.zeros((40, 5), np.float32), blobs(3, 1), blobs(7), np.repeat(blobs(4), 20, 0)])
def test_points_that_are_few_or_alike_have_places(vectors):
    at = tsne(vectors, perplexity=min(30, (len(vectors) - 1) / 3), steps=300)
    assert at.shape == (len(vectors), 2)
    assert np.isfinite(at).all()


def test_it_is_cancelled_at_the_next_step():
    seen = []

    def cancel(progress):
        seen.append(progress.done)
        if progress.done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        tsne(blobs(50), perplexity=10, report=cancel)
    assert seen[-1] == 5
