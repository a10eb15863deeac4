"""A field of view that leaves out all there is: every command that measures, scores or compares says so in one line."""

import csv
import json

import numpy as np
import pytest
from segment_data import brushed, scan_of, three_phases

from lithoscope.cli import run
from lithoscope.errors import InputError, TakenError
from lithoscope.labels.clean import clean_in_place
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import older_than_view, open_result
from lithoscope.labels.strokes import strokes
from lithoscope.measure import named_places
from lithoscope.volume.box import Box
from lithoscope.volume.field_of_view import BoxView, Cylinder
from lithoscope.volume.scan import Scan

SHAPE = (6, 60, 150)
HALF = "box:0:6,0:60,80:150"
"""A field of view in which the result "o" says nothing, and nobody painted."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A scan with a result "o" of its left half, "w" of all of it, grains "g", strokes on the left, and a truth as a file."""
    folder = tmp_path_factory.mktemp("excluded")
    values = three_phases(SHAPE)
    scan = scan_of(values, folder / "rock.zarr", shard=(16, 64, 64))
    truth = (np.digitize(values, [90, 155]) + 1).astype(np.uint8)
    said = brushed(truth, (1, 2, 3), 3)
    said[:, :, 70:] = 0
    with strokes(scan) as store:
        store.write(scan.box, said > 0, said)
        store.flush()
    np.save(folder / "truth.npy", truth)
    for words in (("--output", "w"), ("--output", "o", "--box", "0:6,0:60,0:70")):
        assert run(["segment", str(scan.path), "--method", "otsu", "--set", "classes=3", *words]) == 0
    assert run(["separate", str(scan.path), "w", "--class", "1", "--output", "g"]) == 0
    scan.set(field_of_view=HALF)
    return Scan.open(scan.path)


@pytest.fixture
def complaint(capsys):
    def asked(*words):
        capsys.readouterr()
        status = run([str(w) for w in words])
        told = [line for line in capsys.readouterr().err.splitlines() if not line.endswith(" %")]
        assert status == 2, told
        assert len(told) == 1, told
        return told[0]

    return asked


COMMANDS = {
    ("measure", "SCAN", "o"): "no voxel within the field of view",
    ("measure", "SCAN", "o", "--structure", "--thickness"): "no voxel within the field of view",
    ("measure", "SCAN", "o", "--truth", "TRUTH"): "no voxel within the field of view",
    ("measure", "SCAN", "w", "--truth", "o"): "holds no class within the field of view",
    ("report", "SCAN", "o", "OUT.html"): "no voxel within the field of view",
    ("report", "SCAN", "w", "OUT.html", "--truth", "o"): "holds no class within the field of view",
    ("compare", "SCAN", "--methods", "otsu"): "nothing is painted on rock inside the field of view",
    ("compare", "SCAN", "--methods", "otsu", "--truth", "TRUTH"): "nothing is painted on rock inside the field of view",
    ("compare", "SCAN", "--methods", "otsu", "--truth", "o", "--strokes", "w"): "says nothing inside the field of view",
    ("spotcheck", "SCAN", "o"): "no voxel within the field of view",
    ("separate", "SCAN", "o", "--class", "1", "--output", "h"): "outside the field of view",
    ("clean", "SCAN", "o", "--step", "islands=5", "--output", "h"): "outside the field of view",
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_region_that_excludes_all_of_a_result_is_said(made, complaint, tmp_path, words):
    given = {"SCAN": made.path, "TRUTH": made.path.parent / "truth.npy", "OUT.html": tmp_path / "out.html"}
    assert COMMANDS[words] in complaint(*(given.get(w, w) for w in words))
    assert not (tmp_path / "out.html").exists()
    assert "h" not in made.results()


NOWHERE = {
    ("measure", "SCAN", "w"): "no voxel within the field of view",
    ("measure", "SCAN", "w", "--structure", "--thickness"): "no voxel within the field of view",
    ("measure", "SCAN", "w", "--truth", "TRUTH"): "holds no class within the field of view",
    ("report", "SCAN", "w", "OUT.html"): "no voxel within the field of view",
    ("compare", "SCAN", "--methods", "otsu"): "nothing is painted",
    ("spotcheck", "SCAN", "w"): "no voxel within the field of view",
    ("separate", "SCAN", "w", "--class", "1", "--output", "h"): "within the field of view; there is nothing to separate",
}


@pytest.mark.parametrize("words", NOWHERE, ids=" ".join)
def test_an_empty_field_of_view_is_said(made, complaint, tmp_path, monkeypatch, words):
    """None can be set; a sidecar written by other means may hold one."""
    monkeypatch.setattr(Scan, "field_of_view", Cylinder(-90, -90, 3))
    given = {"SCAN": made.path, "TRUTH": made.path.parent / "truth.npy", "OUT.html": tmp_path / "out.html"}
    assert NOWHERE[words] in complaint(*(given.get(w, w) for w in words))
    assert "h" not in made.results()


@pytest.mark.parametrize("view", [Cylinder(-90, -90, 3), BoxView(Box((7, 0, 0), (9, 9, 9)))])
def test_an_empty_field_of_view_cannot_be_set(made, view):
    with pytest.raises(InputError, match="holds no voxel of the scan"):
        made.set(field_of_view=view)
    assert str(made.field_of_view) == HALF


def test_what_is_outside_is_neither_cleaned_nor_separated_nor_checked(tmp_path):
    values = three_phases(SHAPE)
    scan = scan_of(values, tmp_path / "rock.zarr", shard=(16, 64, 64))
    assert run(["segment", str(scan.path), "--method", "otsu", "--set", "classes=3", "--output", "w"]) == 0
    scan.set(field_of_view="cylinder:30,40,25")
    inside = np.broadcast_to(scan.inside(scan.box), SHAPE)
    assert run(["clean", str(scan.path), "w", "--step", "islands=50", "--output", "c"]) == 0
    assert not open_result(scan, "c").array[:][~inside].any()
    assert run(["separate", str(scan.path), "w", "--class", "1", "--output", "g"]) == 0
    assert not open_result(scan, "g").array[:][~inside].any()
    drawn = named_places.begin(scan, "w", 60).drawn
    assert all(inside[place.at] for place in drawn.places)
    labels = open_result(scan, "w").array[:]
    assert drawn.voxels == {id: int((labels[inside] == id).sum()) for id in (1, 2, 3)}
    changed = clean_in_place(scan, "w", ["islands=50"])
    with corrected(scan, "w", readonly=True) as now:
        after = now.read(scan.box)
    assert changed == (after != labels).sum() > 0
    assert (after == labels)[~inside].all()


def test_a_result_is_as_old_as_what_it_was_made_from(made):
    assert older_than_view(made, open_result(made, "w"))
    assert older_than_view(made, open_result(made, "g"))
    assert run(["clean", str(made.path), "w", "--step", "islands=5", "--output", "late"]) == 0
    assert older_than_view(made, open_result(made, "late"))


def test_a_spot_check_is_of_the_field_of_view_it_was_drawn_in(tmp_path, capsys):
    scan = scan_of(three_phases(SHAPE), tmp_path / "rock.zarr", shard=(16, 64, 64))
    assert run(["segment", str(scan.path), "--method", "otsu", "--set", "classes=3", "--output", "w"]) == 0
    check = named_places.begin(scan, "w", 60)
    for number, place in enumerate(check.drawn.places):
        check = check.named(number, place.mapped)
    named_places.save(scan, check)
    assert named_places.labelling(scan, "w") is not None
    scan.set(field_of_view=HALF)
    assert named_places.labelling(scan, "w") is None
    with pytest.raises(TakenError, match="another field of view"):
        named_places.begin(scan, "w", 60)
    table = tmp_path / "places.csv"
    capsys.readouterr()
    assert run(["spotcheck", str(scan.path), "w", "--table", str(table), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["named"] == 0
    with table.open(newline="") as rows:
        assert all(int(row["x"]) >= 80 for row in csv.DictReader(rows))
    scan.set(field_of_view="none")
    assert named_places.load(scan, "w") is None
