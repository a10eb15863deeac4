"""Triplets and contrasts against torch's own, and against sums that are slow and obvious."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from lithoscope.errors import InputError
from lithoscope.similarity.losses import contrastive_loss, distances, triplet_loss
from lithoscope.similarity.mining import batch_hard, mined, random, semi_hard
from lithoscope.similarity.relations import Relation

some_labels = st.lists(st.integers(0, 3), min_size=2, max_size=14)


def batch(labels, seed):
    vectors = torch.from_numpy(np.random.default_rng(seed).normal(size=(len(labels), 5)))
    same, other = (torch.from_numpy(m) for m in Relation.of_classes([str(c) for c in labels]).masks(np.arange(len(labels))))
    return vectors, same, other


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("swap", [True, False])
def test_triplet_loss_equals_that_of_torch(kind, swap):
    vectors = torch.randn(30, 8, dtype=torch.float64, requires_grad=True)
    triplets = torch.randint(0, 30, (40, 3))
    triplets = triplets[(triplets[:, 0] != triplets[:, 1]) & (triplets[:, 0] != triplets[:, 2]) & (triplets[:, 1] != triplets[:, 2])]

    def apart(a, b):
        return 1 - functional.cosine_similarity(a, b) if kind == "cosine" else torch.linalg.vector_norm(a - b, dim=1)

    wanted = torch.nn.TripletMarginWithDistanceLoss(distance_function=apart, margin=0.7, swap=swap)(*vectors[triplets].unbind(1))
    found = triplet_loss(vectors, triplets, kind=kind, margin=0.7, swap=swap)
    assert found.item() == pytest.approx(wanted.item(), abs=1e-9)
    one, two = (torch.autograd.grad(loss, vectors)[0] for loss in (found, wanted))
    assert torch.allclose(one, two, atol=1e-8)


def test_distances_between_all_equal_those_between_two():
    vectors = torch.randn(9, 4, dtype=torch.float64)
    for kind in ("cosine", "euclidean"):
        found = distances(vectors, kind)
        for i in range(9):
            for j in range(9):
                cosine = float(vectors[i] @ vectors[j] / vectors[i].norm() / vectors[j].norm())
                wanted = 1 - cosine if kind == "cosine" else float((vectors[i] - vectors[j]).norm())
                assert float(found[i, j]) == pytest.approx(wanted, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(some_labels, st.integers(0, 99))
def test_batch_hard_is_the_farthest_alike_and_the_nearest_unlike(labels, seed):
    vectors, same, other = batch(labels, seed)
    away = distances(vectors, "euclidean")
    wanted = []
    for a in range(len(labels)):
        alike = [i for i in range(len(labels)) if i != a and labels[i] == labels[a]]
        unlike = [i for i in range(len(labels)) if labels[i] != labels[a]]
        if alike and unlike:
            wanted.append([a, max(alike, key=lambda i: float(away[a, i])), min(unlike, key=lambda i: float(away[a, i]))])
    assert batch_hard(away, same, other).tolist() == wanted


@settings(max_examples=60, deadline=None)
@given(some_labels, st.integers(0, 99))
def test_semi_hard_is_the_nearest_unlike_beyond_the_alike(labels, seed):
    vectors, same, other = batch(labels, seed)
    away = distances(vectors, "cosine")
    wanted = []
    for a in range(len(labels)):
        unlike = [i for i in range(len(labels)) if labels[i] != labels[a]]
        for p in range(len(labels)):
            if p != a and labels[p] == labels[a] and unlike:
                beyond = [i for i in unlike if float(away[a, i]) > float(away[a, p])]
                nearest = min(beyond, key=lambda i: float(away[a, i])) if beyond else max(unlike, key=lambda i: float(away[a, i]))
                wanted.append([a, p, nearest])
    assert semi_hard(away, same, other).tolist() == wanted


@settings(max_examples=60, deadline=None)
@given(some_labels, st.integers(0, 99))
def test_random_triplets_are_alike_and_unlike_and_seeded(labels, seed):
    _, same, other = batch(labels, seed)
    found = random(same, other, torch.Generator().manual_seed(seed))
    for a, p, n in found.tolist():
        assert a != p
        assert labels[a] == labels[p]
        assert labels[a] != labels[n]
    assert torch.equal(found, mined(torch.zeros_like(same), same, other, "random", torch.Generator().manual_seed(seed)))


@settings(max_examples=40, deadline=None)
@given(some_labels, st.integers(0, 99))
def test_contrastive_loss_equals_the_sum_of_its_paper(labels, seed):
    vectors, same, other = batch(labels, seed)
    unit = (vectors / vectors.norm(dim=1, keepdim=True)).numpy()
    terms = []
    for i in range(len(labels)):
        alike = [p for p in range(len(labels)) if p != i and labels[p] == labels[i]]
        if alike and any(c != labels[i] for c in labels):
            below = sum(math.exp(unit[i] @ unit[a] / 0.2) for a in range(len(labels)) if a != i)
            terms.append(-sum(math.log(math.exp(unit[i] @ unit[p] / 0.2) / below) for p in alike) / len(alike))
    found = float(contrastive_loss(vectors, same, other, 0.2))
    assert found == pytest.approx(np.mean(terms) if terms else 0.0, abs=1e-8)


def test_what_nobody_marked_as_unlike_is_no_negative():
    relation = Relation.of_marks(5, alike=[(0, 1), (1, 2)], unlike=[(2, 3)])
    same, other = relation.masks(np.arange(5))
    assert same[0, 2]
    assert not same[3].any()
    assert other[0, 3]
    assert not other[3, 4]
    assert not (same | other)[4].any()
    triplets = batch_hard(distances(torch.randn(5, 3), "cosine"), torch.from_numpy(same), torch.from_numpy(other))
    assert set(triplets[:, 2].tolist()) == {3}


def test_marks_that_contradict_each_other_are_refused():
    with pytest.raises(InputError, match="as alike and as unlike"):
        Relation.of_marks(3, alike=[(0, 1), (1, 2)], unlike=[(0, 2)])


def test_classes_that_teach_nothing_are_refused():
    with pytest.raises(InputError, match="no class has two items"):
        Relation.of_classes(["a", "b", None]).check()
    with pytest.raises(InputError, match="all items are of one class"):
        Relation.of_classes(["a", "a", "a"]).check()
    with pytest.raises(InputError, match="nothing is marked as unlike"):
        Relation.of_marks(4, [(0, 1), (2, 3)], []).check()
    assert "one item only" in Relation.of_classes(["a", "a", "b"]).check()[0]
