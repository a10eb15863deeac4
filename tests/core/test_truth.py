"""A truth that does not fit the scan in scale or classes is explained, wherever it scores; nothing is resized."""

import json
import shlex

import numpy as np
import pytest
import tifffile
from segment_data import scan_of

from lithoscope.cli import run

VALUES = np.repeat(np.repeat(np.array([[[60, 120], [120, 190]]], np.uint8), 20, 1), 20, 2).repeat(9, 0)
TRUTH = np.digitize(VALUES, [90, 155]).astype(np.uint8) + 1


def _tiff(path, voxel=None, labels=TRUTH):
    about = {} if voxel is None else {"resolution": (1 / voxel, 1 / voxel), "metadata": {"spacing": voxel, "unit": "um", "axes": "ZYX"}}
    tifffile.imwrite(path, labels, imagej=True, **about)
    return path


@pytest.fixture
def scan(tmp_path):
    made = scan_of(VALUES, tmp_path / "rock.zarr")
    assert run(["segment", str(made.path), "--method", "otsu", "--set", "classes=3", "--output", "o"]) == 0
    return made


@pytest.fixture
def answer(capsys):
    def asked(*words):
        capsys.readouterr()
        status = run([str(w) for w in words])
        out = capsys.readouterr()
        assert status == 0, out.err
        return json.loads(out.out) if "--json" in words else out.out

    return asked


def test_measuring_says_that_the_truth_is_of_other_voxels(scan, tmp_path, answer):
    file = _tiff(tmp_path / "truth.tif", 5.0)
    found = answer("measure", scan.path, "o", "--truth", file, "--json")
    assert found["mean_iou"] == 1
    (note,) = found["notes"]
    assert note.startswith("truth.tif says that its voxels are 5 µm, those of rock are 2 µm")
    assert "nothing is resized" in note
    assert "lithoscope set" in note
    told = answer("measure", scan.path, "o", "--truth", file)
    assert "5 µm" in told
    answer("report", scan.path, "o", tmp_path / "o.html", "--truth", file)
    assert "its voxels are 5 µm" in (tmp_path / "o.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("voxel", [None, 2.0, 2.01])
def test_nothing_is_said_of_a_truth_that_fits_or_does_not_know(scan, tmp_path, answer, voxel):
    assert answer("measure", scan.path, "o", "--truth", _tiff(tmp_path / "truth.tif", voxel), "--json")["notes"] == []


def test_a_scan_without_a_voxel_size_asks_for_none(tmp_path, answer):
    np.save(tmp_path / "rock.npy", VALUES)
    answer("import", tmp_path / "rock.npy", tmp_path / "rock.zarr")
    answer("segment", tmp_path / "rock.zarr", "--method", "otsu", "--output", "o")
    file = _tiff(tmp_path / "truth.tif", 5.0)
    assert answer("measure", tmp_path / "rock.zarr", "o", "--truth", file, "--json")["notes"] == []


def test_an_array_in_a_zarr_of_other_voxels_is_explained_too(scan, tmp_path, answer):
    other = scan_of(TRUTH, tmp_path / "labels.zarr", voxel=(4.0, 2.0, 2.0))
    (note,) = answer("measure", scan.path, "o", "--truth", other.path, "--json")["notes"]
    assert "4 × 2 × 2 µm" in note


def test_a_truth_that_was_imported_is_still_known_to_be_of_other_voxels(scan, tmp_path, answer):
    file = _tiff(tmp_path / "truth.tif", 5.0)
    assert "its voxels are 5 µm" in answer("labels", "import", scan.path, file, "real", "--as", "truth")
    (note,) = answer("measure", scan.path, "o", "--truth", "real", "--json")["notes"]
    assert note.startswith("truth.tif says that its voxels are 5 µm")
    assert shlex.quote(str(scan.path)) in note


def test_a_comparison_says_it_of_its_truth(scan, tmp_path, answer):
    painted = np.where(np.arange(9)[:, None, None] == 4, TRUTH, 0).astype(np.uint8)
    words = ("compare", scan.path, "--strokes", _tiff(tmp_path / "painted.tif", 2.0, painted), "--methods", "otsu")
    words += ("--truth", _tiff(tmp_path / "truth.tif", 5.0))
    found = answer(*words, "--json")
    assert found["methods"][0]["mean_iou"] == 1
    assert "5 µm" in found["truth"]["notes"][0]
    assert "5 µm" in answer(*words, "--overwrite")


def test_classes_that_only_the_truth_or_only_the_result_has_are_named(scan, tmp_path, answer):
    file = _tiff(tmp_path / "truth.tif")
    found = answer("measure", scan.path, "o", "--truth", file, "--map", "1=1", "2=2", "3=7", "--json")
    first, second = found["notes"]
    assert first.startswith("class 7 of truth.tif is not among the classes of o")
    assert second.startswith("class 3 ")
    assert "nowhere in truth.tif" in second
    assert found["iou"]["7"] == 0
