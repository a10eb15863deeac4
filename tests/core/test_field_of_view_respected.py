"""The field of view counts everywhere: methods, histograms, measures, exports; and results made before it was changed say so."""

import json

import numpy as np
import pytest
import tifffile

from lithoscope.cli import run
from lithoscope.volume.box import Box
from lithoscope.volume.field_of_view import BoxView, Cylinder, propose
from lithoscope.volume.simulate import Scanner, circle, rock, scan_of

SHAPE = (12, 64, 64)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("rings", [0, 4.5, 12])
def test_a_round_scan_with_rings_is_seen_to_be_a_cylinder(dtype, rings):
    image, _ = rock(SHAPE, 3, dtype=dtype, scanner=Scanner(rings=rings))
    found = propose(image, SHAPE)
    assert isinstance(found, Cylinder)
    true = circle(SHAPE)
    assert (found.cy, found.cx, found.r) == pytest.approx((true.cy, true.cx, true.r), abs=1.5)


def test_a_round_scan_of_any_geometry_is_a_cylinder_and_a_full_one_is_not():
    geometry = (np.random.default_rng(0).random(SHAPE) < 0.4).astype(np.uint8)
    image = scan_of(geometry, {0: 60, 1: 160}, scanner=Scanner())
    assert isinstance(propose(image, SHAPE), Cylinder)
    assert propose(scan_of(geometry, {0: 60, 1: 160}, scanner=Scanner(circular=False)), SHAPE) is None


def test_a_scan_of_mostly_background_has_no_field_of_view():
    grains = np.random.default_rng(1).random(SHAPE) < 0.13
    assert propose(np.where(grains, 150, 0).astype(np.uint8), SHAPE) is None
    z, y, x = np.mgrid[0:12, 0:64, 0:64]
    lump = (z - 6) ** 2 * 12 + (y - 32) ** 2 + (x - 32) ** 2 < 20**2
    assert propose(np.where(lump, 150, 0).astype(np.uint8), SHAPE) is None


@pytest.fixture
def answer(capsys):
    def asked(*words):
        status = run([str(w) for w in words])
        out = capsys.readouterr()
        assert status == 0, out.err
        return json.loads(out.out) if "--json" in words else out.out

    return asked


@pytest.fixture
def image(tmp_path):
    """Two phases inside a circle, and values of its own outside, which must count nowhere."""
    random = np.random.default_rng(0)
    inside = np.broadcast_to(Cylinder(20, 22, 15).inside(Box.whole((6, 40, 44))), (6, 40, 44))
    values = np.where(random.random((6, 40, 44)) < 0.3, 60, 120) + random.integers(0, 9, (6, 40, 44))
    values = np.where(inside, values, random.integers(200, 250, (6, 40, 44))).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    return values, inside


VIEWS = {"cylinder": "cylinder:20,22,15", "mask": "mask.tif"}


@pytest.mark.parametrize("how", ["import", "set"])
@pytest.mark.parametrize("kind", VIEWS)
def test_what_is_outside_counts_nowhere(tmp_path, answer, image, monkeypatch, how, kind):
    values, inside = image
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("mask.tif", inside.astype(np.uint8) * 255, photometric="minisblack")
    if how == "import":
        answer("import", "a.tif", "a.zarr", "--fov", VIEWS[kind])
    else:
        answer("import", "a.tif", "a.zarr", "--fov", "none")
        answer("set", "a.zarr", "--fov", VIEWS[kind])
    said = answer("info", "a.zarr", "--json")
    assert said["fov"].startswith(kind)
    assert (said["minimum"], said["maximum"]) == (values[inside].min(), values[inside].max())
    assert said["percentiles"]["50"] == pytest.approx(np.percentile(values[inside], 50), abs=1)
    for method in ("otsu", "kmeans", "fuzzy"):
        record = answer("segment", "a.zarr", "--method", method, "--set", "classes=2", "--output", method, "--json")
        assert record["source"]["field_of_view"] is not None
        answer("export", "a.zarr", method, f"{method}.tif")
        found = tifffile.imread(f"{method}.tif")
        assert not found[~inside].any()
        np.testing.assert_array_equal(found[inside] == 1, values[inside] < 90)
        measured = answer("measure", "a.zarr", method, "--json")
        assert measured["voxels"] == inside.sum()
        assert measured["phases"]["1"]["fraction"] == pytest.approx((values[inside] < 90).mean())
    answer("export", "a.zarr", "fuzzy", "scores.npy", "--scores", "--class", "1")
    assert not np.load("scores.npy")[~inside].any()
    assert "scores" not in answer("labels", "list", "a.zarr")


def test_results_made_before_the_field_of_view_was_changed_say_so(tmp_path, answer, image):
    values, _ = image
    scan = tmp_path / "a.zarr"
    answer("import", tmp_path / "a.tif", scan, "--fov", "none")
    answer("segment", scan, "--method", "otsu", "--set", "classes=2", "--output", "old")
    np.save(tmp_path / "truth.npy", np.where(values < 90, 1, 2).astype(np.uint8))
    answer("labels", "import", scan, tmp_path / "truth.npy", "truth", "--as", "truth")
    assert answer("info", scan, "--json")["older_than_fov"] == []
    said = answer("set", scan, "--fov", "cylinder:20,22,15", "--json")
    assert said["older_than_fov"] == ["old"]
    assert "old (older than the field of view)" in answer("info", scan)
    listed = answer("labels", "list", scan, "--json")["results"]
    assert {r["name"]: r["older_than_fov"] for r in listed} == {"old": True, "truth": False}
    assert "older than the field of view" in answer("labels", "list", scan)
    assert answer("measure", scan, "old", "--json")["older_than_fov"]
    assert "older than the field of view" in answer("measure", scan, "old")
    record = answer("export", scan, "old", tmp_path / "old.npy", "--json")
    assert any("older than the field of view" in note for note in record["notes"])
    inside = Cylinder(20, 22, 15).inside(Box.whole(values.shape))
    assert not np.load(tmp_path / "old.npy")[~inside].any()
    assert answer("set", scan, "--fov", "none", "--json")["older_than_fov"] == []


def test_another_mask_is_another_field_of_view(tmp_path, answer, image):
    _, inside = image
    scan = tmp_path / "a.zarr"
    np.save(tmp_path / "m.npy", inside.astype(np.uint8))
    answer("import", tmp_path / "a.tif", scan, "--fov", tmp_path / "m.npy")
    answer("segment", scan, "--method", "otsu", "--set", "classes=2", "--output", "otsu")
    np.save(tmp_path / "m.npy", np.roll(inside, 3, 1).astype(np.uint8))
    assert answer("set", scan, "--fov", tmp_path / "m.npy", "--json")["older_than_fov"] == ["otsu"]


def test_a_box_is_proposed_where_the_outside_is_constant():
    image = np.full(SHAPE, 7, np.uint8)
    image[:, 5:60, 8:50] = np.random.default_rng(0).integers(40, 200, (12, 55, 42))
    assert propose(image, SHAPE) == BoxView(Box((0, 5, 8), (12, 60, 50)))


@pytest.mark.parametrize("how", ["import", "set"])
def test_floats_outside_choose_no_bins(tmp_path, answer, how):
    inside = np.broadcast_to(Cylinder(20, 22, 15).inside(Box.whole((6, 40, 44))), (6, 40, 44))
    values = np.where(inside, np.random.default_rng(0).normal(0, 1e-3, inside.shape), 1e6).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    answer("import", tmp_path / "a.npy", tmp_path / "a.zarr", "--fov", "cylinder:20,22,15" if how == "import" else "none")
    said = (
        answer("set", tmp_path / "a.zarr", "--fov", "cylinder:20,22,15", "--json")
        if how == "set"
        else answer("info", tmp_path / "a.zarr", "--json")
    )
    assert said["bin_width"] < 1e-6
    assert said["percentiles"]["50"] == pytest.approx(np.median(values[inside]), abs=1e-6)


def test_a_filtered_image_is_segmented_within_the_field_of_view_of_its_scan(tmp_path, answer, image):
    _, inside = image
    scan = tmp_path / "a.zarr"
    answer("import", tmp_path / "a.tif", scan, "--fov", "none")
    answer("filter", scan, "--method", "median", "--output", "median", "--set", "dimensions=2")
    answer("segment", scan, "--method", "otsu", "--set", "classes=2", "--image", "median", "--output", "before")
    answer("set", scan, "--fov", "cylinder:20,22,15")
    record = answer("segment", scan, "--method", "otsu", "--set", "classes=2", "--image", "median", "--output", "after", "--json")
    assert record["learnt"]["thresholds"][0] < 130
    answer("export", scan, "after", tmp_path / "after.npy")
    assert not np.load(tmp_path / "after.npy")[~inside].any()
