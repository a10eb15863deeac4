"""Classes that are held out whole: which they are, what is asked of them, and what is kept where teaching harms them."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from lithoscope.cli.commands.similarity import similarity_train
from lithoscope.errors import InputError
from lithoscope.similarity.loop import Course, curves, learn
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.rockset import rocks, write_rocks
from lithoscope.similarity.scoring import HeldOut, Score
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.split import classes_held_out
from lithoscope.similarity.teach import begun_with
from lithoscope.similarity.verdict import kept, verdict
from lithoscope.training.loop import Plan

KINDS = [k for k in "abcdefghij" for _ in range(4)]
GROUPS = [f"{k}{i // 2}" for k in "abcdefghij" for i in range(4)]


def whole(kinds, groups, share=0.2, seed=0):
    held = classes_held_out(Relation.of_classes(kinds), groups, share, seed)
    called = np.asarray([k or "" for k in kinds])
    found = sorted(set(called[held].tolist()))
    assert not set(found) & set(called[~held].tolist()), "whole or not at all"
    return found


def test_a_fifth_of_the_classes_is_held_out_whole_from_five_on():
    assert len(whole(KINDS, GROUPS)) == 2
    assert len(whole(KINDS[:20], GROUPS[:20])) == 1
    assert whole(KINDS[:16], GROUPS[:16]) == [], "four classes all teach"
    assert whole(KINDS, GROUPS, share=0) == []
    assert whole(KINDS, GROUPS) == whole(KINDS, GROUPS)
    assert len({tuple(whole(KINDS, GROUPS, seed=s)) for s in range(6)}) > 1


def test_classes_that_share_a_sample_or_have_one_alone_are_not():
    shared = ["one" if k in "bcdefghij" else g for k, g in zip(KINDS, GROUPS, strict=True)]
    assert whole(KINDS, shared) == ["a"]
    alone = [k if k != "a" else g for k, g in zip(KINDS, GROUPS, strict=True)]
    assert whole(KINDS, alone) == ["a"], "nothing of one sample has its like in another"
    assert whole([*KINDS[:16], "lonely", None], [*GROUPS[:16], "x", "y"]) == [], "a class of one item is none to be found"


def test_what_a_person_marked_all_teaches():
    marks = Relation.of_marks(12, [(2 * i, 2 * i + 1) for i in range(6)], [(0, 2)])
    assert not classes_held_out(marks, [str(i) for i in range(12)], 0.5).any()


def test_each_kind_of_what_is_held_out_has_a_score_of_its_own():
    relation = Relation.of_classes(list("aaabbbccc"))
    held, apart = np.zeros(9, bool), np.zeros(9, bool)
    held[[0, 6, 7, 8]], apart[6:] = True, True
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1], [-1, 0], [-1, 0.1], [0.05, 1]])
    found = HeldOut(relation, list("123456789"), held, apart).score(vectors)
    assert found.items == 1.0
    assert found.classes == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert HeldOut(relation, list("123456789"), held).score(vectors).classes is None
    assert Score(0.5, 0.6).lost(Score(0.4, 0.7)) == pytest.approx(0.1)
    assert Score(0.5, 0.8).lost(Score(0.4, 0.7)) == 0
    with pytest.raises(InputError, match="nothing that is held out"):
        HeldOut(relation, list("123456789"), apart, apart)


def learnt(scores, tolerance=0.02):
    """A course of which every step is judged as said."""
    module, said = nn.Linear(2, 2, bias=False), iter(scores)
    plan = Plan(steps=len(scores), rate=0.1, every=1, patience=100)
    course = Course(
        module, lambda step, draws: module(torch.ones(1, 2)).sum(), lambda: next(said), Score(0.5, 0.8), plan, {}, tolerance=tolerance
    )
    first = module.weight.detach().clone()
    standing = learn(course, device=torch.device("cpu"))
    return course, standing, not torch.equal(first, module.weight)


def test_a_state_that_harms_classes_held_out_whole_is_passed_over():
    course, standing, changed = learnt([Score(0.6, 0.79), Score(0.7, 0.7), Score(0.65, 0.77)])
    assert changed
    assert standing.best_step == 1
    assert kept(course, standing) == Score(0.6, 0.79)
    (line,) = verdict(course, standing, ("chalk",))
    assert "(chalk) found their like worse by 0.100 at step 2 (0.700, before 0.800), more than the 0.02 let pass" in line
    assert line.endswith("that of step 1 is kept")
    assert curves(standing, course.before, 1)["held_out_classes"] == [0.8, 0.79, 0.7, 0.77]
    course, standing, _ = learnt([Score(0.6, 0.79), Score(0.7, 0.7)], tolerance=0.2)
    assert standing.best_step == 2
    assert verdict(course, standing, ("chalk",)) == ()


def test_where_every_state_harms_them_the_frozen_network_is_kept_and_it_says_which_lost():
    course, standing, changed = learnt([Score(0.7, 0.7), Score(0.6, 0.5)])
    assert not changed
    assert kept(course, standing) == course.before
    (line,) = verdict(course, standing, ("chalk",))
    assert "worse by 0.100 at step 1" in line
    assert line.endswith("the frozen network is kept")
    course, standing, changed = learnt([Score(0.4, 0.9), Score(0.3, 0.9)])
    assert not changed
    (line,) = verdict(course, standing, ("chalk",))
    assert line == "what is held out found its like no better than before (0.500): the frozen network is kept"


def test_it_begins_with_as_much_of_the_matrix_as_harms_no_other_class():
    relation = Relation.of_classes(list("aaabbbccc"))
    held, apart = np.zeros(9, bool), np.zeros(9, bool)
    held[[0, 3, 6, 7, 8]], apart[6:] = True, True
    vectors = np.array([[1, 0.5], [1, -0.4], [1, 0.2], [-1, 0.5], [-1, -0.4], [-1, 0.1], [0.6, 1], [-0.6, 1.1], [-0.4, 1.2]], np.float32)
    judge = HeldOut(relation, [str(i) for i in range(9)], held, apart)
    before = judge.score(vectors)
    blind = np.diag([1.0, 0.0]).astype(np.float32)
    all_of_it, share = begun_with(blind, vectors, judge, before, Lessons(blend=1.0, tolerance=1.0))
    assert share == 1.0
    np.testing.assert_allclose(all_of_it, blind)
    assert judge.score(vectors @ blind.T).lost(before) > 0.02, "the third class is found by what the matrix drops"
    some, share = begun_with(blind, vectors, judge, before, Lessons(blend=1.0))
    assert share == pytest.approx(2 / 3, abs=1e-6)
    assert judge.score(vectors @ some.T).lost(before) <= 0.02


def test_a_run_names_the_classes_it_held_out_and_how_they_fared(tmp_path):
    write_rocks(tmp_path / "rocks", rocks(30, slices=2, size=48))
    images = tmp_path / "rocks" / "images"
    kinds = {path.name for path in images.iterdir()}
    assert len(kinds) >= 5, "or none is held out"
    quick = {"backbone": "random-tiny", "side": "32", "steps": "8", "every": "4", "tuning": "frozen"}
    answer = similarity_train(str(images), output=str(tmp_path / "m"), settings=quick, group="name:4", device="cpu")
    (name,) = answer["held_out_classes"]
    assert name in kinds
    assert {"frozen", "taught", "frozen_classes", "taught_classes"} == set(answer["scores"])
    assert answer["scores"]["taught_classes"] >= answer["scores"]["frozen_classes"] - 0.02
    assert len(answer["curves"]["held_out_classes"]) == len(answer["curves"]["held_out"])
    told = json.loads((tmp_path / "m" / "similarity.json").read_text())
    assert told["held_classes"] == [name]
    assert told["record"]["parameters"]["hold_classes"] == 0.2
    own = {f"{name}/{path.stem}" for path in (images / name).iterdir()}
    assert own <= set(told["held"]), "none of them teaches"
    everything = similarity_train(
        str(images), output=str(tmp_path / "all"), settings={**quick, "hold_classes": "0"}, group="name:4", device="cpu"
    )
    assert everything["held_out_classes"] == []
    assert set(everything["scores"]) == {"frozen", "taught"}
