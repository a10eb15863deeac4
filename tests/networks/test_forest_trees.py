"""Our way of asking trees and our regression against scikit-learn's."""

import numpy as np
import pytest
import torch

from lithoscope.segmenters import trees as module
from lithoscope.segmenters.linear import Linear, _newton, _quasi
from lithoscope.segmenters.trees import Trees


def grown(n, seed=0, classes=3, count=12):
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = (rng.normal(size=(n, 6)) + y[:, None] * rng.uniform(0, 0.7, 6)).astype(np.float32)
    forest = RandomForestClassifier(count, criterion="entropy", max_depth=15, max_features=None, random_state=seed).fit(x, y)
    return forest, rng.normal(0.5, 1.2, (5000, 6)).astype(np.float32)


@pytest.mark.parametrize("n", [6, 60, 3000], ids=["stumps", "within one word", "deeper than one word"])
@pytest.mark.parametrize("compiled", [True, False], ids=["numba", "torch"])
def test_the_class_shares_are_scikit_learns(n, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(module, "compiled", lambda: None)
    forest, asked = grown(n)
    found = Trees.of(forest).scores(torch.from_numpy(asked.T.copy())).numpy()
    assert np.allclose(found, forest.predict_proba(asked).T, atol=1e-6)
    first, second = np.sort(forest.predict_proba(asked), axis=1).T[:-3:-1]
    clear = first > second + 1e-9
    assert np.array_equal(found.argmax(0)[clear], forest.predict(asked)[clear])


def test_values_on_a_threshold_go_the_way_they_went_in_double_precision():
    forest, _ = grown(300)
    tree = forest.estimators_[0].tree_
    edges = tree.threshold[tree.feature >= 0].astype(np.float32)
    asked = np.repeat(edges[:, None], 6, axis=1)
    found = Trees.of(forest).scores(torch.from_numpy(asked.T.copy())).numpy()
    assert np.allclose(found, forest.predict_proba(asked).T, atol=1e-6)


def test_trees_survive_being_arrays():
    forest, asked = grown(200)
    once = Trees.of(forest)
    again = Trees.restored(once.state())
    features = torch.from_numpy(asked.T.copy())
    assert torch.equal(once.scores(features), again.scores(features))
    assert again.count == 12
    assert again.depth == max(e.get_depth() for e in forest.estimators_)


def test_the_regression_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    x = (rng.normal(size=(400, 5)) * [1, 10, 0.1, 1, 3] + y[:, None]).astype(np.float32)
    ours = Linear.fit(x, y, np.ones(400), strength=0.01).decisions(torch.from_numpy(x.T.copy()))
    z = (x - x.mean(0)) / x.std(0)
    theirs = LogisticRegression(C=0.01, tol=1e-8, max_iter=1000).fit(z, y).predict_proba(z)
    assert np.allclose(torch.softmax(ours, 0).numpy().T, theirs, atol=1e-3)


def test_both_solvers_find_the_same_regression():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 300)
    x = rng.normal(size=(300, 6)) + y[:, None] * 0.5
    weights = rng.uniform(0.5, 2, 300)
    target = np.eye(4)[y]
    exact, near = _newton(x, target, weights, 0.1), _quasi(x, target, weights, 0.1)
    assert np.allclose(exact[:, :-1], near[:, :-1], atol=2e-3)


def test_channels_that_were_not_learnt_from_do_not_matter():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 100)
    x = (rng.normal(size=(100, 3)) + y[:, None]).astype(np.float32)
    wide = Linear.fit(x[:, [0, 2]], y, np.ones(100), strength=1.0).among(np.array([0, 2]), 3)
    other = x.copy()
    other[:, 1] = 1e3
    assert torch.equal(wide.decisions(torch.from_numpy(x.T.copy())), wide.decisions(torch.from_numpy(other.T.copy())))


@pytest.mark.parametrize("n", [6, 60, 3000], ids=["stumps", "within one word", "walked"])
@pytest.mark.parametrize("compiled", [True, False], ids=["numba", "torch"])
@pytest.mark.parametrize("say", [1.0, 0.3])
def test_the_class_is_that_of_the_greatest_score_though_most_trees_are_not_asked(n, compiled, say, monkeypatch):
    if not compiled:
        monkeypatch.setattr(module, "compiled", lambda: None)
    forest, asked = grown(n, count=40)
    trees, features = Trees.of(forest), torch.from_numpy(asked.T.copy())
    lead = torch.softmax(torch.from_numpy(np.random.default_rng(4).normal(0, 2, (3, len(asked))).astype(np.float32)), 0)
    for ahead in (None, lead):
        scores = trees.scores(features) * say + (0 if ahead is None else ahead)
        first, second = scores.topk(2, dim=0).values.numpy()
        clear = first > second + 1e-5
        found = trees.best(features, lead=ahead, say=say)
        assert np.array_equal(found[clear], scores.argmax(0).numpy()[clear] + 1)


def test_features_may_come_in_two_parts():
    forest, asked = grown(300)
    trees, features = Trees.of(forest), torch.from_numpy(asked.T.copy())
    assert torch.equal(trees.scores(features[:4], features[4:]), trees.scores(features))
    assert np.array_equal(trees.best(features[:4], features[4:]), trees.best(features))


def impurity(shares, target):
    """Gini impurity of the leaves, told apart by their shares, that samples fall into."""
    _, leaf = np.unique(np.round(shares, 9), axis=0, return_inverse=True)
    counts = np.zeros((leaf.max() + 1, target.max() + 1))
    np.add.at(counts, (leaf.ravel(), target), 1)
    return len(target) - (counts**2).sum(1) @ (1 / counts.sum(1))


@pytest.mark.parametrize("seed", range(5))
def test_one_tree_on_every_sample_is_as_pure_as_scikit_learns(seed):
    from sklearn.tree import DecisionTreeClassifier

    from lithoscope.segmenters.compiled_growth import grow

    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, 120)
    x = rng.permuted(np.tile(np.arange(120), (5, 1)), axis=1).T + target[:, None] * 20  # no two alike, and a bin for each value
    bins = np.stack([np.unique(column, return_inverse=True)[1] for column in x.T]).astype(np.uint8)
    size = 2 * 8 - 1
    room = (*(np.zeros(size, np.int64) for _ in range(4)), np.zeros((size, 3)))
    nodes = grow(bins, target, np.ones(120), 3, 128, 4, 8, room)
    theirs = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=4, random_state=0).fit(x, target)
    at = np.zeros(120, int)
    for _ in range(nodes):
        inner = room[0][at] >= 0
        beyond = bins[np.maximum(room[0][at], 0), np.arange(120)] > room[1][at]
        at = np.where(inner, np.where(beyond, room[3][at], room[2][at]), at)
    assert impurity(room[4][at] + at[:, None] * 1000, target) <= impurity(theirs.apply(x)[:, None].astype(float), target) * 1.02
    assert np.bincount(at).max() < 120
    assert min(c for c in np.bincount(at) if c) >= 4


def test_values_fall_into_the_bins_of_numpys_search():
    from lithoscope.segmenters.compiled_growth import binned

    rng = np.random.default_rng(0)
    edges = np.sort(rng.integers(0, 60, (4, 127)).astype(np.float32), axis=1)
    rows, found = rng.integers(-2, 62, (4, 500)).astype(np.float32), np.empty((4, 500), np.uint8)
    binned(rows, edges, found)
    assert np.array_equal(found, [np.searchsorted(e, r, side="left") for e, r in zip(edges, rows, strict=True)])


def test_a_grown_forest_is_the_same_again_and_tells_the_classes_apart():
    from lithoscope.segmenters.growth import grown as grow_all

    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 900)
    x = (rng.normal(size=(900, 6)) + target[:, None] * 1.5).astype(np.float32)
    settings = {"trees": 10, "share": 0.5, "leaf": 5, "leaves": 16, "seed": 3}
    once, again = grow_all(x, target, np.ones(900), **settings), grow_all(x, target, np.ones(900), **settings)
    for a, b in zip(once.state().values(), again.state().values(), strict=True):
        assert np.array_equal(a, b)
    assert (once.best(torch.from_numpy(x.T.copy())) - 1 == target).mean() > 0.9
    assert (np.diff(once.first) <= 31).all()
    assert np.allclose(once.values.sum(1), 1)


def test_a_forest_on_a_handful_of_voxels_does_not_fail():
    from lithoscope.segmenters.growth import grown as grow_all

    x = np.array([[0.0], [1.0]], np.float32)
    trees = grow_all(x, np.array([0, 1]), np.ones(2), trees=3, share=1.0, leaf=10, leaves=16, seed=0)
    assert trees.scores(torch.from_numpy(x.T.copy())).shape == (2, 2)
