"""Results cleaned into results, through their corrections."""

from importlib import import_module

import numpy as np
import pytest
from labels_data import make_scan

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LockedError, MissingError, TakenError
from lithoscope.job import Cancelled
from lithoscope.labels.clean import clean, clean_in_place
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import create, open_result, results
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box


def made_result(scan, values, name="a", classes=2, box=None):
    record = RunRecord("segment", "otsu", {}, {"box": None if box is None else box.to_json()})
    with create(scan, name, record, ClassTable.numbered(classes)) as writer:
        for part in blocks(writer.box, scan.shard):
            writer.write(part, values[part.slices])
            writer.done(part)
        writer.finish(writer.record)


@pytest.fixture(autouse=True, params=[0, 36 << 20], ids=["by blocks", "at once"])
def at_once(request, monkeypatch):
    """Components of small volumes are found at once, of large ones by blocks: these tests are of both."""
    monkeypatch.setattr(import_module("lithoscope.labels.clean"), "AT_ONCE", request.param)


@pytest.fixture
def scan(tmp_path):
    return make_scan(tmp_path / "rock.zarr", (40, 36, 33), shard=(16, 16, 16))


def speckled(shape):
    values = np.full(shape, 2, np.uint8)
    values[:20] = 1
    values[5, 5, 5] = values[16, 15:17, 16] = 2
    values[30:33, 31:34, 31] = 1
    return values


def test_a_cleaned_result_is_one_of_its_own_with_a_record(scan):
    made_result(scan, speckled(scan.shape))
    record = clean(scan, "a", ["islands=10", "majority=1"], output="b")
    found = open_result(scan, "b")
    expected = np.full(scan.shape, 2, np.uint8)
    expected[:20] = 1
    assert np.array_equal(found.array[...], expected)
    assert record.kind == "clean"
    assert record.parameters == {"steps": ["islands=10", "majority=1"]}
    assert record.learnt == {"changed": [12, 0]}
    assert found.record.source["result_record"]["method"] == "otsu"
    assert found.classes == ClassTable.numbered(2)
    assert np.array_equal(open_result(scan, "a").array[...], speckled(scan.shape))
    assert not list((scan.sidecar / "cache").iterdir())


def test_corrections_are_read_through(scan):
    values = speckled(scan.shape)
    made_result(scan, values)
    with corrected(scan, "a") as labels:
        labels.write(Box((10, 10, 10), (13, 13, 13)), None, 2)
    record = clean(scan, "a", ["islands=10"], output="b")
    assert (open_result(scan, "b").array[10:13, 10:13, 10:13] == 2).all()
    assert record.source["corrected_voxels"] == 27


def test_outside_stays_outside(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr", (20, 36, 36), shard=(16, 16, 16))
    scan.set(field_of_view="cylinder:18,18,12")
    inside = np.broadcast_to(scan.inside(scan.box), scan.shape)
    values = np.where(inside, np.random.default_rng(0).integers(1, 4, scan.shape), 0).astype(np.uint8)
    made_result(scan, values, classes=3)
    clean(scan, "a", ["islands=5", "holes=9", "majority=1", "closing=2,class=1", "opening=1,class=2"], output="b")
    assert np.array_equal(open_result(scan, "b").array[...] > 0, inside)


def test_a_result_of_a_box_is_cleaned_within_it(scan):
    box = Box((3, 4, 5), (30, 29, 28))
    values = speckled(scan.shape)
    made_result(scan, values, box=box)
    clean(scan, "a", ["islands=10"], output="b")
    found = open_result(scan, "b")
    assert found.box == box
    outside = found.array[...].copy()
    assert (outside[box.slices] > 0).all()
    outside[box.slices] = 0
    assert not outside.any()


def test_a_class_that_vanishes_is_said(scan):
    made_result(scan, np.where(speckled(scan.shape) == 1, 2, 1).astype(np.uint8))
    record = clean(scan, "a", ["merge=1+2"], output="b")
    assert record.notes == []
    assert len(open_result(scan, "b").classes) == 1
    values = np.full(scan.shape, 1, np.uint8)
    values[3, 3, 3] = 2
    made_result(scan, values, "c")
    assert clean(scan, "c", ["islands=5"], output="d").notes == ["no voxel of class 2 class 2 is left"]


def test_it_leaves_nothing_behind_when_cancelled(scan):
    made_result(scan, speckled(scan.shape))
    for last in ("finding", "removing", "writing"):

        def report(progress, last=last):
            if last in progress.message:
                raise Cancelled

        with pytest.raises(Cancelled):
            clean(scan, "a", ["islands=10"], output="b", report=report)
    assert results(scan) == ["a"]
    assert not list((scan.sidecar / "cache").iterdir())
    assert not list(scan.labels_folder.glob("*.partial"))


def test_what_cannot_be_cleaned_is_refused_before_the_work(scan):
    made_result(scan, speckled(scan.shape))
    with pytest.raises(InputError, match="another name"):
        clean(scan, "a", ["islands=3"], output="a")
    with pytest.raises(MissingError, match="no result 'x'"):
        clean(scan, "x", ["islands=3"], output="b")
    with pytest.raises(InputError, match="no class 9"):
        clean(scan, "a", ["islands=3", "opening=1,class=9"], output="b")
    with pytest.raises(InputError, match="no step given"):
        clean(scan, "a", [], output="b")
    clean(scan, "a", ["islands=3"], output="b")
    with pytest.raises(TakenError, match="--overwrite"):
        clean(scan, "a", ["islands=3"], output="b")


def test_separate_slices_are_cleaned_one_by_one(tmp_path):
    scan = make_scan(tmp_path / "slices.zarr", (10, 20, 20), shard=(16, 16, 16))
    scan.separate_slices = True
    values = np.full(scan.shape, 1, np.uint8)
    values[:, 5, 5:8] = 2
    made_result(scan, values)
    record = clean(scan, "a", ["islands=4"], output="b")
    assert (open_result(scan, "b").array[...] == 1).all()
    assert "by itself" in record.notes[-1]


def test_corrections_that_clean_are_undone_as_one(scan):
    values = speckled(scan.shape)
    made_result(scan, values)
    assert clean_in_place(scan, "a", ["islands=10", "majority=1"]) == 12
    expected = np.full(scan.shape, 2, np.uint8)
    expected[:20] = 1
    with corrected(scan, "a") as labels:
        assert np.array_equal(labels[...], expected)
        labels.undo()
        assert np.array_equal(labels[...], values)
        assert not labels.can_undo
        labels.redo()
        assert np.array_equal(labels[...], expected)


def test_corrections_cut_short_are_taken_back(scan):
    values = speckled(scan.shape)
    made_result(scan, values)

    def report(progress):
        if progress.message == "correcting" and progress.done == progress.total - 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        clean_in_place(scan, "a", ["islands=10"], report=report)
    with corrected(scan, "a") as labels:
        assert np.array_equal(labels[...], values)


def test_corrections_need_the_lock_and_keep_the_classes(scan):
    made_result(scan, speckled(scan.shape))
    with pytest.raises(InputError, match="changes the classes"):
        clean_in_place(scan, "a", ["merge=1+2"])
    with corrected(scan, "a"), pytest.raises(LockedError):
        clean_in_place(scan, "a", ["islands=3"])


def test_many_steps_take_no_more_room_than_one(scan):
    made_result(scan, speckled(scan.shape), classes=2)
    folders = []

    def report(progress):
        folders.append(sum(1 for job in (scan.sidecar / "cache").iterdir() for place in job.iterdir() if place.is_dir()))

    clean(scan, "a", ["majority=1", "opening=1,class=1"] * 6, output="b", report=report)
    assert max(folders) <= 2
