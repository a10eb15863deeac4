"""Self-training: who may vote, what is proposed, what a person said of it, and when it ends."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from retrieval_data import textured_folder

from lithoscope.cli.commands.similarity import similarity_review, similarity_train
from lithoscope.errors import InputError, MissingError
from lithoscope.similarity.rounds import NAME, State, forget
from lithoscope.similarity.selftraining import Rules, proposals

QUICK = {"backbone": "random-tiny", "side": "32", "steps": "4", "every": "4", "tuning": "all", "rate": "0.003"}
RULES = {"rounds": "3", "patience": "3", "per_class": "3", "margin": "0.0", "curated": "2", "agree": "0.6"}


@settings(max_examples=60, deadline=None)
@example(5, 2, 1, 129)
@given(st.integers(1, 8), st.integers(2, 9), st.integers(1, 4), st.integers(0, 999))
def test_what_is_proposed_is_what_the_rules_say(pool, labelled, neighbours, seed):
    rng = np.random.default_rng(seed)
    labels = [str(c) for c in rng.integers(0, 3, labelled)]
    a, b = rng.normal(size=(pool, 4)).astype(np.float32), rng.normal(size=(labelled, 4)).astype(np.float32)
    rules = Rules(neighbours=neighbours, agree=1.0, margin=0.1, curated=0.9, duplicate=0.01, per_class=100)
    names, voters = [f"p{i}" for i in range(pool)], [f"v{i}" for i in range(labelled)]
    found = {p.item: p for p in proposals(a, names, b, labels, voters, rules)}
    for i, name in enumerate(names):
        away = [1 - float(a[i] @ v / np.linalg.norm(a[i]) / np.linalg.norm(v)) for v in b]
        order = sorted(range(labelled), key=lambda j: away[j])
        nearest = [labels[j] for j in order[:neighbours]]
        own = [d for d, c in zip(away, labels, strict=True) if c == nearest[0]]
        others = [d for d, c in zip(away, labels, strict=True) if c != nearest[0]]
        ahead = (min(others) if others else min(own) + 2) - min(own)
        wanted = len(set(nearest)) == 1 and ahead >= 0.1 and 0.01 < min(own) < 0.9
        twins = [1 - float(a[i] @ a[names.index(n)] / np.linalg.norm(a[i]) / np.linalg.norm(a[names.index(n)])) for n in found if n != name]
        if wanted and name not in found:
            assert min(twins) <= 0.01, "a twin of a surer one"
        else:
            assert (name in found) == wanted
        if name in found:
            assert found[name].label == nearest[0]
            assert found[name].distance == pytest.approx(min(own), abs=1e-5)


def test_twins_and_what_was_rejected_are_not_proposed():
    voters = np.eye(2, 3, dtype=np.float32)
    pool = np.array([[1, 0, 0.2], [1, 0, 0.2], [1, 0, 0], [0, 1, 0.3]], np.float32)
    rules = Rules(neighbours=1, margin=0.1)
    found = proposals(pool, list("abcd"), voters, ["x", "y"], ["v", "w"], rules)
    assert [(p.item, p.label, p.nearest) for p in found] == [("a", "x", "v"), ("d", "y", "w")], "b is a's twin, c the labelled one's"
    assert [p.item for p in proposals(pool, list("abcd"), voters, ["x", "y"], ["v", "w"], rules, without=frozenset("a"))] == ["b", "d"]


def test_rules_that_mean_nothing_are_refused():
    with pytest.raises(InputError, match="1 or more"):
        Rules(neighbours=0)
    with pytest.raises(InputError, match="less than curated"):
        Rules(duplicate=0.7)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("self")
    return textured_folder(folder / "labelled", each=5), textured_folder(folder / "pool", each=8, seed=9)


def run(images, output, **more):
    labelled, pool = images
    given = {"settings": QUICK, "rules": RULES, "device": "cpu", "unlabelled": str(pool), **more}
    return similarity_train(str(labelled), output=str(output), **given)


def renamed(images, folder):
    """The pool with names that are not among the labelled."""
    import shutil

    target = folder / "pool"
    target.mkdir(parents=True)
    for path in images[1].rglob("*.png"):
        shutil.copy(path, target / f"{path.parent.name}-{path.name}")
    return images[0], target


def test_it_waits_for_a_person_and_goes_on_with_what_was_accepted(images, tmp_path):
    given, out = renamed(images, tmp_path), tmp_path / "out"
    first = run(given, out)
    assert len(first["rounds"]) == 1
    assert first["open"]
    assert all(Path(p["picture"]).read_bytes()[:4] == b"\x89PNG" for p in first["open"])
    again = run(given, out)
    assert again["rounds"] == first["rounds"], "nothing was taught while it waits"
    names = [p["item"] for p in first["open"]]
    with pytest.raises(InputError, match="not among the"):
        similarity_review(str(out), accept=["stranger"])
    half = similarity_review(str(out), accept=names[:1], reject=names[1:2])
    assert [p["item"] for p in half["open"]] == names[2:]
    similarity_review(str(out), rest="reject")
    second = run(given, out)
    assert second["rounds"][1]["accepted"] == 1
    assert second["rounds"][1]["labels"] == first["rounds"][0]["labels"] + 1, "what was accepted stays"
    proposed = {p["item"] for p in second["open"]}
    assert not proposed & set(names), "what was said once is not asked again"


def test_without_review_it_runs_until_it_ends_and_held_out_items_never_vote(images, tmp_path):
    given, out = renamed(images, tmp_path), tmp_path / "out"
    answer = run(given, out, review="none")
    assert answer["done"]
    assert len(answer["rounds"]) <= 3
    state = State.load(out)
    assert state.held
    voters = {p.nearest for p in state.accepted}
    assert not voters & set(state.held)
    assert answer["model"] == str(out / max(state.rounds, key=lambda r: r["score"])["folder"])
    assert all(r["labels"] == state.rounds[0]["labels"] + r["accepted"] for r in state.rounds)


def test_it_is_not_gone_on_with_other_classes(images, tmp_path):
    given, out = renamed(images, tmp_path), tmp_path / "out"
    run(given, out)
    other = textured_folder(tmp_path / "other", each=5)
    (other / "waves").rename(other / "ripples")
    with pytest.raises(InputError, match="is of other classes"):
        run((other, given[1]), out)
    with pytest.raises(MissingError, match="holds no self-training"):
        similarity_review(str(tmp_path / "nowhere"))


def test_beginning_anew_removes_what_self_training_made_and_nothing_else(tmp_path):
    for made in ("round-1/similarity.json", "proposals/0000-picture.png", "proposals.json", NAME, "photos/1.png", "round-trip/2.png"):
        (tmp_path / made).parent.mkdir(exist_ok=True)
        (tmp_path / made).write_text("{}")
    forget(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "round-trip"}
    assert (tmp_path / "photos" / "1.png").exists()
    forget(tmp_path)
