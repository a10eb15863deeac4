"""What a killed re-embedding leaves on the disk is cleared up by whoever comes next, but never a table that somebody uses now."""

import json
import signal
import subprocess
import sys

import pytest
from library_data import SMALL, small_scan

from lithoscope.cli import run
from lithoscope.job import Cancelled
from lithoscope.retrieval.adding import add, embed, remove
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.store import selected

pytest.importorskip("lancedb")

EMBED = """
import sys
from lithoscope.retrieval import adding, library, store


def reached(*_):
    print("there", flush=True)
    sys.stdin.readline()


setattr({"adding": adding, "Library": library.Library, "Tables": store.Tables}[sys.argv[2]], sys.argv[3], reached)
adding.embed(sys.argv[1], magnify=1.5)
"""
READ = """
import sys
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory

memory = Memory.load(Library.open(sys.argv[1]))
print("there", flush=True)
sys.stdin.readline()
details = memory.details([0, len(memory) - 1], ["thumbnail"])
assert all(one["thumbnail"] for one in details), details
assert memory.where("z0 >= 0").size == len(memory)
"""


@pytest.fixture
def library(tmp_path):
    pytest.importorskip("torch")
    path = small_scan(tmp_path, "grains").path
    add(str(tmp_path / "lib"), [path], **SMALL)
    return tmp_path / "lib"


def tables(library):
    """The tables of patches that lie on the disk, whole or not, hidden or not."""
    return sorted(path.name for path in library.iterdir() if "patches_" in path.name)


def rows(library):
    return sorted(selected(Library.open(library).patches, None, ["id"])["id"].to_pylist())


class Started:
    """A process of its own that stops where it says so, and goes on or is killed."""

    def __init__(self, code, *arguments):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "there\n"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(60) == -signal.SIGKILL
        self.process.communicate()

    def go_on(self):
        self.process.communicate("\n", timeout=60)
        return self.process.returncode


def killed_before_the_drop(library):
    """Embed anew in a process that is killed when all is made, and the old table is about to be dropped."""
    Started(EMBED, library, "Tables", "drop").kill()


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9")


def test_killed_just_before_the_old_table_is_dropped_the_next_open_clears_it_up(library):
    old, before = tables(library), rows(library)
    killed_before_the_drop(library)
    assert len(tables(library)) == 2
    found = Library.open(library)
    assert tables(library) == [f"{found.table_name}.lance"] != old
    assert (found.recipe.magnify, rows(library)) == (1.5, before)
    assert len(Memory.load(found)) == len(before)


def test_what_another_process_reads_stays_until_it_has_ended(library):
    reader = Started(READ, library)
    Started(EMBED, library, "adding", "refresh").kill()
    for look in (Library.open, lambda place: add(str(place), [place.parent / "grains.zarr"])):
        look(library)
        assert len(tables(library)) == 2
    assert reader.go_on() == 0
    Library.open(library)
    assert len(tables(library)) == 1


def test_an_embedding_that_ends_leaves_the_old_table_to_who_reads_it(library):
    memory = Memory.load(Library.open(library))
    embed(str(library), magnify=1.5)
    assert len(tables(library)) == 2
    assert all(one["thumbnail"] for one in memory.details([0], ["thumbnail"]))
    del memory
    add(str(library), [library.parent / "grains.zarr"])
    assert len(tables(library)) == 1


def test_a_table_that_was_kept_for_a_reader_brings_no_removed_scan_back(library):
    other = small_scan(library.parent, "stripes").path
    add(str(library), [other])
    memory = Memory.load(Library.open(library))
    embed(str(library), magnify=1.5)
    remove(str(library), ["stripes"])
    embed(str(library), magnify=1.0)
    scans = selected(Library.open(library).patches, None, ["scan"])["scan"].to_pylist()
    assert len(set(scans)) == 1
    assert len(memory) > len(scans)


def test_a_reader_that_is_killed_reads_no_longer(library):
    reader = Started(READ, library)
    embed(str(library), magnify=1.5)
    assert len(tables(library)) == 2
    reader.kill()
    Library.open(library)
    assert len(tables(library)) == 1


def test_what_another_process_makes_now_stays(library):
    writer = Started(EMBED, library, "Library", "turn")
    assert len(tables(library)) == 2
    before = rows(library)
    assert len(tables(library)) == 2
    assert writer.go_on() == 0
    assert rows(library) == before


def test_what_is_half_made_stays_until_another_recipe_is_made(library):
    def report(progress):
        if progress.message.startswith("looking"):
            raise Cancelled

    with pytest.raises(Cancelled):
        embed(str(library), magnify=1.5, report=report)
    rows(library)
    add(str(library), [library.parent / "grains.zarr"])
    assert len(tables(library)) == 2
    embed(str(library), magnify=2.0)
    assert tables(library) == [f"{Library.open(library).table_name}.lance"]


def test_a_table_that_was_half_removed_goes_too(library):
    (library / ".patches_0.dropped" / "data").mkdir(parents=True)
    (library / "patches_1.lance" / "data").mkdir(parents=True)
    Library.open(library)
    assert len(tables(library)) == 1


def test_who_writes_by_a_recipe_that_is_no_longer_the_librarys_is_refused(library):
    late = Library.open(library)
    embed(str(library), magnify=1.5)
    with pytest.raises(ValueError, match="embedded anew by another program"), late.writing():
        pass
    assert not (library / "lock").exists()


def test_a_library_that_may_only_be_read_is_read(library, tmp_path):
    killed_before_the_drop(library)
    for path in (library, *library.iterdir()):
        path.chmod(0o555)
    try:
        assert len(Memory.load(Library.open(library))) > 0
    finally:
        for path in (library, *library.iterdir()):
            path.chmod(0o755)


def test_what_is_half_made_is_listed_and_can_be_taken_out(library, capsys):
    def report(progress):
        if progress.message.startswith("looking"):
            raise Cancelled

    assert run(["library", "remove", str(library), "--unfinished"]) == 2
    assert "no embedding of lib is unfinished" in capsys.readouterr().err
    with pytest.raises(Cancelled):
        embed(str(library), magnify=1.5, report=report)
    before = rows(library)
    assert run(["library", "list", str(library)]) == 0
    told = capsys.readouterr().out
    assert f"lithoscope library embed {library} --backbone random-tiny" in told
    assert f"lithoscope library remove {library} --unfinished" in told
    found = Library.open(library)
    since = found.unfinished.since
    found.say(unfinished=None)  # as a former version left it
    assert run(["library", "list", str(library)]) == 0
    told = capsys.readouterr().out
    assert "an embedding, " in told
    assert "--backbone THE_ONE_IT_WAS_BEGUN_WITH" in told
    with pytest.raises(Cancelled):
        embed(str(library), magnify=1.5, report=report)
    assert Library.open(library).unfinished.recipe is not None
    assert Library.open(library).unfinished.since >= since
    assert run(["library", "remove", str(library), "--unfinished"]) == 0
    assert "the unfinished embedding taken out" in capsys.readouterr().out
    assert tables(library) == [f"{Library.open(library).table_name}.lance"]
    assert rows(library) == before
    assert run(["library", "list", str(library), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] is None
