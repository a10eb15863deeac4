"""The double Siamese network: each image with its own properties, gaps left out, a gate that lives, intervals that hold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.similarity.properties import Properties, apart, r_squared, residual_bounds
from lithoscope.similarity.siamese import Heads, compared, halves, pair_loss, pair_truth

NOTHING = np.zeros((4, 4), bool)


def test_each_image_of_a_pair_has_its_own_properties():
    """As published, both were looked up with the first image's folder: every pair was alike (REFERENCE C.6, 1)."""
    scaled = np.array([[0.0, 0.0], [0.1, 0.0], [3.0, 0.0], [3.0, -2.0]])
    truth = pair_truth(NOTHING, NOTHING, scaled, near=0.5)
    assert truth.rock.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert truth.rock_known.sum() == 12
    heads = Heads(6, 2)
    vectors = torch.randn(4, 2, 6)
    losses = [float(pair_loss(heads, vectors, truth, scaled).detach())]
    swapped = scaled[[2, 1, 0, 3]]
    losses.append(float(pair_loss(heads, vectors, pair_truth(NOTHING, NOTHING, swapped, 0.5), swapped).detach()))
    assert losses[0] != pytest.approx(losses[1]), "whose properties they are makes no difference"


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 8), st.integers(1, 4), st.integers(0, 999))
def test_the_distance_of_properties_is_symmetric_scaled_and_leaves_gaps_out(count, columns, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, columns))
    values[rng.random(values.shape) < 0.3] = np.nan
    found = apart(values)
    assert np.array_equal(found, found.T, equal_nan=True)
    for i in range(count):
        for j in range(count):
            both = [abs(a - b) for a, b in zip(values[i], values[j], strict=True) if np.isfinite(a) and np.isfinite(b)]
            assert (np.isnan(found[i, j]) and not both) or found[i, j] == pytest.approx(np.mean(both))


def test_it_stays_stable_where_a_logarithm_crosses_nothing():
    """As published -.01 and .01 lay 2 apart, .02 and .04 only .5 (REFERENCE C.6, 2)."""
    a = apart(np.array([[-0.01], [0.01], [0.02], [0.04]]))
    assert a[0, 1] == pytest.approx(a[2, 3])


def test_properties_over_decades_are_learnt_by_their_logarithm_and_restored():
    values = np.stack([np.linspace(0.05, 0.4, 20), np.geomspace(1e-3, 1e3, 20)], 1)
    values[3, 0] = values[5, 1] = np.nan
    found = Properties.fit(("porosity", "permeability"), values)
    assert [c.logarithm for c in found.columns] == [False, True]
    scaled = found.scaled(values)
    assert np.nanmean(scaled, 0) == pytest.approx(0, abs=1e-9)
    assert np.nanstd(scaled, 0) == pytest.approx(1)
    assert np.allclose(found.restored(scaled), values, equal_nan=True)
    assert Properties.from_json(found.to_json()) == found


def test_properties_that_teach_nothing_are_refused():
    with pytest.raises(InputError, match="constant property teaches nothing"):
        Properties.fit(("depth",), np.full((20, 1), 7.0))
    with pytest.raises(InputError, match="known of none"):
        Properties.fit(("depth",), np.full((20, 1), np.nan))
    with pytest.raises(InputError, match="known of 3 items only"):
        Properties.fit(("depth",), np.array([[1.0], [2.0], [3.0]]))


def test_what_is_not_measured_weighs_nothing():
    heads, vectors = Heads(5, 2), torch.randn(4, 2, 5, requires_grad=True)
    known = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 2.0]])
    gap = known.copy()
    gap[3] = np.nan
    same = np.zeros((4, 4), bool)
    truth = pair_truth(same, same, gap, 0.5)
    assert not truth.rock_known[3].any()
    grad = torch.autograd.grad(pair_loss(heads, vectors, truth, gap), vectors)[0]
    assert not grad[3].any()
    assert grad[:3].any()


def test_heads_are_as_large_as_those_that_were_published():
    heads = Heads(512, 2)
    regression = sum(p.numel() for p in heads.regression.parameters())
    pairs = sum(p.numel() for part in (heads.image, heads.rock, heads.both, heads.gate) for p in part.parameters())
    assert regression == 32_962
    assert pairs == 34_901


def test_the_gate_answers_alike_whichever_image_asks_and_cannot_die():
    heads = Heads(6, 1)
    a, b = torch.randn(3, 2, 6), torch.randn(3, 2, 6)
    one, two = heads.pairs(a, b), heads.pairs(b, a)
    assert torch.allclose(one.both, two.both)
    assert ((one.gate > 0) & (one.gate < 1)).all()
    assert isinstance(heads.gate[-1], torch.nn.Linear), "nothing clips what the gate is shared by"
    query, others = np.random.default_rng(0).normal(size=(2, 6)), np.random.default_rng(1).normal(size=(5, 2, 6))
    found = compared(heads.eval(), query, others)
    slow = [
        torch.sigmoid(heads.pairs(*(heads.scaled(torch.tensor(v, dtype=torch.float32)) for v in (query, o))).both).item() for o in others
    ]
    assert found["both"] == pytest.approx(slow, abs=1e-6)


def test_a_shared_trunk_gives_both_halves():
    assert np.array_equal(halves(np.ones((3, 4)), 4), np.ones((3, 2, 4)))
    assert halves(np.arange(8.0)[None], 4)[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_intervals_hold_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        bound = residual_bounds(rng.standard_t(4, size=(30, 1)), 0.9)[0]
        held.append(np.abs(rng.standard_t(4, 200)) <= bound)
    assert np.mean(held) >= 0.895
    assert residual_bounds(np.ones((5, 1)), 0.9)[0] == np.inf, "five cannot say what one in ten does"


def test_r_squared_is_that_of_scikit_learn():
    from sklearn.metrics import r2_score

    rng = np.random.default_rng(2)
    truth, said = rng.normal(size=40), rng.normal(size=40)
    assert r_squared(truth, said) == pytest.approx(r2_score(truth, said))
