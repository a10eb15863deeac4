"""Runs that were ended are listed, resumed by the command that is told, or deleted; a scan that is gone stays gone."""

import shlex
import shutil

import numpy as np
import pytest

from lithoscope.classes import ClassTable
from lithoscope.cli import run
from lithoscope.cli.commands import command
from lithoscope.cli.text import labels
from lithoscope.errors import MissingError
from lithoscope.job import Cancelled
from lithoscope.labels.classes_file import save_classes
from lithoscope.labels.results import create
from lithoscope.record import RunRecord
from lithoscope.volume.convert import import_scan


@pytest.fixture
def scan(tmp_path):
    np.save(tmp_path / "a rock.npy", np.random.default_rng(0).integers(0, 255, (6, 20, 24), np.uint8))
    return import_scan(tmp_path / "a rock.npy", tmp_path / "a rock.zarr", field_of_view=None)


def begun(scan):
    def stop(progress):
        if progress.message.startswith("segmenting"):
            raise Cancelled

    with pytest.raises(Cancelled):
        command("segment")([str(scan.path)], method="otsu", settings={"classes": 4}, output="half", report=stop)


def test_an_unfinished_run_is_named_with_the_command_that_goes_on(scan):
    begun(scan)
    answer = command("labels_list")(str(scan.path))
    assert answer["results"] == []
    assert [(run["name"], run["method"]) for run in answer["unfinished"]] == [("half", "otsu")]
    assert "labels delete" in labels(answer)
    words = shlex.split(answer["unfinished"][0]["resume"])
    assert words[:3] == ["lithoscope", "segment", str(scan.path)]
    assert run(words[1:]) == 0
    assert command("labels_list")(str(scan.path))["unfinished"] == []
    assert scan.results() == ["half"]


def test_an_unfinished_run_is_deleted(scan):
    begun(scan)
    command("labels_delete")(str(scan.path), "half")
    assert command("labels_list")(str(scan.path))["unfinished"] == []
    assert not list(scan.labels_folder.glob("*.partial"))
    assert not list((scan.sidecar / "runs").glob("*"))


def test_nothing_is_written_beside_a_scan_that_was_deleted(scan):
    shutil.rmtree(scan.path)
    shutil.rmtree(scan.sidecar)
    table = ClassTable().add("pore")
    for write in (
        lambda: save_classes(scan, table),
        lambda: create(scan, "new", RunRecord("segment", "otsu", {}, {}), table),
        lambda: scan.set(voxel=None),
    ):
        with pytest.raises(MissingError, match="is gone"):
            write()
    assert not scan.path.exists()
    assert not scan.sidecar.exists()
