"""Measures of separate slices, of the result of a box and behind a field of view: nothing is counted where nothing lies."""

import numpy as np
import pytest
from labels_data import make_scan
from test_clean_results import made_result

from lithoscope.classes import ClassTable
from lithoscope.labels.separate import separate
from lithoscope.measure.correlation import two_point
from lithoscope.measure.grains import grains_of, measure_grains
from lithoscope.measure.intervals import tile_edges
from lithoscope.measure.phases import measure
from lithoscope.measure.structure import structure
from lithoscope.measure.surface import crossings, surfaces
from lithoscope.volume.box import Box
from lithoscope.volume.field_of_view import BoxView

SHAPE = (12, 30, 30)


@pytest.fixture
def scan(tmp_path):
    return make_scan(tmp_path / "rock.zarr", SHAPE, shard=(16, 16, 16))


def a_column():
    """Class 1 in the same place of every slice."""
    labels = np.full(SHAPE, 2, np.uint8)
    labels[:, 10:16, 10:16] = 1
    return labels


def test_nothing_is_connected_and_no_surface_lies_across_separate_slices(scan):
    made_result(scan, a_column())
    assert structure(scan, "a")["connected"]["1"]["percolates"] == {"z": True, "y": False, "x": False}
    scan.separate_slices = True
    found = structure(scan, "a")
    assert found["connected"]["1"]["components"] == SHAPE[0]
    assert found["connected"]["1"]["percolates"] == {"z": False, "y": False, "x": False}
    assert found["connected"]["2"]["percolates"] == {"z": False, "y": True, "x": True}


def test_nothing_reaches_from_face_to_face_through_a_single_slice(tmp_path):
    scan = make_scan(tmp_path / "one.zarr", (1, 30, 30), shard=(1, 16, 16))
    made_result(scan, a_column()[:1])
    found = structure(scan, "a")["connected"]
    assert found["1"]["percolates"] == {"z": False, "y": False, "x": False}
    assert found["2"]["percolates"] == {"z": False, "y": True, "x": True}


def test_grains_of_separate_slices_touch_none_of_another_slice_and_are_not_cut_by_it(scan):
    scan.separate_slices = True
    made_result(scan, a_column())
    separate(scan, "a", output="grains")
    table = grains_of(scan, "grains")
    assert len(table) == SHAPE[0]
    assert not table.contacts.any()
    assert not table.cut.any()
    assert np.ptp(table.surface) < 1e-6
    assert table.diameter.tolist() == pytest.approx([(4 / np.pi) ** 0.5 * 12] * SHAPE[0])


def test_a_disc_in_one_slice_has_the_diameter_outline_and_sphericity_of_a_circle():
    y, x = np.ogrid[:60, :90]
    numbers = ((((y - 29.3) * 3) ** 2 + ((x - 44.6) * 2) ** 2) <= 50**2).astype(np.uint32)[None]
    table = measure_grains(numbers, 1, Box.whole(numbers.shape), (1, 25, 40), size=(5.0, 3.0, 2.0))
    assert table.diameter[0] == pytest.approx(100, rel=0.02)
    assert table.surface[0] == pytest.approx(np.pi * 100 * 5, rel=0.03)
    assert table.sphericity[0] == pytest.approx(1, rel=0.03)
    assert not table.cut[0]


def test_what_reaches_from_face_to_face_is_told_of_the_box_that_has_labels(scan):
    made_result(scan, a_column(), box=Box((2, 4, 4), (10, 28, 28)))
    assert structure(scan, "a")["connected"]["1"]["percolates"]["z"]
    assert not structure(scan, "a")["connected"]["1"]["percolates"]["y"]
    made_result(scan, a_column(), "b")
    scan.__dict__["field_of_view"] = BoxView(Box((1, 3, 3), (11, 27, 27)))
    assert structure(scan, "b")["connected"]["1"]["percolates"]["z"]
    assert structure(scan, "b")["connected"]["2"]["percolates"] == {"z": True, "y": True, "x": True}


def test_the_surface_in_one_slice_stands_for_that_of_an_isotropic_material():
    """Through the middles of many balls, as a slice cuts them: 4 / π times the length of the outlines per area."""
    rng = np.random.default_rng(0)
    labels = np.full((1, 400, 400), 2, np.uint8)
    y, x = np.ogrid[:400, :400]
    length = 0.0
    for i, j in np.ndindex(8, 8):
        r = rng.uniform(8, 18)
        labels[0][(y - 50 * i - 24.7) ** 2 + (x - 50 * j - 25.2) ** 2 <= r * r] = 1
        length += 2 * np.pi * r
    table = ClassTable.numbered(2)
    found = surfaces(*crossings(labels, table), table, None)["phases"]["1"]
    assert found["specific"] == pytest.approx(4 / np.pi * length / labels.size, rel=0.03)
    many = np.concatenate([labels, 3 - labels])
    again = surfaces(*crossings(many, table, flat=True), table, None)["phases"]["1"]
    assert again["specific"] == pytest.approx(found["specific"])


def test_thickness_and_correlation_are_looked_for_where_the_result_has_labels(tmp_path):
    """Blocks and columns that are spread over the whole scan would hardly meet the result of a small box."""
    scan = make_scan(tmp_path / "wide.zarr", (8, 420, 420), shard=(8, 64, 64))
    labels = np.full(scan.shape, 2, np.uint8)
    labels[:, :, ::4] = labels[:, :, 1::4] = 1
    box = Box((0, 60, 62), (8, 90, 92))
    made_result(scan, labels, box=box)
    found = measure(scan, "a", thickness=True)
    own = labels[box.slices]
    assert found["correlation"]["1"]["lengths"]["x"] == two_point(own, ClassTable.numbered(2))[0].lengths[2]
    assert found["thickness"]["blocks"] == found["thickness"]["of_blocks"] == 1
    assert found["thickness"]["phases"]["1"]["voxels"] == (own == 1).sum()
    assert "structure" not in found


def test_separate_slices_say_nothing_of_one_another(scan):
    """A pattern that is the same in all slices is alike along z, unless the slices are images of their own."""
    labels = np.broadcast_to(np.random.default_rng(0).integers(1, 3, SHAPE[1:], dtype=np.uint8), SHAPE)
    table = ClassTable.numbered(2)
    whole, apart = (two_point(labels, table, apart=given)[0] for given in (False, True))
    assert len(whole.probability[0]) == SHAPE[0] // 2
    assert whole.probability[0][1] == pytest.approx(whole.probability[0][0])
    assert len(apart.probability[0]) == 1
    for axis in (1, 2):
        np.testing.assert_allclose(apart.probability[axis], whole.probability[axis])
    made_result(scan, labels)
    scan.separate_slices = True
    assert len(measure(scan, "a")["correlation"]["1"]["probability"]["z"]) == 1


def test_the_representative_areas_of_separate_slices_are_those_of_single_slices(scan):
    labels = np.random.default_rng(0).integers(1, 3, SHAPE, dtype=np.uint8)
    made_result(scan, labels)
    scan.separate_slices = True
    curve = measure(scan, "a")["representative"]["1"]
    _, y, x = tile_edges(SHAPE, apart=True)
    for k in (1, 2):
        areas = [
            (plane[y[i] : y[i + k], x[j] : x[j + k]] == 1).mean() for plane in labels for i in range(len(y) - k) for j in range(len(x) - k)
        ]
        step = curve[k - 1]
        assert step["boxes"] == len(areas)
        assert (step["low"], step["median"], step["high"]) == pytest.approx(tuple(np.percentile(areas, [5, 50, 95])))
    assert curve[-1]["boxes"] == SHAPE[0]
    assert curve[-1]["edge"] == pytest.approx(30)
