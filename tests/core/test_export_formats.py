"""MetaImage, NRRD, one file a class, meshes and scores, read back by readers that are not the writers."""

from collections import Counter

import nrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lithoscope.classes import Class, ClassTable
from lithoscope.errors import InputError, MissingError, TakenError
from lithoscope.export import export, export_labels
from lithoscope.export.mesh import TRIANGLE, write_stl
from lithoscope.labels.predict import segment
from lithoscope.record import RunRecord
from lithoscope.segmenters import configured, segmenter
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.formats import open_source
from lithoscope.volume.voxel import Voxel

TABLE = ClassTable.of([Class(1, "pore", "#3b7dd8", 1.0), Class(2, "clay + silt", "#e69f00"), Class(3, "grain", "#2ca25f")])
VOXEL = Voxel((2.5, 1.25, 1.0), "um")


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 4, (9, 31, 23)).astype(np.uint8)


@pytest.fixture
def write(labels, tmp_path):
    def written(name, array=labels, **options):
        record = RunRecord(kind="export", method="export", parameters={}, source={"result": "otsu"})
        return export_labels(array, TABLE, tmp_path / name, record, voxel=VOXEL, **options)

    return written


@pytest.mark.parametrize("name", ["mask.mhd", "mask.mha", "mask.raw", "mask.nrrd"])
@pytest.mark.parametrize("values", [None, {3: 700}])
def test_what_is_written_with_a_header_is_read_back(labels, write, tmp_path, name, values):
    write(name, values=values)
    source = open_source(tmp_path / name)
    expected = labels if values is None else np.array([0, 1, 2, 700], np.uint16)[labels]
    assert source.dtype == expected.dtype
    np.testing.assert_array_equal(source.planes(0, 9), expected)
    assert source.voxel.um == pytest.approx(VOXEL.um)


@pytest.mark.parametrize(("compression", "encoding"), [("zlib", "gzip"), ("none", "raw")])
def test_nrrd_is_read_by_its_own_library(labels, write, tmp_path, compression, encoding):
    write("mask.nrrd", compression=compression)
    found, header = nrrd.read(str(tmp_path / "mask.nrrd"), index_order="C")
    np.testing.assert_array_equal(found, labels)
    assert header["encoding"] == encoding
    np.testing.assert_allclose(header["space directions"], np.diag([1.0, 1.25, 2.5]))
    assert header["space units"] == ["um"] * 3


def test_a_raw_file_lies_beside_its_header_and_both_are_kept_from_overwriting(write, tmp_path):
    (tmp_path / "mask.raw").write_bytes(b"mine")
    with pytest.raises(TakenError, match=r"mask\.raw exists"):
        write("mask.mhd")
    assert (tmp_path / "mask.raw").read_bytes() == b"mine"
    write("mask.mhd", overwrite=True)
    assert "ElementDataFile = mask.raw" in (tmp_path / "mask.mhd").read_text()
    with pytest.raises(TakenError):
        write("mask.raw")


def test_each_class_is_a_file_of_its_own(labels, write, tmp_path):
    record = write("mask.raw", only=["all"])
    assert record.parameters["files"] == ["mask_1_pore.raw", "mask_2_clay---silt.raw", "mask_3_grain.raw"]
    for id, name in enumerate(record.parameters["files"], 1):
        np.testing.assert_array_equal(np.fromfile(tmp_path / name, np.uint8).reshape(labels.shape), labels == id)


def test_one_class_is_written_with_the_number_that_was_given(labels, write, tmp_path):
    record = write("grain.mha", only=["Grain"], values={3: 255})
    assert record.output == "grain.mha"
    np.testing.assert_array_equal(open_source(tmp_path / "grain.mha").planes(0, 9), (labels == 3) * np.uint8(255))
    write("some.tif", only=["1", "grain"])
    assert {f.name for f in tmp_path.glob("some*.tif")} == {"some_1_pore.tif", "some_3_grain.tif"}


def test_a_class_that_is_not_there_is_said_before_anything_is_written(write, tmp_path):
    for only in (["quartz"], ["9"], ["pore", "quartz"]):
        with pytest.raises(MissingError, match="the classes are 1 pore, 2 clay"):
            write("mask.raw", only=only)
    with pytest.raises(InputError, match="from 1 to 65535"):
        write("mask.raw", only=["pore"], values={1: 0})
    assert not list(tmp_path.iterdir())


def test_what_is_outside_the_field_of_view_is_written_as_0(labels, write, tmp_path):
    view = np.zeros(labels.shape, bool)
    view[:, 5:20, 3:] = True
    write("mask.raw", inside=lambda box: view[box.slices])
    np.testing.assert_array_equal(np.fromfile(tmp_path / "mask.raw", np.uint8).reshape(labels.shape), labels * view)


def triangles(path):
    content = path.read_bytes()
    count = int.from_bytes(content[80:84], "little")
    assert len(content) == 84 + 50 * count
    return np.frombuffer(content[84:], TRIANGLE)


def volume_of(found):
    corners = found["corners"].astype(np.float64)
    return float(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def holes(found):
    """How many edges are not walked once in each direction."""
    walked = Counter()
    for triangle in np.round(found["corners"].astype(np.float64) * 4).astype(int).tolist():
        a, b, c = (tuple(p) for p in triangle)
        walked.update([(a, b), (b, c), (c, a)])
    return sum(count != walked[(b, a)] for (a, b), count in walked.items())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(2, 5)] * 3), st.integers(0, 99))
def test_a_mesh_is_closed_faces_outwards_and_is_the_same_whatever_the_blocks(tmp_path_factory, shape, edge, seed):
    solid = np.random.default_rng(seed).random(shape) < 0.5
    solid.flat[0] = True
    folder = tmp_path_factory.mktemp("mesh")
    for name, size in (("whole", (64, 64, 64)), ("blocks", edge)):
        write_stl(folder / name, lambda box: read(solid, box), shape, None, lambda *_: None, edge=size)
    whole, parts = triangles(folder / "whole"), triangles(folder / "blocks")
    assert holes(parts) == 0
    assert volume_of(parts) > 0
    assert volume_of(parts) == pytest.approx(volume_of(whole))
    assert sorted(map(bytes, np.sort(whole["corners"].reshape(len(whole), 9)))) == sorted(
        map(bytes, np.sort(parts["corners"].reshape(len(parts), 9)))
    )


def test_a_mesh_has_the_size_of_the_voxels(write, tmp_path):
    z, y, x = np.mgrid[0:24, 0:48, 0:60]
    ball = np.where(((z - 12) * 2.5) ** 2 + ((y - 24) * 1.25) ** 2 + (x - 30) ** 2 < 20**2, np.uint8(3), np.uint8(1))
    record = write("ball.stl", ball, only=["grain"])
    found = triangles(tmp_path / "ball.stl")
    assert record.parameters["triangles"] == len(found)
    assert record.parameters["unit"] == "micrometer"
    assert b"micrometer" in (tmp_path / "ball.stl").read_bytes()[:80]
    assert volume_of(found) == pytest.approx((ball == 3).sum() * 2.5 * 1.25, rel=0.02)
    assert found["corners"].min(axis=(0, 1)) == pytest.approx([10.5, 10.6, 11.25], abs=1.5)


def test_a_mesh_is_of_one_class(write, tmp_path):
    with pytest.raises(InputError, match="--class 1 pore or 2 clay"):
        write("mask.stl")
    with pytest.raises(InputError, match="no voxel of that class"):
        write("mask.stl", np.ones((3, 3, 3), np.uint8), only=["grain"])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def scan(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (6, 20, 24)).astype(np.uint8)
    np.save(tmp_path / "a.npy", image)
    scan = import_scan(tmp_path / "a.npy", tmp_path / "a.zarr", voxel=VOXEL, field_of_view="box:0:6,2:18,0:24")
    segment(scan, configured(segmenter("fuzzy"), {"classes": 3}), output="fuzzy")
    return scan


def test_scores_are_written_as_bytes(scan, tmp_path):
    record = export(scan, "fuzzy", tmp_path / "p.mha", scores=True)
    parts = np.stack([open_source(tmp_path / name).planes(0, 6) for name in record.parameters["files"]]).astype(int)
    assert parts.shape == (3, *scan.shape)
    inside = np.broadcast_to(scan.inside(Box.whole(scan.shape)), scan.shape)
    assert np.abs(parts.sum(0)[inside] - 255).max() <= 2
    assert not parts[:, ~inside].any()
    from lithoscope.labels.results import open_result

    labels = open_result(scan, "fuzzy").array[:]
    sure = inside & (parts.max(0) > 140)
    np.testing.assert_array_equal(parts.argmax(0)[sure] + 1, labels[sure])


def test_scores_of_one_class_go_to_the_file_that_was_named(scan, tmp_path):
    export(scan, "fuzzy", tmp_path / "p.tif", scores=True, only=["2"])
    assert (tmp_path / "p.tif").exists()
    with pytest.raises(InputError, match="not of scores"):
        export(scan, "fuzzy", tmp_path / "p.stl", scores=True)
    with pytest.raises(InputError, match="leave out --values"):
        export(scan, "fuzzy", tmp_path / "q.tif", scores=True, values={1: 2})


def test_labels_without_a_method_have_no_scores(scan, tmp_path):
    from lithoscope.labels.imports import import_labels

    np.save(tmp_path / "t.npy", np.ones(scan.shape, np.uint8))
    import_labels(scan, tmp_path / "t.npy", "given")
    with pytest.raises(MissingError, match="no scores"):
        export(scan, "given", tmp_path / "p.tif", scores=True)
