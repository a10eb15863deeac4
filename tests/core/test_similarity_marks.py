"""Marks of two windows on one library: nothing of either is lost, and each takes back its own."""

import json
import subprocess
import sys

import pytest

from lithoscope.errors import InputError, LockedError
from lithoscope.similarity import marks as marking
from lithoscope.similarity.marks import Mark, Marks, change
from lithoscope.volume.lock import WriterLock

WRITER = """
import sys
from pathlib import Path
from lithoscope.similarity.marks import change
print("ready", flush=True)
sys.stdin.readline()
for i in range(40):
    change(Path(sys.argv[1]), lambda marks: marks.marked([sys.argv[2]], [f"{sys.argv[2]}-{i}"], alike=i % 2 == 0))
"""


def test_two_programs_that_mark_at_once_lose_nothing(tmp_path):
    path = tmp_path / "marks.json"
    both = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        one.communicate(timeout=120)
        assert one.returncode == 0
    found = {(m.a, m.b): m.alike for m in Marks.read(path).pairs}
    assert found == {(name, f"{name}-{i}"): i % 2 == 0 for name in "ab" for i in range(40)}


def test_each_takes_back_its_own(tmp_path):
    path = tmp_path / "marks.json"
    mine = change(path, lambda marks: marks.marked(["a"], ["b"], alike=True))
    change(path, lambda marks: marks.marked(["c"], ["d"], alike=False))
    change(path, lambda marks: marks.taken_back(mine))
    assert Marks.read(path).pairs == (Mark("c", "d", False),)


def test_what_a_mark_replaced_comes_back_unless_it_was_marked_anew(tmp_path):
    path = tmp_path / "marks.json"
    change(path, lambda marks: marks.marked(["a"], ["b"], alike=True))
    step = change(path, lambda marks: marks.marked(["b"], ["a"], alike=False))
    change(path, lambda marks: marks.taken_back(step))
    assert Marks.read(path).pairs == (Mark("a", "b", True),)
    step = change(path, lambda marks: marks.marked(["a"], ["b"], alike=False))
    change(path, lambda marks: marks.marked(["b"], ["a"], alike=True))
    change(path, lambda marks: marks.taken_back(step))
    assert Marks.read(path).pairs == (Mark("b", "a", True),), "another window had the last word"


def test_nothing_is_written_where_nothing_is_said_or_somebody_holds_it(tmp_path, monkeypatch):
    path = tmp_path / "marks.json"
    with pytest.raises(InputError, match="choose two places"):
        change(path, lambda marks: marks.marked([], ["b"], alike=True))
    assert not path.exists()
    change(path, lambda marks: marks.marked(["a"], ["b"], alike=True))
    before = path.read_bytes()
    monkeypatch.setattr(marking, "PATIENCE_S", 0.0)
    with WriterLock(tmp_path / ".marks.json.writing", "the marks"), pytest.raises(LockedError, match="the marks of this library"):
        change(path, lambda marks: marks.marked(["c"], ["d"], alike=True))
    assert path.read_bytes() == before
    assert json.loads(before) == {"pairs": [["a", "b", True]]}
