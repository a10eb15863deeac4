"""A scan is opened, described and changed; one that is not ours is never written to."""

import json

import numpy as np
import pytest
import zarr

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, MissingError, NewerSchemaError, UnreadableError
from lithoscope.labels.results import create, open_result
from lithoscope.record import RunRecord
from lithoscope.volume.convert import import_scan
from lithoscope.volume.field_of_view import Cylinder
from lithoscope.volume.formats.tiff import _ome_voxel
from lithoscope.volume.ome import _voxel
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel


def foreign(path, array, *, version="0.5", axes="zyx", unit="micrometer", scale=(3.0, 2.0, 1.0)):
    """An OME-Zarr image as another program would write it."""
    extra = len(axes) - len(scale)
    names = {"t": "time", "c": "channel"}
    multiscale = {
        "axes": [{"name": a, "type": names.get(a, "space"), **({"unit": unit} if unit and a in "zyx" else {})} for a in axes],
        "datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [*[1.0] * extra, *scale][-len(axes) :]}]}],
    }
    if version == "0.4":
        group = zarr.create_group(path, zarr_format=2, attributes={"multiscales": [{**multiscale, "version": "0.4"}]})
    else:
        group = zarr.create_group(path, attributes={"ome": {"version": version, "multiscales": [multiscale]}})
    group.create_array("s0", data=array, chunks=(1,) * (array.ndim - 3) + tuple(min(4, n) for n in array.shape[-3:]))
    return path


def values(shape=(6, 7, 8), dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def snapshot(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_foreign_image_is_used_in_place_and_never_written_to(tmp_path, version):
    array = values()
    path = foreign(tmp_path / "other.ome.zarr", array, version=version)
    before = snapshot(path)
    scan = Scan.open(path)
    assert not scan.ours
    assert (scan.name, scan.shape, scan.dtype, scan.voxel) == ("other", array.shape, array.dtype, Voxel((3, 2, 1)))
    assert scan.histogram.total == array.size
    assert scan.info()["percentiles"]["50"] == np.percentile(array, 50, method="inverted_cdf")
    scan.set(voxel=Voxel((9, 9, 9), "mm"), field_of_view=Cylinder(3, 3, 2))
    again = Scan.open(path)
    assert (again.voxel, again.field_of_view, again.uuid) == (Voxel((9, 9, 9), "mm"), Cylinder(3, 3, 2), scan.uuid)
    assert again.labels_folder == tmp_path / "other.lithoscope" / "labels"
    assert snapshot(path) == before


def test_its_content_hash_is_that_of_an_import(tmp_path):
    path = foreign(tmp_path / "other.zarr", values())
    assert Scan.open(path).content_hash == import_scan(path, tmp_path / "ours.zarr").content_hash


def test_opening_alone_writes_nothing(tmp_path):
    Scan.open(foreign(tmp_path / "other.zarr", values()))
    assert [p.name for p in tmp_path.iterdir()] == ["other.zarr"]


def test_a_read_only_scan_is_counted_but_not_changed(tmp_path):
    scan = Scan.open(foreign(tmp_path / "other.zarr", values()), readonly=True)
    assert scan.histogram.total == values().size
    assert scan.content_hash
    with pytest.raises(InputError, match="read-only"):
        scan.set(field_of_view="none")
    assert [p.name for p in tmp_path.iterdir()] == ["other.zarr"]


def test_single_times_and_channels_are_looked_through(tmp_path):
    array = values((1, 1, 6, 7, 8))
    scan = Scan.open(foreign(tmp_path / "a.zarr", array, axes="tczyx"))
    assert scan.shape == (6, 7, 8)
    assert np.array_equal(scan.levels[0][2:4, 1, :], array[0, 0, 2:4, 1, :])
    assert scan.levels[0][1, 2, 3] == array[0, 0, 1, 2, 3]
    assert np.array_equal(scan.levels[0][...], array[0, 0])
    assert np.array_equal(scan.levels[0][-1], array[0, 0, -1])


def test_a_plane_is_a_scan_of_one_slice(tmp_path):
    array = values((7, 8))
    scan = Scan.open(foreign(tmp_path / "a.zarr", array, axes="yx", scale=(2.0, 1.0)))
    assert scan.shape == (1, 7, 8)
    assert np.array_equal(scan.levels[0][:], array[None])
    assert np.array_equal(scan.levels[0][0], array)
    assert scan.dimensions() == (2, "the scan is a single slice")


def test_several_channels_are_refused(tmp_path):
    with pytest.raises(UnreadableError, match="2 entries along its axis 'c'"):
        Scan.open(foreign(tmp_path / "a.zarr", values((2, 6, 7, 8)), axes="czyx"))


def test_an_image_without_a_unit_has_no_voxel_size(tmp_path):
    assert Scan.open(foreign(tmp_path / "a.zarr", values(), unit=None)).voxel is None


def test_axes_in_unlike_units_are_brought_to_one():
    units = {"z": "micrometer", "y": "nanometer", "x": "nanometer"}
    assert _voxel(("z", "y", "x"), (2.0, 500.0, 400.0), units) == Voxel((2000, 500, 400), "nm")
    text = (
        '<OME><Image><Pixels PhysicalSizeX="400" PhysicalSizeXUnit="nm" PhysicalSizeY="500" PhysicalSizeZ="2" PhysicalSizeZUnit="µm"/>'
        "</Image></OME>"
    )
    assert _ome_voxel(text) == Voxel((2000, 500, 400), "nm")


def test_what_is_no_scan_is_refused_with_the_way_to_import_it(tmp_path):
    with pytest.raises(MissingError, match="lithoscope import"):
        Scan.open(tmp_path / "none.zarr")
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "file.zarr").write_text("hello")
    zarr.create_group(tmp_path / "group.zarr")
    zarr.create_array(tmp_path / "array.zarr", data=values())
    for name in ("folder", "file", "group", "array"):
        with pytest.raises(UnreadableError, match="lithoscope import"):
            Scan.open(tmp_path / f"{name}.zarr")


def test_metadata_that_is_not_valid_is_refused_in_one_line(tmp_path):
    path = foreign(tmp_path / "a.zarr", values())
    meta = json.loads((path / "zarr.json").read_text())
    del meta["attributes"]["ome"]["multiscales"][0]["axes"]
    (path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(UnreadableError, match="axes") as caught:
        Scan.open(path)
    assert "\n" not in str(caught.value)


def test_a_level_that_is_gone_is_said(tmp_path):
    path = foreign(tmp_path / "a.zarr", values())
    (path / "s0" / "zarr.json").unlink()
    with pytest.raises(UnreadableError, match="incomplete"):
        Scan.open(path)


def test_versions_that_nobody_knows_are_refused(tmp_path):
    with pytest.raises(UnreadableError, match=r"0\.9"):
        Scan.open(foreign(tmp_path / "a.zarr", values(), version="0.9"))


def ours(tmp_path, shape=(20, 6, 7), **options):
    np.save(tmp_path / "a.npy", values(shape))
    return import_scan(tmp_path / "a.npy", tmp_path / "a.zarr", **options)


def test_a_newer_schema_is_refused(tmp_path):
    scan = ours(tmp_path)
    group = zarr.open_group(scan.path)
    group.attrs["lithoscope"] = {**scan.own, "schema": 99}
    with pytest.raises(NewerSchemaError, match="update it"):
        Scan.open(scan.path)


def test_a_newer_sidecar_is_refused(tmp_path):
    scan = ours(tmp_path)
    state = scan.sidecar / "scan.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "schema": 99}))
    with pytest.raises(NewerSchemaError):
        Scan.open(scan.path)


def test_a_sidecar_of_another_scan_is_refused(tmp_path):
    scan = ours(tmp_path)
    state = scan.sidecar / "scan.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "uuid": "another"}))
    with pytest.raises(InputError, match="belongs to another scan"):
        Scan.open(scan.path)


def test_a_lost_sidecar_is_counted_again(tmp_path):
    import shutil

    scan = ours(tmp_path)
    shutil.rmtree(scan.sidecar)
    again = Scan.open(scan.path)
    assert again.histogram.total == 20 * 6 * 7
    assert again.uuid == scan.uuid


def test_the_voxel_size_is_changed_where_others_read_it(tmp_path):
    scan = ours(tmp_path)
    scan.set(voxel=Voxel((5, 5, 5), "nm"))
    ome = zarr.open_group(scan.path, mode="r").attrs["ome"]
    assert ome["multiscales"][0]["axes"][0]["unit"] == "nanometer"
    assert Scan.open(scan.path).voxel == Voxel((5, 5, 5), "nm")
    scan.set(voxel=None)
    assert Scan.open(scan.path).voxel is None


def test_the_voxel_size_of_results_follows(tmp_path):
    scan = ours(tmp_path)
    with create(scan, "otsu", RunRecord("segment", "otsu", {}, {}, output="otsu"), ClassTable.numbered(2)) as writer:
        writer.write(scan.box, np.ones(scan.shape, np.uint8))
        writer.finish(writer.record)
    scan.set(voxel=Voxel((3, 5, 7), "nm"))
    ome = zarr.open_group(scan.labels_folder / "otsu", mode="r").attrs["ome"]
    assert ome["multiscales"][0]["axes"][0]["unit"] == "nanometer"
    assert ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [3, 5, 7]
    assert len(ome["image-label"]["colors"]) == 2
    assert open_result(scan, "otsu").classes == ClassTable.numbered(2)


@pytest.mark.parametrize("half", [0, 7, 200])
def test_a_damaged_histogram_is_counted_again(tmp_path, half):
    scan = ours(tmp_path)
    wanted, place = scan.histogram.counts, scan.sidecar / "histogram.npz"
    place.write_bytes(place.read_bytes()[:half])
    np.testing.assert_array_equal(Scan.open(scan.path).histogram.counts, wanted)


def test_the_folder_in_which_one_stands_is_a_scan(tmp_path, monkeypatch):
    scan = ours(tmp_path)
    monkeypatch.chdir(scan.path)
    assert Scan.open(".").name == scan.name
    assert Scan.open(".").sidecar == scan.sidecar.resolve()


def test_dimensions_follow_slices_and_spacing(tmp_path):
    scan = ours(tmp_path)
    assert scan.dimensions()[0] == 3
    scan.voxel = Voxel((3.1, 1, 1))
    assert scan.dimensions()[0] == 2
    assert "three times" in scan.dimensions()[1]


def test_info_is_plain_json_with_the_agreed_keys(tmp_path):
    info = json.loads(json.dumps(ours(tmp_path, voxel=Voxel((1, 2, 3), "um")).info(), allow_nan=False))
    assert {"shape", "dtype", "voxel_size", "unit", "levels", "percentiles", "fov", "results"} <= set(info)
    assert (info["shape"], info["dtype"], info["voxel_size"], info["unit"]) == ([20, 6, 7], "uint8", [1, 2, 3], "micrometer")


def test_filtered_images_are_found_by_name(tmp_path):
    scan = ours(tmp_path)
    with pytest.raises(MissingError, match="none yet"):
        scan.array("nlm")
    with pytest.raises(MissingError):
        scan.array("../secrets")
    group = zarr.create_group(scan.sidecar / "images" / "nlm")
    group.create_array("0", data=values((20, 6, 7)))
    assert scan.images() == ["nlm"]
    assert np.array_equal(scan.array("nlm")[:], values((20, 6, 7)))


def test_a_scan_deleted_while_open_is_said_not_counted_as_zeros(tmp_path):
    import shutil

    scan = ours(tmp_path)
    shutil.rmtree(scan.path)
    with pytest.raises(MissingError, match="gone"):
        scan.count()
