"""Touching grains told apart: the same whatever the blocks, and the true ones where they are known."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labels_data import make_scan
from scipy import ndimage
from test_clean_results import made_result

from lithoscope.cli import run
from lithoscope.errors import InputError
from lithoscope.job import Cancelled
from lithoscope.labels.companions import table_place
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import open_result, results
from lithoscope.labels.separate import find_grains, separate
from lithoscope.labels.separation.distance import FARTHEST, block_distances, distances
from lithoscope.measure.grains import measure_grains
from lithoscope.volume.box import Box


def found(labels, edge=(64, 64, 64), height=1.0, spacing=(1.0, 1.0, 1.0), flat=False):
    """The grains of class 1."""
    target = np.zeros(labels.shape, np.uint32)
    spacing = (1e6, *spacing[1:]) if flat else spacing
    read = lambda box: labels[box.slices]  # noqa: E731
    grains = find_grains(read, 1, Box.whole(labels.shape), edge, target, spacing=spacing, height=height, flat=flat)
    return grains.names[target], grains.count


def blobs(shape, seed=0, size=1.5):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), size)
    return (field > 0).astype(np.uint8) + np.uint8(1)


def packed_spheres(shape, radius, count, seed=0):
    """Touching spheres of which none reach into another, and the true number of each voxel's."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.int64)
    centres = np.zeros((0, 3))
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    for _ in range(4000):
        if len(centres) == count:
            break
        at = rng.uniform(radius, np.array(shape) - radius)
        away = np.linalg.norm(centres - at, axis=1)
        if len(centres) and (away.min() < 1.9 * radius or (len(centres) > 4 and away.min() > 2.3 * radius)):
            continue
        centres = np.vstack([centres, at])
        inside = ((grid - at) ** 2).sum(axis=-1) <= radius**2
        truth[inside & (truth == 0)] = len(centres)
    return truth, len(centres)


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(*[st.integers(1, 18)] * 3),
    st.tuples(*[st.integers(6, 20)] * 3),
    st.integers(0, 1000),
    st.sampled_from([0.3, 1.0, 2.0]),
    st.sampled_from([(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)]),
    st.booleans(),
)
def test_grains_are_the_same_whatever_the_blocks(shape, edge, seed, height, spacing, flat):
    labels = blobs(shape, seed)
    labels[np.random.default_rng(seed).random(shape) < 0.01] = 0
    whole, count = found(labels, height=height, spacing=spacing, flat=flat)
    by_blocks, again = found(labels, edge, height, spacing, flat)
    assert count == again
    assert np.array_equal(whole, by_blocks)
    assert np.array_equal(whole > 0, labels == 1)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 14)] * 3), st.integers(0, 1000), st.sampled_from([(1, 1, 1), (2.5, 1, 1), (1, 1, 1.5)]))
def test_distances_are_those_of_scipy(shape, seed, spacing):
    border = blobs(shape, seed) == 2
    if border.any():
        expected = ndimage.distance_transform_edt(~border, sampling=spacing)
        assert np.allclose(distances(border, spacing, 1e4), expected, rtol=1e-5)
        assert np.allclose(distances(border, spacing, 2.5), np.minimum(expected, 2.5), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(st.integers(1, 20), st.integers(1, 90), st.integers(60, 160)),
    st.integers(0, 1000),
    st.sampled_from([(1.0, 1.0, 1.0), (2.5, 1.0, 1.0), (1e6, 1.0, 1.3)]),
    st.tuples(*[st.tuples(st.floats(0, 1), st.floats(0, 1))] * 3),
)
def test_distances_within_thick_grains_are_those_of_the_whole_up_to_the_farthest(shape, seed, spacing, cut):
    rng = np.random.default_rng(seed)
    labels = np.ones(shape, np.uint8)
    for place in rng.integers(0, shape, (int(rng.integers(1, 4)), 3)):
        labels[tuple(place)] = rng.choice([0, 2], p=[0.2, 0.8])
    ranges = [sorted(int(part * n) for part in parts) for parts, n in zip(cut, shape, strict=True)]
    box = Box(tuple(a for a, _ in ranges), tuple(max(b, a + 1) for a, b in ranges)).intersect(Box.whole(shape))
    if not box.size:
        return
    border = labels == 2
    expected = ndimage.distance_transform_edt(~border, sampling=spacing) if border.any() else np.full(shape, np.inf)
    expected = np.where(labels == 1, np.minimum(expected, FARTHEST), -1)
    near = block_distances(lambda part: labels[part.slices], 1, box, Box.whole(shape), spacing)
    assert np.allclose(near, expected[box.slices], rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_there_are_as_many_grains_as_extended_maxima(seed):
    from skimage.morphology import local_maxima, reconstruction

    labels = blobs((24, 26, 28), seed, 2.0)
    far = distances(labels == 2, (1, 1, 1), 1e4)
    lowered = reconstruction(far - np.float32(0.51), far, footprint=np.ones((3, 3, 3)))
    expected = ndimage.label(local_maxima(lowered, connectivity=3) & (labels == 1), np.ones((3, 3, 3)))[1]
    assert found(labels, (24, 14, 28), 0.51)[1] == expected


def test_spheres_of_a_pack_are_told_apart():
    from sklearn.metrics import adjusted_rand_score

    truth, count = packed_spheres((64, 64, 64), 8, 40)
    grains, n = found(np.where(truth > 0, 1, 2).astype(np.uint8), (32, 32, 32))
    assert abs(n - count) <= 0.02 * count
    assert adjusted_rand_score(truth[truth > 0], grains[truth > 0]) > 0.97


def test_a_ball_has_the_volume_surface_and_sphericity_of_a_ball():
    z, y, x = np.ogrid[:50, :50, :50]
    numbers = ((z - 24.5) ** 2 + (y - 24.5) ** 2 + (x - 24.5) ** 2 <= 20**2).astype(np.uint32)
    table = measure_grains(numbers, 1, Box.whole(numbers.shape), (20, 30, 50), size=(2.0, 2.0, 2.0), unit="um")
    assert table.diameter[0] == pytest.approx(80, rel=0.01)
    assert table.surface[0] == pytest.approx(np.pi * 80**2, rel=0.02)
    assert table.sphericity[0] == pytest.approx(1, rel=0.02)
    assert table.centre[0].tolist() == pytest.approx([24.5] * 3)
    assert not table.cut[0]
    flat = measure_grains(numbers[::2], 1, Box.whole((25, 50, 50)), (9, 30, 50), size=(4.0, 2.0, 2.0))
    assert flat.surface[0] == pytest.approx(np.pi * 80**2, rel=0.03)


def test_the_table_is_the_same_whatever_the_blocks():
    labels = blobs((20, 22, 24), 3)
    numbers, count = found(labels, height=0.5)
    whole, parts = (measure_grains(numbers, count, Box.whole(labels.shape), edge) for edge in ((64, 64, 64), (7, 9, 5)))
    for name in ("voxels", "surface", "contacts", "cut", "centre"):
        assert np.allclose(getattr(whole, name), getattr(parts, name)), name
    assert whole.voxels.sum() == (labels == 1).sum()
    grains = [set(np.unique(numbers[ndimage.binary_dilation(numbers == n)])) - {0, n} for n in range(1, count + 1)]
    assert whole.contacts.tolist() == [len(g) for g in grains]


def test_more_grains_than_sixteen_bits_hold_are_counted():
    labels = np.full((84, 84, 84), 2, np.uint8)
    labels[::2, ::2, ::2] = 1
    numbers, count = found(labels, (42, 84, 84))
    assert count == 42**3 > 65_535
    assert numbers.max() == count


@pytest.fixture
def scan(tmp_path):
    made = make_scan(tmp_path / "pack.zarr", (48, 48, 48), shard=(32, 32, 32))
    truth, _ = packed_spheres(made.shape, 7, 14)
    made_result(made, np.where(truth > 0, 1, 2).astype(np.uint8))
    return made


def test_separated_grains_are_a_result_with_a_table(scan, capsys):
    assert run(["separate", str(scan.path), "a", "--output", "grains", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    found = open_result(scan, "grains")
    assert found.numbered
    assert found.array.dtype == np.uint32
    assert found.array[...].max() == answer["learnt"]["grains"] == answer["summary"]["grains"] == 14
    with Path(answer["files"][0]).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14
    assert float(rows[0]["equivalent_diameter_µm"]) == pytest.approx(28, rel=0.1)
    assert sum(bin["volume_fraction"] for bin in answer["sizes"]) == pytest.approx(1)
    assert run(["separate", str(scan.path), "a", "--output", "again", "--height", "3"]) == 0
    assert "contacts" in capsys.readouterr().out


def test_a_table_is_never_of_an_older_result_of_that_name(scan, monkeypatch):
    assert run(["separate", str(scan.path), "a", "--output", "grains"]) == 0
    assert table_place(scan, "grains").exists()

    def killed(*_, **__):
        raise Cancelled

    monkeypatch.setattr("lithoscope.measure.grains.measure_grains", killed)
    assert run(["separate", str(scan.path), "a", "--output", "grains", "--height", "3", "--overwrite"]) == 130
    assert not table_place(scan, "grains").exists()


def test_files_that_are_there_are_not_written_over_unasked(scan, tmp_path, capsys):
    (tmp_path / "mine.json").write_text("mine")
    words = ["separate", str(scan.path), "a", "--output", "grains", "--table", str(tmp_path / "mine.csv")]
    assert run(words) == 2
    assert "mine.json exists already" in capsys.readouterr().err
    assert results(scan) == ["a"]
    assert run([*words[:-1], str(tmp_path / "mine.xlsx")]) == 2
    assert "does not end in .csv" in capsys.readouterr().err
    assert run([*words, "--overwrite"]) == 0
    assert (tmp_path / "mine.csv").exists()


def test_what_cannot_be_separated_is_said(scan):
    separate(scan, "a", output="b")
    with pytest.raises(InputError, match="numbered grains"):
        corrected(scan, "b")
    with pytest.raises(InputError, match="above 0"):
        separate(scan, "a", output="c", height=0)
    made_result(scan, np.full(scan.shape, 2, np.uint8), "empty")
    with pytest.raises(InputError, match="no voxel of class 1"):
        separate(scan, "empty", output="c")
    assert not list((scan.sidecar / "cache").iterdir())


def test_it_leaves_nothing_behind_when_cancelled(scan):
    def cancel(progress):
        if progress.done:
            raise Cancelled

    with pytest.raises(Cancelled):
        separate(scan, "a", output="b", report=cancel)
    assert results(scan) == ["a"]
    assert not list((scan.sidecar / "cache").iterdir())
