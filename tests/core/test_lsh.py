"""Hashing of directions: what REFERENCE systems used comes out, near things meet, and probes visit what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.retrieval.compiled_rows import gathered, products, unlike
from lithoscope.retrieval.index import Index, IndexSettings
from lithoscope.retrieval.lsh import CrossPolytope, Hyperplane, LshIndex, LshSettings
from lithoscope.retrieval.rotations import Rotation
from lithoscope.retrieval.sketch import Sketch


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
def test_the_first_probe_of_a_table_is_the_own_bucket_and_costs_rise(family):
    vectors = unit(20, 24)
    made = family(24, LshSettings(tables=3, bits=11, probes=90))
    own = [made.codes(vectors, table) for table in range(3)]
    for i, vector in enumerate(vectors):
        found = made.probes(vector, 90)
        for table in range(3):
            assert found.codes[found.tables == table][0] == own[table][i]
        assert found.costs[:3].tolist() == [0, 0, 0]
        assert len(set(zip(found.tables.tolist(), found.codes.tolist(), strict=True))) == 90
        assert (np.diff(found.costs) >= 0).all()


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
    for wrong in ({"bits": 40}, {"tables": 0}, {"probes": 3}, {"sketch": 100}):
        with pytest.raises(InputError):
            LshSettings(**wrong)


def test_signs_that_agree_tell_the_like_from_the_unlike():
    vectors = unit(3000, 48, kinds=30)
    sketch = Sketch.of(vectors, 128)
    assert sketch.signs.shape == (3000, 2)
    shares = []
    for row in range(0, 3000, 100):
        truth = np.argsort(-(vectors @ vectors[row]))[:10]
        rows = sketch.nearest(vectors[row], np.arange(500, 3000), 200)
        assert 200 <= len(rows) < 400
        assert rows.min() >= 500, "only of those that it was asked about"
        near = truth[truth >= 500]
        shares.append(np.isin(near, rows).mean())
    assert np.mean(shares) > 0.95


@pytest.mark.parametrize("kind", ["hyperplane", "crosspolytope"])
def test_probes_are_chosen_by_the_recall_that_they_reach(kind):
    vectors = unit(6000, 48, kinds=60)
    queries = unit(40, 48, 7, kinds=60)
    looked, recall = {}, {}
    for wanted in (60, 98):
        index = Index.build(kind, vectors, IndexSettings(recall=wanted))
        assert index.settings.probes >= index.settings.tables
        assert index.settings.bits >= 13, "as many as the size asks for"
        right = [set(index.nearest(vectors, q, 10).tolist()) & set(np.argsort(-(vectors @ q))[:10].tolist()) for q in vectors[:200]]
        recall[wanted] = np.mean([len(r) / 10 for r in right])
        looked[wanted] = np.mean([len(index.candidates(q, 10)) for q in queries])
    assert recall[98] >= 0.95
    assert recall[98] >= recall[60] >= 0.55
    assert looked[98] > looked[60]
    again = Index.build(kind, vectors, IndexSettings(recall=98))
    assert again.settings == index.settings, "the same every time"


def test_settings_that_are_given_are_kept_and_the_published_ones_rank_all_that_the_buckets_hold():
    vectors = unit(4000, 48, kinds=40)
    published = Index.build("crosspolytope", vectors, IndexSettings(bits=20, probes=200))
    assert (published.settings.tables, published.settings.bits, published.settings.probes) == (10, 20, 200)
    bare = LshIndex.build("crosspolytope", vectors, LshSettings())
    assert (LshSettings().tables, LshSettings().bits, LshSettings().probes) == (10, 20, 200)
    assert all(np.array_equal(np.sort(published.candidates(q, 10)), np.sort(bare.candidates(q))) for q in vectors[:20])
    sketched = Index.build("crosspolytope", vectors, IndexSettings(bits=20, probes=200, refine=5))
    assert np.mean([len(sketched.candidates(q, 10)) for q in vectors[:20]]) < np.mean([len(bare.candidates(q)) for q in vectors[:20]])


def test_probes_are_chosen_with_the_rows_that_are_looked_at():
    vectors = unit(6000, 48, kinds=10)
    met, unmet = (Index.build("hyperplane", vectors, IndexSettings(refine=each, recall=80)) for each in (5, 2))
    assert (met.settings.refine, unmet.settings.refine) == (5, 2)
    assert met.settings.probes > unmet.settings.probes, "what more probes cannot mend is not paid for"
    right = [set(met.nearest(vectors, q, 10).tolist()) & set(np.argsort(-(vectors @ q))[:10].tolist()) for q in vectors[:200]]
    assert np.mean([len(r) / 10 for r in right]) >= 0.79


def test_a_sketch_that_is_not_looked_at_is_not_kept():
    vectors = unit(200, 48, kinds=5)
    index = Index.build("hyperplane", vectors, IndexSettings())
    assert (index.settings.refine, index.settings.sketch) == (0, 0)
    assert index.bytes == Index.build("hyperplane", vectors, index.settings).bytes == 10 * 200 * 8


def test_rows_here_and_there_are_compared_and_gathered_as_by_numpy():
    rng = np.random.default_rng(0)
    vectors, rows = unit(300, 40), rng.choice(300, 80)
    np.testing.assert_allclose(products(vectors, rows, vectors[3]), vectors[rows] @ vectors[3], atol=1e-6)
    signs = rng.integers(0, 2**64, (300, 5), dtype=np.uint64)
    assert unlike(signs, rows, signs[0]).tolist() == [
        sum(int(a ^ b).bit_count() for a, b in zip(signs[r], signs[0], strict=True)) for r in rows
    ]
    order = np.stack([rng.permutation(300) for _ in range(3)]).astype(np.uint32)
    places = np.array([[0, 5, 60], [2, 0, 100], [1, 7, 7], [0, 290, 300]])
    there = gathered(order, places)
    assert sorted(there.tolist()) == sorted({*order[0, 5:60].tolist(), *order[2, :100].tolist(), *order[0, 290:].tolist()})
    assert not len(gathered(order, places[:0]))
