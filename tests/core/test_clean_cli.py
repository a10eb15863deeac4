"""Cleaning from the command line."""

import json

import numpy as np
import pytest
from labels_data import make_scan
from test_clean_results import made_result, speckled

from lithoscope.cli import run
from lithoscope.labels.results import results


@pytest.fixture
def scan(tmp_path):
    made = make_scan(tmp_path / "rock.zarr", (40, 36, 33))
    made_result(made, speckled(made.shape))
    return made


def test_a_result_is_cleaned_by_steps_in_order(scan, capsys):
    assert run(["clean", str(scan.path), "a", "--step", "islands=10", "--step", "merge=1+2", "--output", "b", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["parameters"]["steps"] == ["islands=10", "merge=1+2"]
    assert answer["learnt"]["changed"] == [12, 20 * 36 * 33]
    assert results(scan) == ["a", "b"]
    assert run(["clean", str(scan.path), "a", "--step", "islands=80um3"]) == 0
    assert "12 voxels changed" in capsys.readouterr().out
    assert "a cleaned" in results(scan)


@pytest.mark.parametrize("words", [[], ["--step", "sweep=3"], ["--step", "islands=3", "--output", "a"]])
def test_what_is_wrong_is_one_line(scan, capsys, words):
    assert run(["clean", str(scan.path), "a", *words]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert np.array_equal(results(scan), ["a"])


def test_a_result_is_corrected_in_its_place(scan, capsys):
    assert run(["clean", str(scan.path), "a", "--step", "islands=10", "--correct"]) == 0
    assert "12 voxels of a corrected" in capsys.readouterr().out
    assert results(scan) == ["a"]
