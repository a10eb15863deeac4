"""A folder that a group shares: who comes second can do what who came first could, or is told in one line why not."""

import os
import shutil
import stat
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from lithoscope.errors import InputError, LockedError, StorageError, UnreadableError
from lithoscope.retrieval.in_use import FOLDER, InUse, alone
from lithoscope.similarity.marks import Marks, change
from lithoscope.volume.lock import WriterLock

pytestmark = pytest.mark.skipif(os.name == "nt", reason="groups are of POSIX")

GROUP, FIRST, SECOND = 60_000, 60_001, 60_002
superuser = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser can act as two people")


@contextmanager
def acting_as(person, mask=0o022):
    """As this person of the group where that can be; else as oneself."""
    if os.geteuid() != 0:
        yield
        return
    group, before = os.getegid(), os.umask(mask)
    os.setegid(GROUP)
    os.seteuid(person)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.umask(before)


@pytest.fixture
def folder():
    """A folder of the first person that his group may write to."""
    made = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(made, FIRST, GROUP)
    made.chmod(0o775)
    yield made
    for part in (made, *made.rglob("*")):
        if part.is_dir():
            part.chmod(0o755)
    shutil.rmtree(made)


def mark(folder, name):
    change(folder / "marks.json", lambda marks: marks.marked([name], ["z"], alike=True))


def group_bits(path):
    return stat.S_IMODE(path.stat().st_mode) & 0o070


@pytest.mark.parametrize("shared", [True, False])
def test_what_marks_and_use_leave_is_the_groups_where_the_library_is(folder, shared):
    folder.chmod(0o775 if shared else 0o755)
    mask = os.umask(0o022)
    try:
        with acting_as(FIRST):
            mark(folder, "a")
            use = InUse(folder, "patches_1")
    finally:
        os.umask(mask)
    may_write = {
        name: bool(group_bits(folder / name) & 0o020) for name in (".marks.json.writing", "marks.json", FOLDER, f"{FOLDER}/patches_1")
    }
    assert set(may_write.values()) == {shared}, may_write
    use.release()


@superuser
def test_two_people_of_a_group_mark_one_after_the_other(folder):
    for person, name in ((FIRST, "a"), (SECOND, "b"), (FIRST, "c")):
        with acting_as(person):
            mark(folder, name)
    assert [m.a for m in Marks.read(folder / "marks.json").pairs] == ["a", "b", "c"]


@superuser
def test_a_table_that_the_first_person_used_can_be_removed_by_the_second(folder):
    with acting_as(FIRST):
        InUse(folder, "patches_1").release()
    with acting_as(SECOND), alone(folder, "patches_1") as free:
        assert free


def test_marks_that_another_person_keeps_to_himself_are_told_in_one_line(folder):
    with acting_as(FIRST):
        mark(folder, "a")
    guard = folder / ".marks.json.writing"
    guard.chmod(0o555)
    with acting_as(SECOND), pytest.raises(InputError, match=r"have its owner share it: chmod g\+rwx") as told:
        mark(folder, "b")
    assert "\n" not in str(told.value)
    assert [m.a for m in Marks.read(folder / "marks.json").pairs] == ["a"]


def test_a_lock_is_given_back_when_it_can_be_removed_again(folder):
    """As on Windows, where a file cannot be removed while another process reads it."""
    with acting_as(FIRST):
        lock = WriterLock(folder, "the marks")
        folder.chmod(0o555)
        timer = threading.Timer(0.1, folder.chmod, (0o775,))
        timer.start()
        lock.release()
        timer.join()
        assert not (folder / "lock").exists()
        WriterLock(folder, "the marks").release()


def test_a_lock_that_cannot_be_removed_is_told(folder, monkeypatch):
    monkeypatch.setattr("lithoscope.volume.lock._RELEASE_SECONDS", 0.05)
    with acting_as(FIRST):
        lock = WriterLock(folder, "the marks")
        folder.chmod(0o555)
        with pytest.raises(StorageError, match="remove it, or nobody else"):
            lock.release()


@superuser
@pytest.mark.parametrize("links", [True, False])
def test_a_lock_of_a_person_who_shares_nothing_can_be_read_by_the_second(folder, monkeypatch, links):
    if not links:
        monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError("no hard links")))
    with acting_as(FIRST, 0o077):
        lock = WriterLock(folder, "the marks")
    with acting_as(SECOND), pytest.raises(LockedError, match="open for writing in this program"):
        WriterLock(folder, "the marks")
    lock.path.chmod(0o600)
    with acting_as(SECOND), pytest.raises(LockedError, match="another person, who may be writing; if nobody is, remove it"):
        WriterLock(folder, "the marks")
    with acting_as(FIRST):
        lock.release()


@superuser
def test_two_people_who_share_nothing_by_themselves_mark_in_turn(folder):
    for person, name in ((FIRST, "a"), (SECOND, "b"), (FIRST, "c")):
        with acting_as(person, 0o077):
            mark(folder, name)
    with acting_as(SECOND):
        assert [m.a for m in Marks.read(folder / "marks.json").pairs] == ["a", "b", "c"]


@superuser
def test_marks_that_cannot_be_read_are_not_called_damaged(folder):
    with acting_as(FIRST):
        mark(folder, "a")
    (folder / "marks.json").chmod(0o600)
    with acting_as(SECOND), pytest.raises(UnreadableError, match=r"cannot be read; have its owner share it: chmod g\+r") as told:
        mark(folder, "b")
    assert "delete" not in str(told.value)
