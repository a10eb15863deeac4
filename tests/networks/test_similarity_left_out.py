"""Classes that are left out in turn: which they are, what is asked of them, and what is kept where teaching may harm others."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from lithoscope.cli.commands.similarity import similarity_train
from lithoscope.errors import InputError
from lithoscope.job import Cancelled
from lithoscope.similarity.leaving_out import Fared, class_folds, item_folds, pooled, precisions
from lithoscope.similarity.loop import Course, curves, learn
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.rockset import rocks, write_rocks
from lithoscope.similarity.scoring import HeldOut, Score
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.teach import share_of
from lithoscope.similarity.verdict import kept, verdict
from lithoscope.training.loop import Plan

KINDS = [k for k in "abcdefghij" for _ in range(4)]
GROUPS = [f"{k}{i // 2}" for k in "abcdefghij" for i in range(4)]


def left_out(kinds, groups, share=0.2, most=10, teaching=None):
    relation = Relation.of_classes(kinds)
    teaching = np.ones(len(kinds), bool) if teaching is None else teaching
    found = class_folds(relation, groups, teaching, share, most)
    called = np.asarray([k or "" for k in kinds])
    for fold in found:
        assert not set(called[fold.asked]) & set(called[fold.teach]), "whole or not at all"
        assert not {groups[i] for i in fold.asked} & {groups[i] for i in fold.teach}
        assert teaching[fold.teach].all()
        assert teaching[fold.asked].all()
        assert fold.among.tolist() == fold.asked.tolist(), "among themselves alone"
    return [set(called[fold.asked]) for fold in found]


def test_each_pair_of_a_few_classes_is_left_out_in_turn():
    found = left_out(KINDS[:20], GROUPS[:20])
    assert sorted(map(sorted, found)) == [[a, b] for a in "abcde" for b in "abcde" if a < b]
    assert len(left_out(KINDS[:16], GROUPS[:16])) == 6
    assert left_out(KINDS[:12], GROUPS[:12]) == [], "of three classes two would teach nothing"
    assert left_out(KINDS, GROUPS, share=0) == []


def test_of_many_classes_each_is_left_out_about_as_often():
    for most in (3, 10):
        found = left_out(KINDS, GROUPS, share=0.3, most=most)
        assert len(found) == most
        often = [sum(k in out for out in found) for k in "abcdefghij"]
        assert max(often) - min(often) <= 1, often
    assert set().union(*left_out(KINDS[:20], GROUPS[:20], most=2)) == set("abcde"), "two times are enough to see each"


def test_held_out_items_and_shared_samples_are_on_neither_side():
    teaching = np.arange(40) % 4 != 3
    assert left_out(KINDS, GROUPS, teaching=teaching)
    shared = ["one" if i % 4 == 0 else f"{i}" for i in range(40)]
    assert left_out(KINDS, shared)
    own = [k if k != "a" else g for k, g in zip(KINDS, GROUPS, strict=True)]
    alone = ["one" if k == "b" else g for k, g in zip(own, GROUPS, strict=True)]
    assert not any("b" in out for out in left_out(own, alone)), "of one sample nothing has its like in another"


def test_of_a_persons_marks_nothing_is_left_out():
    marks = Relation.of_marks(12, [(2 * i, 2 * i + 1) for i in range(6)], [(0, 2)])
    assert class_folds(marks, [str(i) for i in range(12)], np.ones(12, bool), 0.5, 10) == []


def test_left_out_items_ask_among_each_other_and_outside_their_groups():
    relation = Relation.of_classes(list("aabb"))
    vectors = np.array([[1, 0.0], [0.9, 0.2], [0.1, 1], [1, 0.1]], np.float32)
    assert precisions(relation, list("1234"), vectors).tolist() == [0, 0, 0, 0]
    assert precisions(relation, list("1231"), vectors).tolist() == [1, 0, 0, 0], "the first one's neighbour is of its own group"
    with pytest.raises(InputError, match="no class has two members"):
        precisions(relation, list("1122"), vectors)


def test_an_items_times_count_as_one_and_the_error_is_that_of_the_paired_difference():
    relation = Relation.of_classes(list("abc"))
    told = [np.array([[0.2, 0.4], [0.4, 0.4]]), np.array([[0.6, np.nan], [0.4, np.nan]])]
    fared = pooled(relation, [np.array([0, 1]), np.array([0, 2])], [10], told)
    assert fared.classes == ("a", "b"), "of c nothing could be asked"
    assert fared.times == 2
    np.testing.assert_allclose(fared.before, [0.4, 0.4])
    assert fared.untaught == pytest.approx(0.4)
    assert fared.at(10) == (pytest.approx(0.4), pytest.approx(0))
    fared = Fared(("a",), 1, (0, 10), np.array([0.5, 0.5, 0.5, 0.5]), np.array([[0.5] * 4, [0.3, 0.5, 0.3, 0.5]]))
    assert fared.at(10) == (pytest.approx(0.4), pytest.approx(0.05))
    assert fared.at(5) == (pytest.approx(0.45), pytest.approx(0.025)), "between two looks"


def fared(*states):
    """Of two items, which are equal, by steps of one."""
    return Fared(("chalk",), 3, tuple(range(1, len(states) + 1)), np.array([0.8, 0.8]), np.array([[s, s] for s in states]))


def learnt(items, classes, tolerance=0.02):
    """A course of which every step is judged as said."""
    module, said = nn.Linear(2, 2, bias=False), iter(items)
    plan = Plan(steps=len(items), rate=0.1, every=1, patience=100)
    course = Course(
        module, lambda step, draws: module(torch.ones(1, 2)).sum(), lambda: Score(next(said)), Score(0.5), plan, {}, tolerance=tolerance,
        fared=fared(*classes),
    )  # fmt: skip
    first = module.weight.detach().clone()
    standing = learn(course, device=torch.device("cpu"))
    return course, standing, not torch.equal(first, module.weight)


def test_a_state_after_which_left_out_classes_fared_worse_is_passed_over():
    course, standing, changed = learnt([0.6, 0.7, 0.65], [0.79, 0.7, 0.77])
    assert changed
    assert standing.best_step == 1
    assert kept(course, standing) == Score(0.6, 0.79)
    first, second = verdict(course, standing)
    assert "after step 2 classes that did not teach may find their like worse (-0.100 ± 0.000 from 0.800) than the 0.02 let pass" in first
    assert first.endswith("that of step 1 is kept")
    assert second.endswith("(chalk) find their like among themselves at 0.790, before 0.800: -0.010 ± 0.000")
    assert curves(standing, course.first, 1)["left_out_classes"] == [0.8, 0.79, 0.7, 0.77]
    course, standing, _ = learnt([0.6, 0.7], [0.79, 0.7], tolerance=0.2)
    assert standing.best_step == 2
    assert len(verdict(course, standing)) == 1


def test_where_every_state_may_harm_them_the_frozen_network_is_kept_and_it_says_so():
    course, standing, changed = learnt([0.7, 0.6], [0.7, 0.5])
    assert not changed
    assert kept(course, standing) == course.first
    (line,) = verdict(course, standing)
    assert "after step 1 classes that did not teach may find their like worse (-0.100" in line
    assert line.endswith("the frozen network is kept")
    course, standing, changed = learnt([0.4, 0.3], [0.9, 0.9])
    assert not changed
    (line,) = verdict(course, standing)
    assert line == "what is held out found its like no better than before (0.500): the frozen network is kept"


def course_of(module, said, **more):
    plan = Plan(steps=len(said) - more.get("started", False), rate=0.1, every=1, patience=100)
    scores = iter(said)
    return Course(module, lambda step, draws: module(torch.ones(1, 2)).sum(), lambda: next(scores), Score(0.5), plan, {}, **more)


def test_what_the_beginning_gave_to_left_out_classes_is_not_taught_away():
    fared = Fared(("chalk",), 3, (0, 1, 2), np.array([0.8, 0.8]), np.array([[0.9, 0.9], [0.89, 0.89], [0.82, 0.82]]))
    course = course_of(nn.Linear(2, 2, bias=False), [Score(0.6), Score(0.7), Score(0.8)], started=True, tolerance=0.02, fared=fared)
    standing = learn(course, device=torch.device("cpu"))
    assert standing.best_step == 1
    first, _ = verdict(course, standing)
    assert "after step 2 classes that did not teach may find their like worse (-0.080 ± 0.000 from 0.900) than the 0.02 let pass" in first


def test_steps_are_to_be_told_apart_from_harmful_ones():
    fared = Fared(("chalk",), 3, (0, 1), np.array([0.8, 0.8]), np.array([[0.6, 1.0], [0.6, 1.0]]))
    course = course_of(nn.Linear(2, 2, bias=False), [Score(0.6), Score(0.7)], started=True, tolerance=0.02, fared=fared)
    assert not course.harmful(0), "equal on the whole"
    assert course.harmful(1), "which may be by chance"
    standing = learn(course, device=torch.device("cpu"))
    assert standing.best_step == 0
    assert fared.change(1, started=True) == (0.8, pytest.approx(0), pytest.approx(0.2 / 2**0.5))


def test_a_later_state_is_kept_where_it_is_better_by_more_than_items_spread():
    said = [Score(0.6, each=(0.5, 0.7)), Score(0.65, each=(0.3, 1.0)), Score(0.7, each=(0.6, 0.8)), Score(0.71, each=(0.61, 0.81))]
    course = course_of(nn.Linear(2, 2, bias=False), said)
    standing = learn(course, device=torch.device("cpu"))
    assert standing.best_step == 4
    standing = learn(course_of(nn.Linear(2, 2, bias=False), said[:2]), device=torch.device("cpu"))
    assert standing.best_step == 1, "one gained .3 and one lost .2"
    assert standing.waited == 0, "but it still rises"
    assert standing.best_score == [0.6, 0.5, 0.7]


class Out:
    """What was left out, of which is known how it fared with each share."""

    def __init__(self, before, *after):
        self.fared = Fared(("chalk",), 3, tuple(range(len(after))), np.full(2, before), np.array([[a, a] for a in after]))

    def begun(self, shares):
        assert len(shares) == len(self.fared.steps)
        return self.fared


def test_it_begins_with_as_much_of_the_matrix_as_harms_nobody():
    relation = Relation.of_classes(list("aaabbb"))
    held = np.array([True, False, False] * 2)
    vectors = np.array([[1, 0.5], [1, -0.4], [1, 0.2], [-1, 0.5], [-1, -0.4], [-1, 0.1]], np.float32)
    judge = HeldOut(relation, [str(i) for i in range(6)], held)
    matrix, lessons = np.diag([1.0, 0.0]).astype(np.float32), Lessons(tolerance=0.02, blend=0.9)

    def share(classes=None, items=None, made=matrix):
        return share_of(made, vectors, judge, lessons, classes, items)

    assert share(Out(0.8, 0.79, 0.8, 0.8)) == 0.9
    assert share(Out(0.8, 0.7, 0.79, 0.8)) == 0.6
    assert share(Out(0.8, 0.7, 0.7, 0.7)) == 0.3, "the least where each harms"
    assert share() == 0.9, "nothing is known of others"
    assert share(Out(0.8, 0.9, 0.9, 0.9), Out(0.5, 0.4, 0.5, 0.6)) == 0.6, "items that were left out in turn count, too"
    assert share(made=np.diag([0.0, 1.0]).astype(np.float32)) < 0.9, "what tells the two apart is gone"


def test_each_item_that_teaches_is_left_out_once_and_asks_among_all():
    relation, teaching = Relation.of_classes(KINDS[:12]), np.arange(12) != 3
    found = item_folds(relation, GROUPS[:12], teaching, 0.5)
    asked = np.concatenate([fold.asked for fold in found])
    assert sorted(asked.tolist()) == [i for i in range(12) if i != 3]
    for fold in found:
        assert not {GROUPS[i] for i in fold.asked} & {GROUPS[i] for i in fold.teach}, "a sample is left out whole"
        assert sorted({*fold.asked, *fold.teach}) == np.flatnonzero(teaching).tolist()
        assert fold.among.tolist() == np.flatnonzero(teaching).tolist()
        assert {KINDS[i] for i in fold.asked} == set("abc"), "of each class about as much"
    assert item_folds(relation, ["one"] * 12, teaching, 0.5) == [], "of one sample nothing can be asked of another"
    marks = Relation.of_marks(6, [(0, 1), (1, 2), (3, 4), (4, 5)], [(0, 3)])
    asked = [set(fold.asked.tolist()) for fold in item_folds(marks, list("abcdef"), np.ones(6, bool), 0.34)]
    assert set().union(*asked) == set(range(6))


def test_items_left_out_in_turn_count_with_those_that_are_held_out():
    turns = Fared(("chalk",), 5, (0, 10), np.array([0.2, 0.4]), np.array([[0.4, 0.4], [0.6, 1.0]]))
    course = Course(
        nn.Linear(2, 2), lambda step, draws: torch.zeros(1), lambda: Score(0), Score(0.3), Plan(steps=10), {}, started=True, turns=turns
    )  # fmt: skip
    assert course.scored(Score(0.8, each=(0.8,)), 10) == Score(0.8, each=(0.8, 0.6, 1.0))
    assert course.scored(Score(0.8, each=(0.8,)), 5).each == (0.8, 0.5, 0.7)
    assert course.scored(Score(0.7), 5).items == 0.7, "as it was written"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rocks")
    write_rocks(folder, rocks(30, slices=2, size=48))
    assert len(list((folder / "images").iterdir())) >= 5
    return folder / "images"


QUICK = {"backbone": "random-tiny", "side": "32", "steps": "8", "every": "4", "tuning": "frozen"}


@pytest.mark.parametrize("tuning", ["frozen", "lora"])
def test_a_run_tells_how_classes_fared_that_did_not_teach(images, tmp_path, tuning):
    quick = {**QUICK, "tuning": tuning, "tolerance": "1"}
    answer = similarity_train(str(images), output=str(tmp_path / "m"), settings=quick, group="name:4", device="cpu")
    kinds = sorted(path.name for path in images.iterdir())
    assert answer["left_out_classes"] == kinds
    assert {"frozen", "taught", "frozen_classes", "taught_classes"} == set(answer["scores"])
    assert len(answer["curves"]["left_out_classes"]) == len(answer["curves"]["held_out"])
    if answer["kept"] == "taught":
        assert any("find their like among themselves at" in note for note in answer["notes"])
    told = json.loads((tmp_path / "m" / "similarity.json").read_text())
    assert told["left_out"] == kinds
    assert told["record"]["parameters"]["hold_classes"] == 0.2
    assert {path.split("/")[0] for path in told["held"]} <= set(kinds)
    assert {"m"} == {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "m" / "training").exists()


def test_a_run_that_allows_no_harm_at_all_is_no_worse_for_classes_that_did_not_teach(images, tmp_path):
    quick = {**QUICK, "tolerance": "0"}
    answer = similarity_train(str(images), output=str(tmp_path / "m"), settings=quick, group="name:4", device="cpu")
    scores = answer["scores"]
    assert scores["taught_classes"] >= scores["frozen_classes"]
    if answer["kept"] == "frozen":
        assert any(note.endswith("the frozen network is kept") for note in answer["notes"])


def test_all_teach_and_nobody_looks_where_it_is_not_wished(images, tmp_path):
    answer = similarity_train(
        str(images), output=str(tmp_path / "m"), settings={**QUICK, "hold_classes": "0"}, group="name:4", device="cpu"
    )
    assert answer["left_out_classes"] == []
    assert set(answer["scores"]) == {"frozen", "taught"}
    assert answer["kept"] == "frozen" or any("is not known" in note for note in answer["notes"])


def test_what_was_found_out_of_left_out_classes_is_not_found_out_again(images, tmp_path):
    def stop(progress):
        if progress.message.startswith("classes left out in turn, 3 of"):
            raise Cancelled

    with pytest.raises(Cancelled):
        similarity_train(str(images), output=str(tmp_path / "m"), settings=QUICK, group="name:4", device="cpu", report=stop)
    assert len(json.loads((tmp_path / "m" / "training" / "classes-in-turn.json").read_text())["told"]) == 2
    said = []
    again = similarity_train(
        str(images), output=str(tmp_path / "m"), settings=QUICK, group="name:4", device="cpu", report=lambda p: said.append(p.message)
    )
    assert not any(words.startswith(("classes left out in turn, 1 of", "classes left out in turn, 2 of")) for words in said)
    assert any(words.startswith("classes left out in turn, 3 of") for words in said)
    whole = similarity_train(str(images), output=str(tmp_path / "whole"), settings=QUICK, group="name:4", device="cpu")
    assert again["scores"] == whole["scores"]
    assert again["curves"] == whole["curves"]
