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
