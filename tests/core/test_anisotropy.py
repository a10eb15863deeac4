"""Voxels of 3 × 1 × 1 µm from the import to the export: a ball is measured and written as a ball."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from lithoscope.cli import run
from lithoscope.volume.formats import open_source
from lithoscope.volume.scan import Scan

nrrd = pytest.importorskip("nrrd", reason="pynrrd, of the extra formats, is not installed")

VOXEL = ["3", "1", "1"]
RADIUS = 24.0
SHAPE = (22, 66, 66)


@pytest.fixture
def answer(capsys):
    def asked(*words):
        status = run([*map(str, words), "--json"])
        out = capsys.readouterr()
        assert status == 0, out.err
        return json.loads(out.out)

    return asked


@pytest.fixture
def ball():
    """A bright ball of 24 µm radius, (22, 66, 66) voxels of 3 × 1 × 1 µm."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return ((z - 10.5) * 3) ** 2 + (y - 32.5) ** 2 + (x - 32.5) ** 2 < RADIUS**2


@pytest.fixture
def scan(answer, ball, tmp_path):
    """Its scan, segmented by Otsu."""
    noise = np.random.default_rng(0).normal(0, 6, SHAPE)
    np.save(tmp_path / "ball.npy", (np.where(ball, 170, 70) + noise).clip(0, 255).astype(np.uint8))
    answer("import", tmp_path / "ball.npy", tmp_path / "ball.zarr", "--voxel-size", *VOXEL, "--unit", "um")
    answer("segment", tmp_path / "ball.zarr", "--method", "otsu", "--set", "classes=2")
    return tmp_path / "ball.zarr"


def test_the_scan_and_every_level_have_the_voxel_size(answer, scan):
    told = answer("info", scan)
    assert (told["voxel_size"], told["unit"]) == ([3, 1, 1], "micrometer")
    attributes = json.loads((scan / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    for level, dataset in zip(told["levels"], attributes["datasets"], strict=True):
        scale = next(t["scale"] for t in dataset["coordinateTransformations"] if t["type"] == "scale")
        assert [s * n for s, n in zip(scale, level, strict=True)] == pytest.approx([66, 66, 66], rel=0.1)
    assert Scan.open(scan).dimensions()[0] == 3


def test_volume_surface_and_shape_are_those_of_a_ball(answer, scan, ball):
    volume, surface = 4 / 3 * np.pi * RADIUS**3, 4 * np.pi * RADIUS**2
    told = answer("measure", scan, "otsu", "--structure")
    phase = told["phases"]["2"]
    assert phase["fraction"] == pytest.approx(ball.mean(), rel=0.01)
    of = told["structure"]["surface"]
    assert of["unit"] in ("µm", "micrometer", "um")
    assert of["phases"]["2"]["area"] == pytest.approx(surface, rel=0.05)
    grains = answer("separate", scan, "otsu", "--class", 2, "--height", 4)["summary"]
    assert grains["mean_diameter"] == pytest.approx((6 * volume / np.pi) ** (1 / 3), rel=0.03)
    assert grains["mean_sphericity"] == pytest.approx(1, abs=0.06)


def test_the_table_of_grains_is_in_micrometres(answer, scan, ball):
    told = answer("separate", scan, "otsu", "--class", 2, "--height", 4)
    table = next(Path(f) for f in told["files"] if f.endswith(".csv"))
    rows = list(csv.DictReader(line for line in table.read_text().splitlines() if not line.startswith("#")))
    largest = max(rows, key=lambda r: float(r["voxels"]))
    volume = next(float(v) for k, v in largest.items() if k.startswith("volume"))
    assert volume == pytest.approx(float(largest["voxels"]) * 3, rel=1e-6)
    assert volume == pytest.approx(float(ball.sum()) * 3, rel=0.02)


@pytest.mark.parametrize("name", ["mask.tif", "mask.mhd", "mask.nrrd", "mask.mha", "mask.zarr"])
def test_what_is_exported_tells_the_voxel_size_to_any_reader(answer, scan, ball, tmp_path, name):
    answer("export", scan, "otsu", tmp_path / name)
    source = open_source(tmp_path / name)
    assert source.voxel.um == pytest.approx((3, 1, 1))
    assert (np.asarray(source.planes(0, SHAPE[0])) == np.where(ball, 2, 1)).mean() > 0.999


def test_the_headers_are_right_for_other_programs(answer, scan, tmp_path):
    answer("export", scan, "otsu", tmp_path / "mask.nrrd")
    _, header = nrrd.read(str(tmp_path / "mask.nrrd"))
    np.testing.assert_allclose(header["space directions"], np.diag([1, 1, 3]))
    answer("export", scan, "otsu", tmp_path / "mask.tif")
    with tifffile.TiffFile(tmp_path / "mask.tif") as file:
        assert file.imagej_metadata["spacing"] == 3
        assert file.imagej_metadata["unit"] == "micron"
    answer("export", scan, "otsu", tmp_path / "mask.mhd")
    assert "ElementSpacing = 0.001 0.001 0.003" in (tmp_path / "mask.mhd").read_text()  # in millimetres, as MetaImage wants
    answer("export", scan, "otsu", tmp_path / "ball.stl", "--class", 2)
    found = np.frombuffer((tmp_path / "ball.stl").read_bytes()[84:], np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]))
    assert np.ptp(found["v"].reshape(-1, 3), axis=0) == pytest.approx([48, 48, 48], abs=3)


def test_a_filtered_image_and_a_binned_import_keep_it(answer, scan, tmp_path):
    answer("filter", scan, "--method", "gaussian", "--output", "smooth")
    found = Scan.open(scan)
    smooth = json.loads((found.sidecar / "images/smooth/zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    assert smooth["datasets"][0]["coordinateTransformations"][0]["scale"] == [3, 1, 1]
    binned = answer("import", tmp_path / "ball.npy", tmp_path / "half.zarr", "--voxel-size", *VOXEL, "--unit", "um", "--bin", 2)
    assert binned["voxel_size"] == [6, 2, 2]


def test_far_thinner_planes_than_slices_are_worked_on_in_two_dimensions(answer, scan):
    told = answer("set", scan, "--voxel-size", 4, 1, 1)
    assert told["dimensions"] == 2
    assert "spacing along z" in told["dimensions_reason"]
    assert answer("filter", scan, "--method", "median")["parameters"]["dimensions"] == 2
