"""What lies beside a result goes where the result goes."""

import numpy as np
import pytest
from labels_data import make_scan
from test_clean_results import made_result

from lithoscope.cli.commands import command
from lithoscope.labels.companions import companions
from lithoscope.labels.results import delete, rename
from lithoscope.measure import named_places


@pytest.fixture
def scan(tmp_path):
    made = make_scan(tmp_path / "rock.zarr", (24, 24, 24), shard=(16, 16, 16))
    values = np.full(made.shape, 2, np.uint8)
    values[4:12, 4:12, 4:20] = 1
    made_result(made, values)
    return made


def test_a_renamed_result_keeps_its_spot_check_and_what_was_named_in_it(scan):
    check = named_places.begin(scan, "a", 60)
    for number in range(50):
        check = check.named(number, check.drawn.places[number].mapped)
    named_places.save(scan, check)
    said = command("measure")(str(scan.path), "a")["labelling"]
    rename(scan, "a", "the good one")
    again = named_places.load(scan, "the good one")
    assert again.seen == check.seen
    assert again.result == "the good one"
    assert named_places.load(scan, "the good one").checked() == check.checked()
    assert command("measure")(str(scan.path), "the good one")["labelling"] == said
    named_places.save(scan, again.named(50, 1))
    assert len(named_places.load(scan, "the good one").seen) == 51
    assert not any(place.exists() for place in companions(scan, "a"))


def test_tables_of_grains_follow_and_end_with_their_result(scan):
    command("separate")(str(scan.path), "a", output="grains")
    assert [place.exists() for place in companions(scan, "grains")] == [False, True, True, True]
    rename(scan, "grains", "Grains")
    rename(scan, "Grains", "sand")
    assert [place.exists() for place in companions(scan, "sand")] == [False, True, True, True]
    delete(scan, "sand")
    assert not any(place.exists() for place in companions(scan, "sand"))


def test_a_result_takes_nothing_over_from_an_older_one_of_its_new_name(scan):
    named_places.begin(scan, "a", 60)
    companions(scan, "b")[0].write_text("{", encoding="utf-8")
    companions(scan, "a")[0].unlink()
    rename(scan, "a", "b")
    assert named_places.load(scan, "b") is None
