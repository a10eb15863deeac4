"""The command line: words, exit statuses, JSON."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile


def lithoscope(*words: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "lithoscope", *map(str, words)], capture_output=True, text=True, timeout=120, **options)


def answer(*words: object) -> dict:
    done = lithoscope(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of three grey levels with noise, imported from a TIFF in a folder with a space and an umlaut."""
    folder = tmp_path_factory.mktemp("Bohrkern München 7")
    rng = np.random.default_rng(1)
    phases = rng.choice([40, 120, 210], size=(20, 40, 50))
    volume = np.clip(phases + rng.normal(0, 8, phases.shape), 0, 255).astype(np.uint8)
    tifffile.imwrite(folder / "core 7.tif", volume)
    answer("import", folder / "core 7.tif", folder / "core 7.zarr", "--voxel-size", 5, 2.5, 2.5, "--unit", "um")
    return folder / "core 7.zarr"


def test_help_names_every_command():
    text = lithoscope("--help").stdout
    for name in ("import", "info", "set", "segment", "labels", "export", "measure", "repeat", "bundle", "methods", "doctor", "demo"):
        assert name in text


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("segment", "nowhere.zarr"),
        ("segment", "nowhere.zarr", "--method", "otsu"),
        ("info", "nowhere.zarr"),
        ("import", "nowhere.tif", "x.zarr"),
        ("segment", "nowhere.zarr", "--method", "otsu", "--set", "classes"),
        ("segment", "nowhere.zarr", "--metod", "otsu"),
    ],
)
def test_an_error_is_one_line_and_exit_status_2(words: tuple[str, ...], tmp_path: Path):
    done = lithoscope(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_import_then_info_gives_the_promised_keys(scan: Path):
    info = answer("info", scan)
    assert {"shape", "dtype", "voxel_size", "unit", "levels", "percentiles", "fov", "results"} <= set(info)
    assert info["shape"] == [20, 40, 50]
    assert info["dtype"] == "uint8"
    assert info["voxel_size"] == [5, 2.5, 2.5]
    assert info["unit"] == "micrometer"


def test_otsu_from_scan_to_mask_equals_scikit_image(scan: Path, tmp_path: Path):
    from skimage.filters import threshold_multiotsu

    record = answer("segment", scan, "--method", "otsu", "--set", "classes=3", "--output", "otsu", "--overwrite")
    answer("export", scan, "otsu", tmp_path / "mask.tif")
    volume = tifffile.imread(scan.with_suffix(".tif"))
    thresholds = threshold_multiotsu(volume, classes=3)
    assert record["learnt"]["thresholds"] == list(thresholds)
    assert record["seconds"] > 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), np.digitize(volume, thresholds, right=True) + 1)


def test_nothing_is_overwritten_unasked(scan: Path):
    first = answer("segment", scan, "--method", "threshold", "--set", "bounds=80,160", "--output", "by hand", "--overwrite")
    again = lithoscope("segment", scan, "--method", "otsu", "--output", "by hand")
    assert again.returncode == 2
    assert "by hand" in again.stderr
    assert answer("labels", "list", scan)["results"]
    assert first["learnt"]["thresholds"] == [80, 160]


def test_labels_are_renamed_and_deleted(scan: Path):
    answer("segment", scan, "--method", "threshold", "--set", "bounds=100", "--output", "a", "--overwrite")
    names = [r["name"] for r in answer("labels", "rename", scan, "a", "b")["results"]]
    assert "b" in names
    assert "a" not in names
    assert "b" not in [r["name"] for r in answer("labels", "delete", scan, "b")["results"]]
    assert lithoscope("labels", "delete", scan, "b").returncode == 2


def test_measure_against_itself_is_perfect(scan: Path):
    answer("segment", scan, "--method", "threshold", "--set", "bounds=80,160", "--output", "m", "--overwrite")
    measured = answer("measure", scan, "m", "--truth", "m")
    assert measured["mean_iou"] == 1
    assert sum(phase["fraction"] for phase in measured["phases"].values()) == pytest.approx(1)


def test_repeat_makes_the_same_bytes(scan: Path):
    answer("segment", scan, "--method", "otsu", "--output", "r", "--overwrite")
    assert answer("repeat", scan, "r")["identical"] is True


def test_several_scans_in_one_run(scan: Path, tmp_path: Path):
    other = tmp_path / "other.zarr"
    answer("import", scan.with_suffix(".tif"), other)
    runs = answer("segment", scan, other, "--method", "otsu", "--output", "both", "--overwrite")["runs"]
    assert [run["output"] for run in runs] == ["both", "both"]


def test_a_bundle_opens_as_a_scan_elsewhere(scan: Path, tmp_path: Path):
    import zipfile

    answer("segment", scan, "--method", "otsu", "--output", "kept", "--overwrite")
    made = answer("bundle", scan, tmp_path / "all of it.zip")
    with zipfile.ZipFile(made["path"]) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "there")
    assert "kept" in answer("info", tmp_path / "there" / scan.name)["results"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_cancels_with_status_130_and_leaves_nothing(tmp_path: Path):
    source = tmp_path / "big_512x512x512_uint16.raw"
    with source.open("wb") as file:
        file.truncate(512**3 * 2)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-m", "lithoscope", "import", str(source), str(tmp_path / "big.zarr")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    while process.poll() is None and not list(tmp_path.glob("*.partial")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_voxel_size_set_without_a_unit_keeps_the_scans_own(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
    made = tmp_path / "a.zarr"
    answer("import", tmp_path / "a.npy", made, "--voxel-size", 1, 1, 1, "--unit", "nm")
    assert answer("set", made, "--voxel-size", 2, 2, 2)["unit"] == "nanometer"
