"""Strokes on a disk that misbehaves: read-only, full, deleted, damaged, of another scan or of a newer version."""

import errno
import shutil
from unittest import mock

import numpy as np
import pytest

from lithoscope.errors import InputError, LockedError, NewerSchemaError, StorageError, UnreadableError
from lithoscope.labels.store import LabelStore
from lithoscope.volume.box import Box

SHAPE = (5, 70, 130)


def test_a_second_window_reads_and_is_told_who_paints(tmp_path):
    first = LabelStore(tmp_path, SHAPE, what="the strokes of berea")
    first[0, 0, 0] = 2
    first.flush()
    second = LabelStore(tmp_path, SHAPE, what="the strokes of berea")
    assert second.readonly
    assert second.holder is not None
    assert "the strokes of berea" in second.holder
    assert second[0, 0, 0] == 2
    for write in (lambda: second.write(Box((0, 0, 0), (1, 1, 1)), None, 1), second.undo, lambda: second.__setitem__(0, 1)):
        with pytest.raises(LockedError, match="this program"):
            write()
    second.close()
    first.close()
    with pytest.raises(LockedError, match="closed"):
        first[0, 0, 0] = 1
    with LabelStore(tmp_path, SHAPE) as third:
        assert not third.readonly


def test_a_reader_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "none"
    with LabelStore(folder, SHAPE, readonly=True) as reader:
        assert not reader[:].any()
        with pytest.raises(LockedError, match="reading only"):
            reader[0, 0, 0] = 1
    assert not folder.exists()


@pytest.mark.parametrize("where", ["journal", "chunks"])
def test_a_full_disk_is_told_and_loses_nothing(tmp_path, where):
    full = OSError(errno.ENOSPC, "No space left on device")
    target = "lithoscope.labels.journal.os.fsync" if where == "journal" else "lithoscope.labels.chunks.write_whole"
    painted = LabelStore(tmp_path, SHAPE)
    painted[0, :5] = 1
    painted.flush()
    length = (tmp_path / "journal").stat().st_size
    with mock.patch(target, side_effect=full):
        painted[1, :5] = 2
        painted.undo()
        painted[2, :5] = 3
        with pytest.raises(StorageError, match="No space left"):
            painted.flush()
        assert "free space, then go on" in painted.problem
        with pytest.raises(StorageError):
            painted.close()
        if where == "journal":
            assert (tmp_path / "journal").stat().st_size == length
        painted[3, :5] = 4
        assert (painted[2, :5] == 3).all()
    expected = painted[:]
    painted.flush()
    assert painted.problem is None
    painted.close()
    with LabelStore(tmp_path, SHAPE) as again:
        np.testing.assert_array_equal(again[:], expected)
        assert [again.undo() is not None for _ in range(4)] == [True, True, True, False]


def test_a_folder_that_is_deleted_meanwhile_is_told(tmp_path):
    painted = LabelStore(tmp_path / "strokes", SHAPE)
    painted[0, 0, 0] = 1
    painted.flush()
    shutil.rmtree(tmp_path / "strokes")
    painted[0, 0, 1] = 1
    with pytest.raises(StorageError, match="gone"):
        painted.flush()
    assert not (tmp_path / "strokes").exists()
    assert painted[0, 0, 1] == 1
    (tmp_path / "strokes").mkdir()
    with mock.patch.object(painted, "_write_all"):
        painted.close()


def test_a_damaged_chunk_is_named(tmp_path):
    with LabelStore(tmp_path, SHAPE) as painted:
        painted[0, 0, 0] = 1
    (tmp_path / "c/0/0/0").write_bytes(b"not a chunk")
    with LabelStore(tmp_path, SHAPE, readonly=True) as painted, pytest.raises(UnreadableError, match="damaged"):
        painted[0]


def test_labels_of_another_scan_are_refused(tmp_path):
    LabelStore(tmp_path, SHAPE).close()
    with pytest.raises(InputError, match="another scan"):
        LabelStore(tmp_path, (5, 70, 131))
    LabelStore(tmp_path, SHAPE).close()  # the refused one holds no lock


def test_labels_of_a_newer_version_are_refused(tmp_path):
    with LabelStore(tmp_path, SHAPE) as painted:
        painted[0, 0, 0] = 1
    data = bytearray((tmp_path / "journal").read_bytes())
    data[8] = 9
    (tmp_path / "journal").write_bytes(data)
    with pytest.raises(NewerSchemaError, match="update"):
        LabelStore(tmp_path, SHAPE)


def test_where_nothing_can_be_written_labels_are_read_only(tmp_path):
    (tmp_path / "file").touch()
    with LabelStore(tmp_path / "file" / "strokes", SHAPE, what="the strokes") as painted:
        assert painted.readonly
        assert "the strokes can only be read" in painted.holder
        assert not painted[0].any()
