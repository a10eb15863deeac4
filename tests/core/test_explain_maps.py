"""Certainty and disagreement of results, and maps of patches, without a network."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from segment_data import scan_of, three_phases

from lithoscope.cli import run
from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.explain.certainty import certainty, disagreement
from lithoscope.explain.embedding import embed, neighbours_kept
from lithoscope.explain.points import Map, Points, metadata_of
from lithoscope.explain.scatter import colours_of, column_of, scatter
from lithoscope.job import Cancelled


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scans") / "phases.zarr"
    scan = scan_of(three_phases((10, 40, 48)), path, fov="cylinder:20,24,18")
    for method in ("otsu", "fuzzy"):
        assert run(["segment", str(path), "--method", method, "--set", "classes=3", "--output", method]) == 0
    assert run(["segment", str(path), "--method", "threshold", "--set", "bounds=70,175", "--output", "threshold"]) == 0
    return scan


def blobs(count=300, groups=3, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, count)
    vectors = (rng.normal(0, 1, (groups, 20))[group] * 6 + rng.normal(0, 1, (count, 20))).astype(np.float32)
    places = rng.integers(0, 30, (count, 3))
    columns = {"scan": ["a"] * count, "class": [f"class {g}" for g in group], "depth": [float(p) for p in places[:, 0]]}
    return Points(vectors, places, np.zeros(count, np.int64), np.zeros(count, np.int64), ("a",), columns), group


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_certainty_is_how_far_the_best_class_is_ahead(scan, axis):
    from lithoscope.export.memberships import Memberships, method_of
    from lithoscope.labels.results import open_result

    made = certainty(scan, "fuzzy", axis, 5)
    result = open_result(scan, "fuzzy")
    method = method_of(scan, result)
    box = tuple(slice(5, 6) if a == axis else slice(0, n) for a, n in enumerate(scan.shape))
    scores = np.stack([np.squeeze(Memberships(scan, result, method, i)[box], axis) for i in (1, 2, 3)]) / 255
    ordered = np.sort(scores, 0)
    known = np.isfinite(made.values)
    np.testing.assert_array_equal(known, scores.sum(0) > 0)
    np.testing.assert_allclose(made.values[known], (ordered[-1] - ordered[-2])[known], atol=0.01)


def test_disagreement_is_the_part_that_does_not_say_what_most_say(scan):
    names = ["otsu", "fuzzy", "threshold"]
    from lithoscope.labels.results import open_result

    said = np.stack([np.asarray(open_result(scan, n).array[4]) for n in names])
    made = disagreement(scan, names, 0, 4)
    known = np.isfinite(made.values)
    np.testing.assert_array_equal(known, said.max(0) > 0)
    for y, x in np.argwhere(known)[::37]:
        votes = np.bincount(said[:, y, x])
        assert made.values[y, x] == pytest.approx(1 - votes.max() / 3)
    assert made.values[known].max() > 0
    assert "by name" not in " ".join(made.notes)
    with pytest.raises(InputError, match="at least two"):
        disagreement(scan, ["otsu", "otsu"], 0, 4)


def test_results_whose_classes_have_other_names_are_said_to_differ_for_that_reason(tmp_path):
    from lithoscope.sample import simulate
    from lithoscope.volume.scan import Scan

    simulate(tmp_path / "rock.zarr", shape=(8, 40, 48), seed=1)
    assert run(["segment", str(tmp_path / "rock.zarr"), "--method", "otsu", "--set", "classes=3", "--output", "otsu"]) == 0
    made = disagreement(Scan.open(tmp_path / "rock.zarr"), ["otsu", "truth"], 0, 4)
    assert "truth have names of their own" in " ".join(made.notes)


def test_certainty_and_disagreement_on_the_command_line(scan, tmp_path, capsys):
    assert run(["explain", str(scan.path), "--kind", "certainty", "--result", "otsu", str(tmp_path / "c.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "certainty of otsu"
    words = ["--kind", "certainty", "--result", "otsu", "--result", "fuzzy", "--plane", "y=20", str(tmp_path / "d.svg"), "--json"]
    assert run(["explain", str(scan.path), *words]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["kind"] == "disagreement"
    assert answer["plane"] == ["y", 20]
    assert (tmp_path / "d.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_keeps_groups_together_and_is_the_same_for_a_seed(method):
    points, group = blobs()
    made, again = (embed(points, method, seed=3) for _ in range(2))
    np.testing.assert_array_equal(made.at, again.at)
    near = ((made.at[:, None] - made.at[None]) ** 2).sum(-1) + np.eye(len(group)) * 1e9
    assert (group[near.argmin(1)] == group).mean() > 0.95
    assert len(made.notes) == 2


def test_pca_of_a_map_is_scikit_learns_up_to_sign():
    from sklearn.decomposition import PCA

    points, _ = blobs(groups=5)
    made = embed(points, "pca")
    expected = PCA(2).fit_transform(points.vectors)
    signs = np.sign((made.at * expected).sum(0))
    np.testing.assert_allclose(made.at * signs, expected, atol=1e-3)


def test_tsne_says_how_far_it_is_and_is_cancelled():
    points, _ = blobs(120)
    seen = []
    embed(points, "tsne", report=seen.append)
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert len({d for d in done if 0 < d < 1000}) > 3

    def cancel(progress):
        if progress.done >= 100:
            raise Cancelled

    with pytest.raises(Cancelled):
        embed(points, "tsne", report=cancel)


def test_few_points_have_a_map_too():
    points, _ = blobs(4)
    for method in ("pca", "tsne"):
        assert np.isfinite(embed(points, method).at).all()


def test_how_many_neighbours_stay_is_one_for_the_same_places_and_little_for_chance():
    rng = np.random.default_rng(0)
    at = rng.random((400, 2), np.float32)
    assert neighbours_kept(at, at * 3) == 1
    assert neighbours_kept(at, rng.random((400, 2), np.float32)) < 0.1


def test_a_map_comes_back_from_disk(tmp_path):
    points = replace(blobs(50)[0], uuids=("one",))
    made = embed(points, "pca")
    back = Map.load(made.save(tmp_path / "deep" / "m.safetensors"))
    np.testing.assert_array_equal(back.at, made.at)
    np.testing.assert_array_equal(back.points.places, points.places)
    assert dict(back.points.columns) == dict(points.columns)
    assert back.points.uuids == ("one",)
    assert back.notes == made.notes
    with pytest.raises(MissingError):
        Map.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(UnreadableError):
        Map.load(tmp_path / "bad.safetensors")


def test_a_map_as_table_and_figure(tmp_path):
    points, _ = blobs(60)
    made = embed(points, "pca")
    rows = list(csv.DictReader(made.table(tmp_path / "m.csv").open()))
    assert len(rows) == 60
    assert set(rows[0]) == {"map_x", "map_y", "z", "y", "x", "scan", "class", "depth"}
    text = scatter(made).svg()
    assert text.count("<circle") == 60
    assert "class 2" in text
    with pytest.raises(InputError, match="scan, class, depth"):
        column_of(made, "age")


def test_numbers_are_a_ramp_and_words_are_groups():
    ramp, key = colours_of([float(n) for n in range(50)])
    assert len(set(ramp)) > 30
    assert [words for _, words in key] == ["0", "24.5", "49"]
    groups, key = colours_of(["a", "b", "a", ""])
    assert groups[0] == groups[2] != groups[1]
    assert [words for _, words in key] == ["a 2", "b 1", "– 1"]


def test_metadata_names_scans_and_reads_numbers(tmp_path):
    (tmp_path / "m.csv").write_text("scan,depth,rock\na.zarr,12.5,sand\nb,x,clay\n")
    assert metadata_of(tmp_path / "m.csv") == {"a": {"depth": 12.5, "rock": "sand"}, "b": {"depth": "x", "rock": "clay"}}
    (tmp_path / "n.csv").write_text("name\na\n")
    with pytest.raises(UnreadableError, match="column named scan"):
        metadata_of(tmp_path / "n.csv")
    with pytest.raises(MissingError):
        metadata_of(tmp_path / "none.csv")
