"""Image filters over whole scans: blocks make what the whole makes, dtype and outside are kept, nothing half-made is seen."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_data import scan_of, three_phases

from lithoscope.cli import run
from lithoscope.errors import InputError, LithoscopeError, LockedError, MissingError, ResourceError, TakenError
from lithoscope.filtering import REGISTRY, filter_image, preview
from lithoscope.filtering.image_writer import unfinished
from lithoscope.filtering.run import SPARE_DISK
from lithoscope.job import Cancelled
from lithoscope.labels import results
from lithoscope.labels.predict import segment
from lithoscope.labels.repeat import repeat
from lithoscope.parameters import configured
from lithoscope.segmenters import REGISTRY as METHODS
from lithoscope.volume.images import delete_image, filtered_image
from lithoscope.volume.lock import WriterLock
from lithoscope.volume.pyramid import level_factors, reduce_image
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel

SMALL = {"nlm": {"search": 5, "patch": 3}, "bilateral": {"sigma": 0.9}, "gaussian": {"sigma": 0.8}}


def made(name, **given):
    return configured(REGISTRY[name], {**SMALL.get(name, {}), **given})


@pytest.mark.parametrize("name", list(REGISTRY))
@settings(max_examples=6, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 21), st.integers(2, 37), st.integers(2, 35)),
    shard=st.tuples(st.sampled_from([4, 16]), st.sampled_from([8, 16]), st.sampled_from([16, 32])),
    dtype=st.sampled_from(["u1", "i2", "f4"]),
    round_view=st.booleans(),
)
def test_blocks_make_the_bytes_of_the_whole(tmp_path_factory, name, shape, shard, dtype, round_view):
    folder = tmp_path_factory.mktemp("scans")
    values = three_phases(shape, "u1").astype(dtype)
    fov = f"cylinder:{shape[1] / 2},{shape[2] / 2},{max(shape[1:]) / 2}" if round_view else None
    scan = scan_of(values, folder / "blocks.zarr", shard=shard, fov=fov)
    whole = scan_of(values, folder / "whole.zarr", shard=(64, 64, 64), fov=fov)
    filter_image(scan, made(name), "i", memory=64 << 20)
    filter_image(whole, made(name), "i")
    found = scan.array("i")[...]
    assert found.dtype == values.dtype
    assert np.array_equal(found, whole.array("i")[...])
    inside = scan.inside(scan.box)
    if inside is not None:
        assert np.array_equal(found[~inside], values[~inside])
    z = shape[0] // 2
    assert np.array_equal(preview(scan, made(name), 0, z), found[z])
    assert np.array_equal(preview(scan, made(name), 2, 1, part=(slice(0, None), slice(1, 9))), found[:, 1:9, 1])


def test_gaussian_and_median_are_those_of_scipy(tmp_path):
    from scipy.ndimage import gaussian_filter, median_filter

    values = three_phases((20, 40, 36), "f4")
    scan = scan_of(values, tmp_path / "s.zarr", shard=(16, 16, 16))
    filter_image(scan, made("gaussian", sigma=1.3), "smooth")
    filter_image(scan, made("median", size=5), "median")
    filter_image(scan, made("median", size=3, dimensions=2), "flat")
    assert np.allclose(scan.array("smooth")[...], gaussian_filter(values, 1.3, mode="reflect"), atol=1e-6)
    assert np.array_equal(scan.array("median")[...], median_filter(values, 5, mode="reflect"))
    assert np.array_equal(scan.array("flat")[...], median_filter(values, (1, 3, 3), mode="reflect"))


@pytest.mark.parametrize("name", list(REGISTRY))
def test_what_is_not_a_number_stays_and_spoils_nothing_around_it(tmp_path, name):
    values = three_phases((12, 40, 36), "f4") - 0.5
    holed = values.copy()
    holed[3, 10:14, 10:14], holed[5, 20, 20], holed[5, 20, 21] = np.nan, np.inf, -np.inf
    scan = scan_of(holed, tmp_path / "s.zarr", shard=(8, 16, 16))
    filter_image(scan, made(name), "i")
    found = scan.array("i")[...]
    assert np.array_equal(np.isfinite(found), np.isfinite(holed))
    assert np.array_equal(found[~np.isfinite(holed)], holed[~np.isfinite(holed)], equal_nan=True)
    assert found[np.isfinite(found)].min() < 0
    assert np.abs(found[np.isfinite(found)]).max() < 1.5


@pytest.mark.parametrize("name", list(REGISTRY))
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 30, 30), (2, 3, 5)])
def test_constant_and_tiny_scans_stay_as_they_are(tmp_path, name, shape):
    scan = scan_of(np.full(shape, 9, "u2"), tmp_path / "s.zarr")
    filter_image(scan, configured(REGISTRY[name], {}), "i")
    assert (scan.array("i")[...] == 9).all()


def test_a_neighbourhood_larger_than_the_scan_sees_its_mirror_images(tmp_path):
    from scipy.ndimage import gaussian_filter

    values = three_phases((3, 9, 7), "f4")
    scan = scan_of(values, tmp_path / "s.zarr")
    filter_image(scan, made("gaussian", sigma=6, dimensions=3), "smooth")
    assert np.allclose(scan.array("smooth")[...], gaussian_filter(values.astype("f8"), 6, mode="reflect"), atol=1e-5)
    filter_image(scan, made("nlm", search=31, patch=3), "clean")
    filter_image(scan, made("median", size=15), "median")


def test_the_image_has_all_levels_a_histogram_and_its_record(tmp_path):
    values = three_phases((6, 530, 20))
    scan = scan_of(values, tmp_path / "s.zarr", shard=(8, 128, 32), fov="box:0:6,0:500,0:20")
    record = filter_image(scan, made("median"), "m")
    image = filtered_image(scan, "m")
    full = image.levels[0][...]
    for level, factor in zip(image.levels, level_factors(scan.shape), strict=True):
        assert np.array_equal(level[...], reduce_image(full, factor))
    assert np.array_equal(image.histogram.counts, np.bincount(full[:, :500].ravel())[full[:, :500].min() :])
    assert image.record.to_json() == record.to_json()
    assert record.parameters["dimensions"] == 2
    assert "only 6 slices" in record.notes[0]
    assert scan.info()["images"] == ["m"]
    scan.set(field_of_view="none", voxel=Voxel((1.0, 2.0, 2.0)))
    fresh = Scan.open(scan.path)
    assert filtered_image(fresh, "m").histogram.total == full.size
    assert Scan.open(image.path).voxel == Voxel((1.0, 2.0, 2.0))
    delete_image(fresh, "m")
    assert fresh.images() == []


def test_a_method_on_an_image_learns_from_that_image(tmp_path):
    from skimage.filters import threshold_multiotsu

    scan = scan_of(three_phases((16, 40, 36)), tmp_path / "s.zarr")
    filter_image(scan, made("gaussian", sigma=2), "smooth")
    filter_image(scan, made("median"), "twice", image="smooth")
    record = segment(scan, METHODS["otsu"](classes=3), output="otsu", image="twice")
    smooth = scan.array("twice")[...]
    expected = np.digitize(smooth, threshold_multiotsu(smooth, classes=3), right=True) + 1
    assert np.array_equal(results.open_result(scan, "otsu").array[...], expected)
    assert repeat(scan, "otsu").identical
    filter_image(scan, made("median", size=5), "twice", image="smooth", overwrite=True)
    assert record.source["image_run"] != filtered_image(scan, "twice").record.uuid
    with pytest.raises(InputError, match="made anew"):
        repeat(scan, "otsu")


def stopped(after, error=Cancelled):
    """A report that stops a run once so many pieces are filtered."""

    def report(progress):
        if progress.message.startswith("filtering") and progress.done > after:
            raise error

    return report


def test_a_cancelled_run_is_not_seen_keeps_the_old_image_and_resumes_to_the_same_bytes(tmp_path):
    scan = scan_of(three_phases((40, 40, 40)), tmp_path / "s.zarr", shard=(8, 16, 16))
    filter_image(scan, made("gaussian"), "i")
    before = scan.array("i")[...]
    with pytest.raises(Cancelled):
        filter_image(scan, made("median", size=5), "i", overwrite=True, report=stopped(3))
    assert scan.images() == ["i"]
    assert np.array_equal(scan.array("i")[...], before)
    (kept,) = unfinished(scan).values()
    seen = []
    with pytest.raises(InputError, match="size=5 then, 3 now"):
        filter_image(scan, made("median"), "i", overwrite=True, resume=True)
    record = filter_image(scan, made("median", size=5), "i", overwrite=True, resume=True, report=lambda p: seen.append(p))
    assert record.uuid == kept.uuid
    assert next(p for p in seen if p.message.startswith("filtering")).done > 0
    filter_image(scan, made("median", size=5), "never stopped")
    for level, other in zip(filtered_image(scan, "i").levels, filtered_image(scan, "never stopped").levels, strict=True):
        assert np.array_equal(level[...], other[...])
    assert sorted(p.name for p in (scan.sidecar / "images").iterdir()) == ["i", "never stopped"]
    assert unfinished(scan) == {}
    with pytest.raises(MissingError, match="leave out --resume"):
        filter_image(scan, made("median"), "j", resume=True)


def test_a_run_that_wrote_nothing_leaves_nothing_and_one_begun_anew_forgets_the_other(tmp_path):
    scan = scan_of(three_phases((40, 40, 40)), tmp_path / "s.zarr", shard=(8, 16, 16))
    with pytest.raises(Cancelled):
        filter_image(scan, made("median"), "i", report=stopped(-1))
    assert list((scan.sidecar / "images").iterdir()) == []
    with pytest.raises(Cancelled):
        filter_image(scan, made("median", size=5), "i", report=stopped(3))
    filter_image(scan, made("median"), "i")
    filter_image(scan, made("median"), "j")
    assert np.array_equal(scan.array("i")[...], scan.array("j")[...])


KILLED = """
import os, signal, sys
from pathlib import Path
from lithoscope.filtering import REGISTRY, filter_image
from lithoscope.parameters import configured
from lithoscope.volume.scan import Scan

def report(progress):
    if progress.message.startswith("filtering") and progress.done > 4:
        os.kill(os.getpid(), signal.SIGKILL)

filter_image(Scan.open(Path(sys.argv[1])), configured(REGISTRY["nlm"], {"search": 5, "patch": 3}), "i", report=report)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
def test_a_killed_run_resumes_to_the_same_bytes_from_the_command_line(tmp_path):
    scan = scan_of(three_phases((40, 48, 48)), tmp_path / "s.zarr", shard=(8, 16, 16))
    done = subprocess.run([sys.executable, "-c", KILLED, str(scan.path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert scan.images() == []
    written = (scan.sidecar / "images/i.partial/done").read_text().splitlines()
    assert written
    words = ["filter", str(scan.path), "--method", "nlm", "--output", "i", "--set", "search=5", "patch=3", "--device", "cpu"]
    assert run([*words, "--resume"]) == 0
    filter_image(scan, made("nlm"), "whole")
    assert np.array_equal(scan.array("i")[...], scan.array("whole")[...])


def test_two_programs_do_not_filter_to_one_image(tmp_path):
    scan = scan_of(three_phases((12, 20, 20)), tmp_path / "s.zarr")
    (scan.sidecar / "images/i.partial").mkdir(parents=True)
    with WriterLock(scan.sidecar / "images/i.partial", "it"), pytest.raises(LockedError, match="this program"):
        filter_image(scan, made("median"), "i")


def test_what_cannot_be_is_refused_in_one_line(tmp_path, monkeypatch):
    scan = scan_of(three_phases((12, 20, 20)), tmp_path / "s.zarr", separate_slices=True)
    filter_image(scan, made("median"), "i")
    for error, arguments, options in [
        (TakenError, ("median", "i"), {}),
        (TakenError, ("median", "I"), {"overwrite": True}),
        (InputError, ("median", "i"), {"overwrite": True, "image": "i"}),
        (InputError, ("median", "../i"), {}),
        (InputError, ("median", "i.partial"), {}),
        (MissingError, ("median", "j"), {"image": "nothing"}),
    ]:
        with pytest.raises(error):
            filter_image(scan, made(arguments[0]), arguments[1], **options)
    with pytest.raises(InputError, match="separate images"):
        filter_image(scan, made("median", dimensions=3), "j")
    with pytest.raises(InputError, match="use 5"):
        filter_image(scan, made("median", size=4), "j")
    with pytest.raises(InputError, match="use 7"):
        filter_image(scan, made("nlm", patch=6), "j")
    with pytest.raises(ResourceError, match="allowed"):
        filter_image(scan, made("nlm"), "j", memory=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": SPARE_DISK})())
    with pytest.raises(ResourceError, match="disk"):
        filter_image(scan, made("median"), "j")
    with pytest.raises(LithoscopeError, match="lie within"):
        preview(scan, made("median"), 0, 12)
    assert scan.images() == ["i"]


def test_importing_the_filters_loads_nothing_heavy():
    code = "import sys, lithoscope.filtering; print(sorted({'scipy', 'skimage', 'torch', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
