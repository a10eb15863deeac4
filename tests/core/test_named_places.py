"""A spot check is kept with the scan, gone on with, filled in as a table, and ends with the result that it was of."""

import csv

import numpy as np
import pytest

from lithoscope.cli.commands import command
from lithoscope.errors import InputError, MissingError, TakenError, UnreadableError
from lithoscope.labels.companions import spot_check_place
from lithoscope.measure import named_places
from lithoscope.measure.spotcheck import Draw, Place, shares
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan


@pytest.fixture
def scan(tmp_path) -> Scan:
    grey = (50 + 100 * (np.arange(32) // 16) + np.random.default_rng(0).normal(0, 20, (20, 24, 32))).clip(0, 255).astype(np.uint8)
    np.save(tmp_path / "two.npy", grey)
    made = import_scan(tmp_path / "two.npy", tmp_path / "a scan.zarr", field_of_view=None)
    command("segment")([str(made.path)], method="otsu", settings={"classes": 2}, output="otsu")
    return made


def truth_at(place) -> int:
    return 1 if place[2] < 16 else 2


def test_answers_are_kept_one_by_one_and_gone_on_with(scan):
    check = named_places.begin(scan, "otsu", 60)
    assert check.next == 0
    with pytest.raises(InputError, match="at least two places of class"):
        check.checked()
    for number, place in enumerate(check.drawn.places[:40]):
        check = check.named(number, truth_at(place.at))
        named_places.save(scan, check)
    again = named_places.load(scan, "otsu")
    assert again == check
    assert again.next == 40
    assert again.named(3, None).next == 3
    with pytest.raises(TakenError, match="40 answers"):
        named_places.begin(scan, "otsu")
    assert named_places.begin(scan, "otsu", overwrite=True).seen == {}


def test_another_number_or_seed_than_it_was_begun_with_is_refused(scan, tmp_path):
    command("spotcheck")(str(scan.path), "otsu", count=60, seed=3)
    for given in ({"count": 100}, {"seed": 0}, {"count": 60, "seed": 4}, {"count": 80, "answers": str(tmp_path / "t.csv")}):
        with pytest.raises(InputError, match="a spot check of 60 places with seed 3 already; leave --count and --seed out"):
            command("spotcheck")(str(scan.path), "otsu", **given)
    assert command("spotcheck")(str(scan.path), "otsu")["places"] == 60
    assert command("spotcheck")(str(scan.path), "otsu", count=60, seed=3)["places"] == 60
    assert command("spotcheck")(str(scan.path), "otsu", count=100, overwrite=True)["places"] == 100


def test_a_result_that_was_made_anew_has_no_spot_check_left(scan):
    named_places.begin(scan, "otsu", 60)
    command("segment")([str(scan.path)], method="otsu", settings={"classes": 2}, output="otsu", overwrite=True)
    assert named_places.load(scan, "otsu") is None


def test_the_table_is_filled_in_and_taken_up_and_measure_tells_both_intervals(scan, tmp_path):
    table = tmp_path / "places to name.csv"
    drawn = command("spotcheck")(str(scan.path), "otsu", count=80, table=str(table))
    assert (drawn["places"], drawn["named"]) == (80, 0)
    assert "at least two places" in drawn["missing"]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["seen"] == "" and set(row) == {"z", "y", "x", "seen"} for row in rows)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["z", "y", "x", "seen"])
        writer.writeheader()
        writer.writerows(row | {"seen": truth_at([int(row[a]) for a in "zyx"])} for row in rows)
    found = command("spotcheck")(str(scan.path), "otsu", answers=str(table))
    assert found["named"] == 80
    assert found["accuracy"]["value"] > 0.9
    for id in ("1", "2"):
        assert found["fractions"][id]["low"] <= 0.5 <= found["fractions"][id]["high"]
    measured = command("measure")(str(scan.path), "otsu")
    assert measured["labelling"]["fractions"] == found["fractions"]
    with pytest.raises(TakenError, match="exists already"):
        command("spotcheck")(str(scan.path), "otsu", table=str(table))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("0,0,0,1", "was not drawn"),
        ("a,0,0,1", "whole numbers"),
        ("{z},{y},{x},pore", "the number of a class"),
        ("{z},{y},{x},0", "the number"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_its_line(scan, tmp_path, row, says):
    check = named_places.begin(scan, "otsu", 60)
    z, y, x = next(p.at for p in check.drawn.places if any(p.at))
    (tmp_path / "t.csv").write_text("z,y,x,seen\n" + row.format(z=z, y=y, x=x) + "\n")
    if row.startswith("0,0,0") and any(p.at == (0, 0, 0) for p in check.drawn.places):
        pytest.skip("the first voxel was drawn")
    with pytest.raises(InputError, match=f"line 2 of t.csv.*{says}"):
        command("spotcheck")(str(scan.path), "otsu", answers=str(tmp_path / "t.csv"))


def test_no_table_no_check_and_a_damaged_file_say_what_to_do(scan, tmp_path):
    with pytest.raises(InputError, match="draw its places first"):
        command("spotcheck")(str(scan.path), "otsu", answers=str(tmp_path / "t.csv"))
    named_places.begin(scan, "otsu", 60)
    with pytest.raises(MissingError, match="give the table"):
        command("spotcheck")(str(scan.path), "otsu", answers=str(tmp_path / "t.csv"))
    spot_check_place(scan, "otsu").write_text("{")
    with pytest.raises(UnreadableError, match="begin the spot check anew"):
        command("spotcheck")(str(scan.path), "otsu")


def test_an_answer_that_is_no_known_class_is_taken_up_and_said(scan, tmp_path):
    check = named_places.begin(scan, "otsu", 60)
    z, y, x = check.drawn.places[0].at
    (tmp_path / "t.csv").write_text(f"z,y,x,seen\n{z},{y},{x},22\n")
    found = command("spotcheck")(str(scan.path), "otsu", answers=str(tmp_path / "t.csv"))
    assert found["named"] == 1
    assert "1 answers name class 22, which otsu does not know" in found["notes"][0]
    (tmp_path / "t.csv").write_text(f"z,y,x,seen\n{z},{y},{x},²\n", encoding="utf-8")
    with pytest.raises(InputError, match="the number of a class"):
        command("spotcheck")(str(scan.path), "otsu", answers=str(tmp_path / "t.csv"))


def test_the_number_that_was_asked_for_is_not_another_where_rounding_drew_fewer():
    voxels = {1: 333, 2: 333, 3: 334}
    drawn = [Place((0, 0, n), 1) for n in range(sum(shares([*voxels.values()], 100)))]
    assert len(drawn) == 99
    check = named_places.SpotCheck("a", "", Draw(tuple(drawn), voxels), 0, "")
    named_places.refuse_another(check, 100, 0)
    named_places.refuse_another(check, 99, 0)
    with pytest.raises(InputError, match="99 places"):
        named_places.refuse_another(check, 120, 0)
