"""A cleaning that is killed in the middle: nothing is lost, what it had done is undone as one, and nothing is left lying about."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from labels_data import make_scan
from test_clean_results import made_result

from lithoscope.cli.commands import command
from lithoscope.labels import cleaned
from lithoscope.labels.clean import clean, clean_in_place
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import open_result, results

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 on Windows")

CLEANER = """
import sys, time
from pathlib import Path
from lithoscope.labels.clean import clean, clean_in_place
from lithoscope.volume.scan import Scan

def report(progress):
    print(progress.message, progress.done, flush=True)
    if len(sys.argv) > 3 and progress.message.endswith(sys.argv[3]) and progress.done == int(sys.argv[4]):
        print("half", flush=True)
        time.sleep(600)

scan = Scan.open(Path(sys.argv[1]))
if sys.argv[2] == "correct":
    clean_in_place(scan, "a", ["islands=40", "majority=1"], report=report)
else:
    clean(scan, "a", ["islands=40", "majority=1"], output="b", report=report)
"""


@pytest.fixture
def scan(tmp_path):
    made = make_scan(tmp_path / "rock.zarr", (48, 48, 48), shard=(16, 16, 16))
    made_result(made, np.random.default_rng(0).integers(1, 3, made.shape, np.uint8))
    return made


def started(scan, *words):
    return subprocess.Popen([sys.executable, "-c", CLEANER, str(scan.path), *words], stdout=subprocess.PIPE, text=True)


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_corrections_killed_half_way_are_undone_as_one(scan):
    before = open_result(scan, "a").array[...]
    with corrected(scan, "a") as labels:
        labels[3, 3, 3:9] = 1
        painted = labels[...]
    journal = scan.sidecar / "corrections" / "a" / "journal"
    process = started(scan, "correct", "correcting", "14")
    assert any(line == "half\n" for line in process.stdout)
    written, end = 0, time.monotonic() + 60
    while time.monotonic() < end and (not written or journal.stat().st_size != written):  # until it has nothing left to write
        written = journal.stat().st_size
        time.sleep(1)
    killed(process)
    assert list((scan.sidecar / "cache").glob("job-*"))
    with corrected(scan, "a") as labels:
        assert not labels.readonly
        assert not np.array_equal(labels[...], painted)
        labels.undo()
        assert np.array_equal(labels[...], painted)
        labels.undo()
        assert np.array_equal(labels[...], before)
        assert not labels.can_undo
        labels.redo()
    assert clean_in_place(scan, "a", ["islands=40", "majority=1"]) > 0
    assert not list((scan.sidecar / "cache").glob("job-*"))
    with corrected(scan, "a") as labels:
        labels.undo()
        assert np.array_equal(labels[...], painted)


@pytest.mark.timeout(600)
def test_corrections_killed_at_any_moment_are_whole_or_undone(scan):
    before, chance = open_result(scan, "a").array[...], random.Random(3)
    for _ in range(3):
        process, lines = started(scan, "correct"), chance.randrange(20, 230)
        for number, _line in enumerate(process.stdout):
            if number == lines:
                break
        killed(process)
        with corrected(scan, "a") as labels:
            assert not labels.readonly
            while labels.can_undo:
                labels.undo()
            assert np.array_equal(labels[...], before)


def test_a_cleaning_into_a_new_result_that_is_killed_is_simply_not_there(scan):
    process = started(scan, "new", "writing", "10")
    assert any(line == "half\n" for line in process.stdout)
    killed(process)
    assert results(scan) == ["a"]
    clean(scan, "a", ["islands=40", "majority=1"], output="b")
    assert results(scan) == ["a", "b"]
    assert not list((scan.sidecar / "cache").glob("job-*"))
    assert not list(scan.labels_folder.glob("*.partial"))


def test_a_job_that_still_runs_keeps_its_scratch(scan):
    process = started(scan, "new", "writing", "10")
    assert any(line == "half\n" for line in process.stdout)
    clean(scan, "a", ["islands=5"], output="c")
    assert len(list((scan.sidecar / "cache").glob("job-*"))) == 1
    killed(process)


def test_cleanings_among_the_corrections_are_told_by_the_records_of_what_is_made_from_them(scan):
    clean_in_place(scan, "a", ["islands=40"])
    clean_in_place(scan, "a", ["majority=1"])
    source = command("clean")(str(scan.path), "a", steps=["median=1"], output="b")["source"]
    assert [done["steps"] for done in source["cleanings"]] == [["islands=40"], ["majority=1"]]
    assert all(done["changed"] > 0 and done["versions"]["numpy"] for done in source["cleanings"])
    with corrected(scan, "a") as labels:
        labels.undo()
        assert [done["steps"] for done in cleaned.cleanings(scan, "a", labels)] == [["islands=40"]]


def test_a_cleaning_of_many_changes_is_written_once(scan, monkeypatch):
    from lithoscope.labels import journal, store

    monkeypatch.setattr(store, "_COMPACT_ABOVE", 2000)
    rewritten = []
    rewrite = journal.Journal.rewrite
    monkeypatch.setattr(journal.Journal, "rewrite", lambda self, entries: rewritten.append(1) or rewrite(self, entries))
    before = open_result(scan, "a").array[...]
    assert clean_in_place(scan, "a", ["majority=1"]) > 0
    assert not rewritten  # all of it can be undone, so that nothing would be gained
    with corrected(scan, "a") as labels:
        assert not np.array_equal(labels[...], before)
        labels.undo()
        assert np.array_equal(labels[...], before)
