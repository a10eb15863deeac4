"""Filtering and segmenting a filtered image from the command line."""

import json

from segment_data import scan_of, three_phases

from lithoscope.cli import run


def answer(capsys, *words):
    assert run([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_a_scan_is_filtered_and_the_image_segmented(tmp_path, capsys):
    scan = scan_of(three_phases((12, 30, 30)), tmp_path / "s.zarr").path
    record = answer(capsys, "filter", scan, "--method", "gaussian", "--output", "smooth", "--set", "sigma=1.5")
    assert record["parameters"] == {"dimensions": 3, "sigma": 1.5}
    assert record["seconds"] > 0
    assert answer(capsys, "segment", scan, "--method", "otsu", "--image", "smooth")["source"]["image"] == "smooth"
    assert answer(capsys, "info", scan)["images"] == ["smooth"]
    assert answer(capsys, "images", "list", scan)["images"][0]["method"] == "gaussian"
    assert answer(capsys, "images", "delete", scan, "smooth")["images"] == []
    assert {"nlm", "rings"} < {kind["name"] for kind in answer(capsys, "filters")["filters"]}


def test_the_words_for_people_name_the_image_and_how_to_use_it(tmp_path, capsys):
    scan = scan_of(three_phases((12, 30, 30)), tmp_path / "s.zarr", fov="cylinder:15,15,14").path
    for words in (("filter", scan, "--method", "median"), ("images", "list", scan), ("info", scan), ("filters",)):
        assert run([*map(str, words)]) == 0
        assert "median" in capsys.readouterr().out


def test_mistakes_are_one_line(tmp_path, capsys):
    scan = scan_of(three_phases((12, 30, 30)), tmp_path / "s.zarr").path
    for words, said in [
        (("--method", "blur"), "the filters are"),
        (("--method", "median", "--set", "size=99"), "not within"),
        (("--method", "median", "--image", "none"), "no image"),
        (("--method", "nlm", "--device", "cuda"), "--device cpu"),
    ]:
        assert run(["filter", str(scan), *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
