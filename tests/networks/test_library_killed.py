"""Indexing that is killed or cancelled goes on where it was: no row lost, none doubled; others read meanwhile."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from library_data import SMALL, cancelled_after, small_scan, textured

from lithoscope.job import Cancelled
from lithoscope.retrieval import adding
from lithoscope.retrieval.adding import add, embed, remove
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.store import selected

pytest.importorskip("lancedb")

FINE = {**SMALL, "patch": 8, "stride": 4}
ADD = """
import sys
from pathlib import Path
from lithoscope.retrieval.adding import add
add(sys.argv[1], [Path(sys.argv[2])], backbone="random-tiny", patch=8, stride=4, magnify=1.0)
"""


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A scan of several slabs of patches."""
    folder = tmp_path_factory.mktemp("deep")
    small_scan(folder, "grains", textured("grains", (120, 32, 32)))
    return folder / "grains.zarr"


@pytest.fixture(scope="module")
def whole(scan, tmp_path_factory):
    """The ids of the scan's patches when nobody interrupts."""
    library = str(tmp_path_factory.mktemp("whole") / "lib")
    add(library, [scan], **FINE)
    return ids(library)


def ids(library):
    return sorted(selected(Library.open(library).patches, None, ["id"])["id"].to_pylist())


def count(library):
    """How many rows a second process sees now; 0 while there is no library."""
    try:
        return Library.open(library).patches.count_rows()
    except (OSError, ValueError):
        return 0


def test_killed_again_and_again_it_ends_with_every_row_once(scan, whole, tmp_path):
    library, seen = str(tmp_path / "lib"), 0
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", ADD, library, str(scan)])
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline and not seen < count(library) < len(whole):
            time.sleep(0.005)
        process.kill()
        process.wait()
        seen = count(library)
    assert 0 < seen < len(whole), "it was not killed midway"
    assert len(Memory.load(Library.open(library))) == seen
    answer = add(library, [scan])
    assert answer["scans"][0]["added"] == len(whole) - seen
    assert ids(library) == whole
    assert all(held.done for held in Library.open(library).scans())


def test_killed_before_anything_was_written_it_can_still_be_made(scan, whole, tmp_path):
    for leftover in ("about.lance", "scans.lance"):
        (tmp_path / "lib" / leftover / "_versions").mkdir(parents=True)
    add(str(tmp_path / "lib"), [scan], **FINE)
    assert ids(tmp_path / "lib") == whole


def test_cancelled_it_stops_at_the_next_plane_and_goes_on(scan, whole, tmp_path):
    library = str(tmp_path / "lib")
    with pytest.raises(Cancelled):
        add(library, [scan], report=cancelled_after(90), **FINE)
    some = count(library)
    assert 0 < some < len(whole)
    assert not Path(library, "lock").exists()
    add(library, [scan])
    assert ids(library) == whole


def test_vectors_made_anew_are_cancelled_without_loss(scan, whole, tmp_path):
    library = str(tmp_path / "lib")
    add(library, [scan], **FINE)
    before = Library.open(library).recipe.key
    with pytest.raises(Cancelled):
        embed(library, magnify=1.5, report=cancelled_after(90))
    assert Library.open(library).recipe.key == before
    assert ids(library) == whole
    embed(library, magnify=1.5)
    assert Library.open(library).recipe.magnify == 1.5
    assert ids(library) == whole


def test_a_scan_that_changed_since_vectors_were_begun_anew_is_seen_as_it_is_now(tmp_path):
    """What a cancelled run left of it, and of a scan that is gone, is not taken for what is there now."""
    library = str(tmp_path / "lib")
    for name in ("grains", "stripes"):
        small_scan(tmp_path, name)
    add(library, [tmp_path / "grains.zarr", tmp_path / "stripes.zarr"], **SMALL)

    def report(progress):
        if "stripes" in progress.message and progress.done % 1000 > 900:
            raise Cancelled

    with pytest.raises(Cancelled):
        embed(library, magnify=1.5, report=report)
    remove(library, ["stripes"])
    shutil.rmtree(tmp_path / "grains.zarr")
    shutil.rmtree(tmp_path / "grains.lithoscope", ignore_errors=True)
    small_scan(tmp_path, "grains", textured("stripes", seed=3))
    add(library, [tmp_path / "grains.zarr"])
    embed(library, magnify=1.5)
    fresh = str(tmp_path / "fresh")
    add(fresh, [tmp_path / "grains.zarr"], **{**SMALL, "magnify": 1.5})
    assert ids(library) == ids(fresh)
    rows = [selected(Library.open(place).patches, None, ["id", "z_mean"]).sort_by("id")["z_mean"].to_pylist() for place in (library, fresh)]
    assert rows[0] == rows[1]


def test_killed_before_it_learnt_what_is_alike_it_learns_it_when_run_again(tmp_path, monkeypatch):
    library = str(tmp_path / "lib")
    small_scan(tmp_path, "grains")
    add(library, [tmp_path / "grains.zarr"], **SMALL)

    def killed(*_):
        raise Cancelled

    monkeypatch.setattr(adding, "refresh", killed)
    with pytest.raises(Cancelled):
        embed(library, magnify=1.5)
    monkeypatch.undo()
    embed(library, magnify=1.5)
    assert Library.open(library).preparation.means
