"""Marks of two windows on one library: nothing of either is lost, and each takes back its own."""

import json
import subprocess
import sys
import threading

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


def test_who_no_longer_wants_a_change_does_not_wait_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(marking, "PATIENCE_S", float("inf"))
    asked = iter([True, False])
    (tmp_path / ".marks.json.writing").mkdir()
    with WriterLock(tmp_path / ".marks.json.writing", "the marks"), pytest.raises(LockedError):
        change(tmp_path / "marks.json", lambda marks: marks.marked(["c"], ["d"], alike=True), wanted=lambda: next(asked))


def test_a_lock_that_windows_is_removing_is_waited_for(tmp_path, monkeypatch):
    tries = []

    def taken(*said):
        tries.append(said)
        if len(tries) < 3:
            raise PermissionError(13, "delete pending")
        return WriterLock(*said)

    monkeypatch.setattr(marking, "_WINDOWS", True)
    monkeypatch.setattr(marking, "WriterLock", taken)
    change(tmp_path / "marks.json", lambda marks: marks.marked(["c"], ["d"], alike=True))
    assert len(tries) == 3


def test_threads_of_one_program_write_one_at_a_time(tmp_path):
    inside, together, troubles = [], [], []

    def work():
        done = 0
        while done < 60:
            try:
                with WriterLock(tmp_path, "the marks") as lock:
                    inside.append(1)
                    together.append(len(inside) > 1 or not lock.path.exists())
                    inside.pop()
                done += 1
            except LockedError:
                continue
            except Exception as error:
                troubles.append(error)
                return

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    finally:
        sys.setswitchinterval(before)
    assert not troubles
    assert len(together) == 480
    assert not any(together)
