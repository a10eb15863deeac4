"""Where a library may lie, and who may read it while another writes."""

import json
import subprocess
import sys

import pytest
from library_data import SMALL, small_scan, textured

from lithoscope.cli import run
from lithoscope.errors import InputError
from lithoscope.retrieval.adding import add, embed, remove
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory

pytest.importorskip("lancedb")

READ = """
import json, sys, time
from lithoscope.errors import LithoscopeError
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory
counts, seen = [], 0
while True:
    try:
        memory = Memory.load(Library.open(sys.argv[1]))
    except LithoscopeError:
        time.sleep(0.02)  # not made yet
        continue
    places = {(int(s), *b.ravel().tolist()) for s, b in zip(memory.scan, memory.boxes)}
    assert len(places) == len(memory), "a row was seen twice"
    assert all(v.any(1).all() for v in memory.vectors.values()), "half a row was seen"
    counts.append(len(memory))
    if all(held.done for held in memory.library.scans()) and memory.library.scans() and counts[-1] == memory.library.patches.count_rows():
        break
print(json.dumps(counts))
"""


@pytest.mark.parametrize("scheme", ["file-object-store://", "file://"])
def test_a_library_in_an_object_store_is_filled_searched_and_emptied(tmp_path, scheme, capsys):
    for name in ("stripes", "grains"):
        small_scan(tmp_path, name)
    place = f"{scheme}{tmp_path / 'lib'}"
    scans = [tmp_path / f"{name}.zarr" for name in ("stripes", "grains")]
    rows = add(place, scans, **SMALL)["rows"]
    assert add(place, scans)["scans"][0]["added"] == 0
    assert len(Memory.load(Library.open(place))) == rows
    words = ["search", place, "--scan", str(scans[0]), "--box", "0:16,8:24,8:24", "-k", "3", "--json"]
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["name"] == "stripes"
    assert embed(place, magnify=1.5)["rows"] == rows
    assert remove(place, ["stripes"])["rows"] < rows


@pytest.mark.parametrize("place", ["memory://lab", "ftp://lab/lib", "db://lab"])
def test_what_is_no_place_for_a_library_is_refused_with_those_that_are(tmp_path, place):
    small_scan(tmp_path, "stripes")
    with pytest.raises(InputError, match="s3://"):
        add(place, [tmp_path / "stripes.zarr"], **SMALL)


def test_several_processes_read_whole_rows_while_one_writes(tmp_path):
    """Each sees ever more rows, none twice and none half, and in the end all."""
    small_scan(tmp_path, "grains", textured("grains", (80, 32, 32)))
    library = str(tmp_path / "lib")
    readers = [subprocess.Popen([sys.executable, "-c", READ, library], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        rows = add(library, [tmp_path / "grains.zarr"], **{**SMALL, "patch": 8, "stride": 4})["rows"]
        for reader in readers:
            counts = json.loads(reader.communicate(timeout=120)[0])
            assert counts == sorted(counts)
            assert counts[-1] == rows
    finally:
        for reader in readers:
            reader.kill()
