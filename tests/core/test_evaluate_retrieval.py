"""Retrieval by the SCAMPI protocol: every score against the same sum done by scikit-learn alone, and all that can be asked wrongly."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from retrieval_data import independent, textured_folder

from lithoscope.cli import run
from lithoscope.cli.commands import command
from lithoscope.errors import InputError
from lithoscope.retrieval.images import images_in, labels_of
from lithoscope.retrieval.metadata import Metadata, read_csv
from lithoscope.retrieval.protocol import evaluate
from lithoscope.scores.retrieval import p_at_nk, ranked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return textured_folder(tmp_path_factory.mktemp("images"))


def answered(capsys, *words):
    code = run([str(w) for w in words])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_every_score_equals_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    names = [name for name, count in (("a", 14), ("b", 11), ("c", 20)) for _ in range(count)]
    centres = {name: rng.normal(0, 1.2, 6) for name in "abc"}
    vectors = np.stack([centres[name] + rng.normal(0, 1, 6) for name in names])
    found = evaluate(vectors, names).to_json([str(i) for i in range(len(names))])
    for key, value in independent(vectors, names).items():
        assert found[key] == pytest.approx(value, abs=1e-9), key


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 1000))
def test_ranking_equals_the_slow_and_obvious_one(count, kinds, seed):
    rng = np.random.default_rng(seed)
    names = [str(n) for n in rng.integers(0, kinds, count)]
    groups = [str(n) for n in rng.integers(0, 4, count)]
    vectors = rng.normal(size=(count, 4))
    for held in (None, groups):
        scores = []
        for i in range(count):
            others = [j for j in range(count) if j != i and (held is None or held[j] != held[i])]
            same = sum(names[j] == names[i] for j in others)
            if same:
                near = sorted(others, key=lambda j: float(((vectors[i] - vectors[j]) ** 2).sum()))[:same]
                scores.append(sum(names[j] == names[i] for j in near) / same)
        if scores:
            assert ranked(vectors, names, groups=held, depth=1).p_at_nk == pytest.approx(np.mean(scores))
        else:
            with pytest.raises(InputError, match="nothing to find again"):
                ranked(vectors, names, groups=held)


def test_a_twin_in_the_own_group_is_never_found():
    vectors = np.repeat(np.eye(4), 2, axis=0)  # pairs of twins, each pair a sample, two samples a class
    names, samples = list("aaaabbbb"), list("00112233")
    assert p_at_nk(vectors, names) > ranked(vectors, names, groups=samples).p_at_nk


def test_the_command_prints_the_promised_keys(folder, capsys):
    code, out, err = answered(capsys, "evaluate-retrieval", folder, "--features", "pixels16", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert {"p_at_nk", "nn_f1", "nn_f1_sd", "precision_at", "recall_at", "pr_area", "n"} <= set(answer)
    assert answer["n"] == len(images_in(folder))
    code, again, _ = answered(capsys, "evaluate-retrieval", folder, "--json")
    assert again == out


def test_all_tables_and_figures_are_written_and_the_best_match_is_shown(folder, tmp_path, capsys):
    words = ("evaluate-retrieval", folder, "--output", tmp_path / "out")
    code, out, err = answered(capsys, *words, "--json")
    assert code == 0, err
    answer = json.loads(out)
    names = {"images.csv", "classes.csv", "naming.csv", "confusion.csv", "confusion.svg", "precision-recall.svg", "tsne.svg"}
    assert names | {"best.png", "worst.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    line = answer["best"][0]
    assert line["matches"][0]["image"] != line["image"]
    assert len(line["matches"]) == 10
    assert answered(capsys, *words)[0] == 2
    assert answered(capsys, *words, "--overwrite")[0] == 0


def test_groups_come_from_a_table_or_from_the_name(folder, tmp_path, capsys):
    table = tmp_path / "samples.csv"
    rows = "\n".join(f"{image.name};{i % 5};{image.path.parent.name}" for i, image in enumerate(images_in(folder)))
    table.write_text(f"Image;Well No.;Lithology\n{rows}\n", encoding="utf-8")
    code, out, err = answered(capsys, "evaluate-retrieval", folder, "--metadata", table, "--group", "well_no", "--json")
    assert code == 0, err
    assert json.loads(out)["group"] == "well_no"
    images = images_in(folder)
    assert labels_of(images, "lithology", read_csv(table), what="class") == labels_of(images, None, Metadata(), what="class")
    assert set(labels_of(images, "name:1", Metadata(), what="class")) <= set("0123456789")
    code, _, err = answered(capsys, "evaluate-retrieval", folder, "--metadata", table, "--group", "depth")
    assert code == 2
    assert "well_no" in err


def test_samples_of_one_image_are_ranked_but_not_named(tmp_path, capsys):
    flat = textured_folder(tmp_path / "deep", 2)
    for image in images_in(flat):
        image.path.rename(tmp_path / f"{image.path.parent.name}_{image.path.name}")
    code, out, err = answered(capsys, "evaluate-retrieval", tmp_path, "--label", "name:4", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["nn_f1"] is None
    assert "too few" in answer["notes"][0]
    code, _, err = answered(capsys, "evaluate-retrieval", tmp_path)
    assert code == 2
    assert "name:6" in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("scan,porosity\na,0.2\nb,high\nc,0.1\nd,0.3\n", "row 3"),
        ("scan,porosity\na,0.2\na,0.3\n", "second time"),
        ("scan,porosity\na,0.2,9\n", "3 cells"),
        ("scan,x,X\na,1,2\n", "several columns called x"),
        ("scan,porosity\n,0.2\n", "which scan"),
        ("", "no rows"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_with_its_row(tmp_path, content, words):
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_csv(path)


def test_missing_values_are_allowed_in_a_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("scan\tPorosity [%]\tlithology\na\t\tsand\nb\t12.5\t-\n", encoding="utf-8-sig")
    found = read_csv(path)
    assert found.numbers == ("porosity",)
    assert found.rows == {"a": {"porosity": None, "lithology": "sand"}, "b": {"porosity": 12.5, "lithology": None}}


@pytest.mark.parametrize(
    ("change", "words"), [("broken", "not an image"), ("empty", "holds no images"), ("missing", "no folder"), ("twins", "ending")]
)
def test_folders_that_cannot_be_judged_say_why(tmp_path, capsys, change, words):
    folder = tmp_path / "images"
    if change != "missing":
        folder.mkdir()
    if change in ("broken", "twins"):
        textured_folder(folder, 3)
    if change == "broken":
        next(iter(folder.rglob("*.png"))).write_bytes(b"\x89PNG but not really")
    if change == "twins":
        one = next(iter(folder.rglob("*.png")))
        Image.open(one).save(one.with_suffix(".bmp"))
    code, _, err = answered(capsys, "evaluate-retrieval", folder)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("k", [0, -3])
def test_fewer_places_than_one_are_refused_before_anything_is_opened(k):
    """Also for a library whose gate picks the best of more places than were asked for."""
    with pytest.raises(InputError, match="one or more"):
        command("search")("no library", scan="no scan", k=k)
