"""Local thickness against spheres that are tried one by one, whatever the blocks, and on shapes whose thickness is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from segment_data import scan_of, three_phases

from lithoscope.job import Cancelled
from lithoscope.labels.predict import segment
from lithoscope.measure import thickness as module
from lithoscope.measure.phases import measure
from lithoscope.measure.spheres import distances, largest_spheres
from lithoscope.measure.thickness import Thickness, local_thickness, thickness
from lithoscope.segmenters import segmenter
from lithoscope.volume.field_of_view import Cylinder


def one_by_one(labels, ids, edges, known=None):
    """The diameter over each voxel of a phase, by the definition."""
    known = labels > 0 if known is None else known & (labels > 0)
    phase = np.isin(labels, ids) & known
    walls = np.argwhere(known & ~phase) * edges
    centres = np.argwhere(phase)
    found = np.zeros(labels.shape)
    everywhere = np.argwhere(np.ones(labels.shape, bool)) * edges
    for centre in centres * edges:
        square = ((walls - centre) ** 2).sum(axis=1).min(initial=module.LARGEST**2)
        within = (((everywhere - centre) ** 2).sum(axis=1) < square - 1e-6).reshape(labels.shape)
        found[within] = np.maximum(found[within], 2 * square**0.5)
    return found[phase]


def counted(values):
    one = Thickness()
    one.add(values.astype(np.float32))
    return one.voxels


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_thickness_is_that_of_the_largest_sphere_whatever_the_blocks(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=11))
    part = data.draw(st.floats(0.02, 0.6))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    labels = np.where(rng.random(shape) < part, rng.choice([0, 2, 3], shape), 1).astype(np.uint8)
    edges = data.draw(st.sampled_from([(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.5, 1.0, 1.25)]))
    edge = data.draw(st.tuples(*[st.integers(2, 12)] * 3))
    found, done, of = local_thickness(labels, [[1], [2, 3]], edges=edges, edge=edge, most=1000)
    assert done == of
    for ids, one in zip(([1], [2, 3]), found, strict=True):
        assert one.voxels == counted(one_by_one(labels, ids, edges))


def test_spheres_larger_than_the_window_looked_at_first_are_found(monkeypatch):
    rng = np.random.default_rng(2)
    labels = np.ones((30, 30, 30), np.uint8)
    labels[tuple(rng.integers(0, 30, (3, 12)))] = 2
    monkeypatch.setattr(module, "FIRST", 2.0)
    monkeypatch.setattr(module, "LARGEST", 9.0)
    found, _, _ = local_thickness(labels, [[1]], edge=(7, 8, 9), most=1000)
    assert found[0].voxels == counted(one_by_one(labels, [1], (1.0, 1.0, 1.0)))
    assert max(found[0].voxels) == 18
    assert found[0].to_json(1.0)["cut_off"] > 0


@pytest.mark.timeout(120)
def test_looking_farther_comes_to_an_end_whatever_the_radius(tmp_path):
    """In this block the radius is one that adding and taking away 2 makes smaller."""
    from lithoscope.labels.results import open_result
    from lithoscope.sample import simulate

    scan = simulate(tmp_path / "rock.zarr", shape=(32, 200, 200), seed=3)
    labels = np.asarray(open_result(scan, "truth").array[:])
    seen = module._Seen(labels, scan.field_of_view, module.Box.whole(labels.shape), (1.0, 1.0, 1.0))
    assert seen.diameters(module.Box((0, 0, 0), (32, 96, 96)), [2]).max() == pytest.approx(2 * 53**0.5)


def test_spheres_begin_within_the_field_of_view_alone():
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([1, 1, 1, 2], np.uint8), (8, 21, 21))
    view = Cylinder(10, 10, 8)
    y, x = np.mgrid[:21, :21] - 10
    known = np.broadcast_to(y**2 + x**2 <= 64, labels.shape)
    found, _, _ = local_thickness(labels, [[1]], field_of_view=view, edge=(4, 7, 21))
    assert found[0].voxels == counted(one_by_one(labels, [1], (1.0, 1.0, 1.0), known))


def test_a_plate_and_a_ball_are_as_thick_as_they_are():
    plate = np.full((30, 20, 20), 2, np.uint8)
    plate[10:17] = 1
    assert 7 <= local_thickness(plate, [[1]])[0][0].to_json(1.0)["mean"] <= 8
    at = np.indices((33, 33, 33)) - 16
    ball = np.where((at**2).sum(axis=0) <= 12.5**2, 1, 2).astype(np.uint8)
    found = local_thickness(ball, [[1]])[0][0].to_json(2.5)
    assert found["largest"] == pytest.approx(2.5 * 25, rel=0.03)
    assert found["mean"] == pytest.approx(2.5 * 25, rel=0.06)
    assert sum(found["distribution"]["fraction"]) == pytest.approx(1, abs=1e-4)


def test_large_groups_of_spheres_are_drawn_as_one_by_one(monkeypatch):
    labels = np.full((12, 30, 30), 2, np.uint8)
    labels[4:8, 2:-2, 2:-2] = 1
    radii = distances(labels == 2, (1.0, 1.0, 1.0))
    by_ones = largest_spheres(radii, (2, 2, 2), (10, 25, 25), (1.0, 1.0, 1.0))
    monkeypatch.setattr("lithoscope.measure.spheres._DRAWN", 0)
    np.testing.assert_array_equal(by_ones, largest_spheres(radii, (2, 2, 2), (10, 25, 25), (1.0, 1.0, 1.0)))


def test_of_a_large_volume_blocks_spread_over_it_are_measured():
    labels = np.random.default_rng(1).integers(1, 3, (40, 40, 40), np.uint8)
    found, done, of = local_thickness(labels, [[1]], edge=(8, 8, 8), most=20)
    assert (done, of) == (20, 125)
    whole = local_thickness(labels, [[1]], edge=(8, 8, 8), most=1000)[0][0].to_json(1.0)
    assert found[0].to_json(1.0)["mean"] == pytest.approx(whole["mean"], rel=0.02)


def test_a_phase_that_is_nowhere_and_one_without_walls():
    found, _, _ = local_thickness(np.ones((4, 5, 6), np.uint8), [[1], [2]])
    assert found[1].to_json(1.0) is None
    assert found[0].to_json(1.0)["cut_off"] == 1


def test_measuring_thickness_stops_when_cancelled():
    def cancel(progress):
        if progress.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        local_thickness(np.ones((8, 4, 4), np.uint8), [[1]], edge=(2, 4, 4), report=cancel)


def test_the_thickness_of_a_result_is_in_its_unit_and_of_all_pores_together(tmp_path):
    from lithoscope.cli.commands import command

    scan = scan_of(three_phases((10, 60, 60)), tmp_path / "rock.zarr", shard=(8, 32, 32))
    segment(scan, segmenter("otsu")(classes=3), output="otsu")
    command("labels_classes")(str(scan.path), "otsu", changes=["1:name=pore,porosity=1", "2:name=clay,porosity=0.3"])
    found = measure(scan, "otsu", thickness=True)["thickness"]
    assert found == thickness(scan, "otsu")
    assert set(found["phases"]) == {"1", "2", "3", "pore_space"}
    assert found["unit"] == scan.voxel.symbol
    assert found["phases"]["pore_space"]["mean"] >= found["phases"]["1"]["mean"]
    assert (found["blocks"], found["of_blocks"]) == (1, 1)
