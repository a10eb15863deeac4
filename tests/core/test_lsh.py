"""Hashing of directions: what REFERENCE systems used comes out, near things meet, and probes visit what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.retrieval.lsh import CrossPolytope, Hyperplane, LshIndex, LshSettings
from lithoscope.retrieval.rotations import Rotation


def unit(count, width, seed=0, kinds=0):
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(count, width))
    if kinds:
        made = rng.normal(size=(kinds, width))[rng.integers(0, kinds, count)] + 0.35 * made
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(1, 3), st.integers(0, 99))
def test_a_rotation_keeps_lengths_and_angles(width, turns, seed):
    vectors = unit(5, width, seed)
    turned = Rotation.drawn(width, turns, np.random.default_rng(seed))(vectors)
    assert np.allclose(turned @ turned.T, vectors @ vectors.T, atol=1e-5)


@pytest.mark.parametrize(("width", "functions", "last"), [(192, 3, 2), (384, 2, 512), (768, 2, 256)])
def test_twenty_bits_are_split_as_falconn_splits_them(width, functions, last):
    family = CrossPolytope(width, LshSettings(tables=1, bits=20, probes=1))
    assert (family.functions, family.last) == (functions, last)
    assert family.codes(unit(50, width), 0).max() < 1 << 20


def test_two_directions_share_a_hyperplane_bit_as_often_as_their_angle_says():
    a = unit(1, 16, 1)[0]
    b = unit(1, 16, 2)[0]
    family = Hyperplane(16, LshSettings(tables=200, bits=20, probes=200))
    bits = [family.codes(np.stack([a, b]), table) for table in range(200)]
    same = np.mean([20 - bin(int(x) ^ int(y)).count("1") for x, y in bits]) / 20
    assert same == pytest.approx(1 - np.arccos(a @ b) / np.pi, abs=0.02)


@pytest.mark.parametrize("family", [Hyperplane, CrossPolytope])
def test_the_first_probe_is_the_own_bucket_and_costs_rise(family):
    vectors = unit(20, 24)
    made = family(24, LshSettings(tables=3, bits=11, probes=30))
    for table in range(3):
        for vector, code in zip(vectors, made.codes(vectors, table), strict=True):
            codes, costs = made.probes(vector, table, 30)
            assert codes[0] == code
            assert len(set(codes.tolist())) == len(codes)
            assert (np.diff(costs) >= 0).all()


@pytest.mark.parametrize("name", ["hyperplane", "crosspolytope"])
def test_near_vectors_are_found_and_more_probes_find_more(name):
    vectors = unit(4000, 48, kinds=40)
    queries = vectors[:60] + 0.1 * unit(60, 48, 3)
    recall, looked = {}, {}
    for probes in (10, 400):
        index = LshIndex.build(name, vectors, LshSettings(tables=10, bits=12, probes=probes))
        right, seen = [], []
        for query in queries.astype(np.float32):
            truth = set(np.argsort(-(vectors @ query))[:10].tolist())
            rows = index.candidates(query)
            right.append(len(truth & set(rows.tolist())) / 10)
            seen.append(len(rows) / len(vectors))
        recall[probes], looked[probes] = np.mean(right), np.mean(seen)
    assert recall[400] > max(recall[10], 0.8)
    assert looked[400] < 0.5
    assert LshIndex.build(name, vectors, LshSettings(bits=12)).order[0].tolist() == index.order[0].tolist()


def test_settings_that_cannot_be_are_refused():
    for wrong in ({"bits": 40}, {"tables": 0}, {"probes": 3}):
        with pytest.raises(InputError):
            LshSettings(**wrong)
