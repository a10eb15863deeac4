"""Whole scans segmented: against numpy on the whole array, cancelled, killed, resumed, refused."""

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from segment_data import scan_of, three_phases

from lithoscope.errors import InputError, LithoscopeError, MissingError, ResourceError, TakenError
from lithoscope.job import Cancelled
from lithoscope.labels import budget, results
from lithoscope.labels.block_work import BlockWork
from lithoscope.labels.predict import estimate, segment
from lithoscope.segmenters import REGISTRY, Block, configured
from lithoscope.volume.box import Box
from lithoscope.volume.scan import Scan

SHAPE = (40, 70, 50)


def method(name, **settings):
    return configured(REGISTRY[name], settings)


def labels_in(scan, name):
    return np.asarray(results.open_result(scan, name).array[...])


def files_of(folder: Path):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "zarr.json"}


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "f4"])
def test_otsu_is_scikit_images_digitized(tmp_path, dtype):
    from skimage.filters import threshold_multiotsu

    values = three_phases(SHAPE, "u1")
    values = (values // 2).astype("i1") - 60 if dtype == "i1" else values.astype(dtype)
    scan = scan_of(values, tmp_path / "s.zarr")
    record = segment(scan, method("otsu", classes=3), output="otsu")
    found = labels_in(scan, "otsu")
    thresholds = threshold_multiotsu(values, classes=3) if dtype != "f4" else record.learnt["thresholds"]
    assert np.array_equal(found, np.digitize(values, thresholds, right=True) + 1)
    if dtype == "f4":
        assert np.allclose(thresholds, threshold_multiotsu(values, classes=3, nbins=4096), atol=0.2)


@pytest.mark.parametrize("name", ["otsu", "kmeans", "fuzzy"])
def test_each_slice_can_have_its_own_thresholds(tmp_path, name):
    values = three_phases(SHAPE)
    values[7] = 99
    values = (values * np.linspace(0.5, 1, SHAPE[0])[:, None, None]).astype("u1")
    values[7] = 99
    scan = scan_of(values, tmp_path / "s.zarr")
    record = segment(scan, method(name, per_slice=True), output="each")
    rows = record.learnt["thresholds"]
    assert record.learnt["slices_with_thresholds_of_the_volume"] == [7]
    expected = np.stack([np.digitize(plane, row, right=True) + 1 for plane, row in zip(values, rows, strict=True)])
    assert np.array_equal(labels_in(scan, "each"), expected)
    assert rows[0] != rows[-1]


def test_outside_the_field_of_view_and_where_there_is_no_number_is_zero(tmp_path):
    values = three_phases(SHAPE, "f4")
    values[3, 30:40, 20:30] = np.nan
    values[5, 30, 25], values[5, 31, 25] = np.inf, -np.inf
    scan = scan_of(values, tmp_path / "s.zarr", fov="cylinder:35,25,20")
    record = segment(scan, method("otsu", classes=3), output="otsu")
    found = labels_in(scan, "otsu")
    inside = np.broadcast_to(scan.inside(scan.box), SHAPE)
    assert np.array_equal(found == 0, ~inside | np.isnan(values))
    assert found[5, 30, 25] == 3
    assert found[5, 31, 25] == 1
    assert any("not numbers" in note for note in record.notes)


@pytest.mark.parametrize(
    "settings",
    [{"radius": 2}, {"radius": 1, "dimensions": 2}, {"dimensions": 2, "plane": "all", "weight": 2}, {"per_slice": True, "radius": 3}],
)
def test_blocks_with_a_halo_equal_the_whole(tmp_path, settings):
    values = three_phases(SHAPE)
    scan = scan_of(values, tmp_path / "s.zarr", fov="cylinder:35,25,30")
    segment(scan, method("fuzzy", spatial=True, **settings), output="blocks", memory=48 << 20)
    whole = method("fuzzy", spatial=True, **settings).fit(_GreyValues(scan))
    halo = whole.halo()
    grown = scan.box.grow(halo)
    image = np.pad(values, [(h, h) for h in halo], "symmetric")
    inside = np.pad(np.broadcast_to(scan.inside(scan.box), SHAPE), [(h, h) for h in halo], "symmetric")
    core = scan.box.within(grown).slices
    expected = whole.predict(Block(image=image, core=core, window=(0, 255), origin=grown.start, inside=inside))[core]
    assert np.array_equal(labels_in(scan, "blocks"), expected * inside[core])


def _GreyValues(scan):  # noqa: N802
    from lithoscope.labels.grey_values import GreyValues

    return GreyValues(scan)


def test_a_box_is_segmented_as_the_whole_would_be(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")
    box = Box((3, 10, 5), (37, 60, 41))
    segment(scan, method("kmeans"), output="whole")
    record = segment(scan, method("kmeans"), output="box", box=box)
    found = labels_in(scan, "box")
    assert np.array_equal(found[box.slices], labels_in(scan, "whole")[box.slices])
    assert np.count_nonzero(found) == box.size
    assert record.source["box"] == box.to_json()


def test_one_method_learns_every_scan_anew(tmp_path):
    otsu = method("otsu")
    values = three_phases(SHAPE)
    a = segment(scan_of(values, tmp_path / "a.zarr"), otsu, output="o")
    b = segment(scan_of(values // 2, tmp_path / "b.zarr"), otsu, output="o")
    assert a.learnt != b.learnt
    fitted = otsu.fit(_GreyValues(Scan.open(tmp_path / "a.zarr")))
    assert segment(Scan.open(tmp_path / "b.zarr"), fitted, output="model").learnt == a.learnt


def test_the_record_says_what_was_done(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr", voxel=(9.0, 2.0, 2.0))
    record = segment(scan, method("fuzzy", spatial=True), output="f")
    assert record == results.open_result(scan, "f").record
    assert record.parameters["m"] == 2
    assert record.parameters["dimensions"] == 2
    assert any(note.startswith("dimensions=2: the spacing along z") for note in record.notes)
    assert record.source["content_hash"] == scan.content_hash
    assert record.source["uuid"] == scan.uuid
    assert len(record.learnt["centres"]) == 3
    assert [c["id"] for c in record.classes["classes"]] == [1, 2, 3]
    assert "numpy" in record.versions
    assert record.seconds > 0


def test_no_method_looks_across_separate_slices(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr", separate_slices=True)
    with pytest.raises(InputError, match="dimensions=2"):
        segment(scan, method("fuzzy", spatial=True, dimensions=3), output="f")
    with pytest.raises(InputError, match="plane=z"):
        segment(scan, method("fuzzy", spatial=True, plane="y"), output="f")
    assert segment(scan, method("fuzzy", spatial=True), output="f").parameters["dimensions"] == 2


def test_a_cancelled_run_is_not_seen_and_resumes_to_the_same_bytes(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")
    calls = []

    def stop(progress):
        if progress.message.startswith("segmenting"):
            calls.append(progress.done)
            if progress.done >= 3:
                raise Cancelled

    with pytest.raises(Cancelled):
        segment(scan, method("otsu"), output="a", report=stop)
    assert results.results(scan) == []
    with pytest.raises(InputError, match="classes=3 then, 2 now"):
        segment(scan, method("otsu", classes=2), output="a", resume=True)
    seen = []
    segment(scan, method("otsu"), output="a", resume=True, report=lambda p: seen.append(p.done))
    assert seen[0] >= 3
    segment(scan, method("otsu"), output="b")
    assert files_of(scan.labels_folder / "a") == files_of(scan.labels_folder / "b")


CHILD = """
import sys
from lithoscope.labels.predict import segment
from lithoscope.segmenters import REGISTRY
from lithoscope.volume.scan import Scan

def report(progress):
    if progress.message.startswith("segmenting") and progress.done >= 2:
        print(progress.done, flush=True)
        sys.stdin.read()

segment(Scan.open(sys.argv[1]), REGISTRY["otsu"](), output="a", report=report)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path):
    scan = scan_of(three_phases((64, 70, 70)), tmp_path / "s.zarr")
    with subprocess.Popen([sys.executable, "-c", CHILD, str(scan.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert int(child.stdout.readline()) >= 2
        child.send_signal(signal.SIGKILL)
    scan = Scan.open(scan.path)
    assert results.results(scan) == []
    seen = []
    segment(scan, method("otsu"), output="a", resume=True, report=lambda p: seen.append(p.done))
    assert seen[0] >= 2
    segment(scan, method("otsu"), output="b")
    assert files_of(scan.labels_folder / "a") == files_of(scan.labels_folder / "b")


def test_a_scan_deleted_in_mid_job_is_told(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")

    gone = tmp_path / "elsewhere.zarr"

    def delete(progress):
        if progress.message.startswith("segmenting") and progress.done >= 2 and not gone.exists():
            scan.path.rename(gone)

    with pytest.raises(LithoscopeError) as caught:
        segment(scan, method("otsu"), output="a", report=delete)
    assert str(scan.path) in str(caught.value)


def test_a_result_is_replaced_only_when_asked(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")
    segment(scan, method("otsu"), output="a")
    with pytest.raises(TakenError, match="--overwrite"):
        segment(scan, method("otsu", classes=2), output="a")
    segment(scan, method("otsu", classes=2), output="a", overwrite=True)
    assert labels_in(scan, "a").max() == 2
    with pytest.raises(MissingError, match="no unfinished result"):
        segment(scan, method("otsu"), output="c", resume=True)


def test_an_estimate_is_near_what_is_written(tmp_path):
    scan = scan_of(three_phases((64, 64, 64)), tmp_path / "s.zarr")
    found = estimate(scan, method("otsu"))
    segment(scan, method("otsu"), output="a")
    size = sum(p.stat().st_size for p in (scan.labels_folder / "a").rglob("*") if p.is_file())
    assert size / 3 < found.disk_bytes < size * 3
    assert found.seconds > 0
    assert results.results(scan) == ["a"]


def test_too_little_disk_or_memory_is_found_before_the_work(tmp_path, monkeypatch):
    import psutil

    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")
    with pytest.raises(ResourceError, match="allow more memory"):
        segment(scan, method("otsu"), output="a", memory=1000)
    monkeypatch.setattr(budget, "SPARE_DISK", 1 << 60)
    for ask in (lambda: segment(scan, method("otsu"), output="a"), lambda: estimate(scan, method("otsu"))):
        with pytest.raises(ResourceError, match="of disk"):
            ask()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("m", (), {"available": 10}))
    with pytest.raises(ResourceError, match="of memory"):
        segment(scan, method("otsu"), output="a")
    assert not (scan.labels_folder / "a.partial").exists()


def test_the_work_on_a_block_travels_to_another_process(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr", fov="cylinder:35,25,20")
    fitted = method("otsu").fit(_GreyValues(scan))
    work = BlockWork(scan, fitted, (16, 16, 16), scan.window)
    box = Box((0, 32, 0), (32, 64, 32))
    assert np.array_equal(pickle.loads(pickle.dumps(work))(box), work(box))


@pytest.mark.parametrize(("name", "classes"), [("otsu", 3), ("kmeans", 3), ("fuzzy", 3)])
def test_constant_data_is_refused_in_one_line(tmp_path, name, classes):
    scan = scan_of(np.full(SHAPE, 7, np.uint8), tmp_path / "s.zarr")
    with pytest.raises(InputError, match="1 grey level"):
        segment(scan, method(name, classes=classes), output="a")
    assert results.results(scan) == []


def test_one_voxel_is_enough_for_a_threshold(tmp_path):
    scan = scan_of(np.full((1, 1, 1), 7, np.uint16), tmp_path / "s.zarr", shard=(1, 1, 1))
    segment(scan, method("threshold", bounds="5"), output="a")
    assert labels_in(scan, "a").tolist() == [[[2]]]
