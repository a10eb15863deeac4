"""Every shared file that is a volume opens right: shape, type, voxel size and values, against a reader that is not ours."""

import gzip
import json
import struct
import zipfile

import nibabel
import numpy as np
import pytest
import tifffile

from lithoscope.cli import run
from lithoscope.errors import LithoscopeError
from lithoscope.volume.field_of_view import Cylinder, propose
from lithoscope.volume.formats import open_source
from lithoscope.volume.scan import sample_planes
from lithoscope.volume.simulate import Scanner, scan_of


def pixels_of_dicom(file):
    """The last bytes of an uncompressed slice, and the position that its header names, found without a DICOM reader."""
    content = file.read_bytes()
    at = content.index(b"\x20\x00\x32\x00")
    (length,) = struct.unpack("<I", content[at + 4 : at + 8])
    z = float(content[at + 8 : at + 8 + length].split(b"\\")[2])
    return z, np.frombuffer(content[-512 * 512 * 2 :], "<i2").reshape(512, 512)


def test_the_drill_core_is_ordered_by_place(shared_data):
    slices = sorted((pixels_of_dicom(f) for f in (shared_data / "volumes/core_dicom").glob("*.dcm")), key=lambda s: s[0])
    source = open_source(shared_data / "volumes/core_dicom")
    assert (source.shape, str(source.dtype)) == ((4, 512, 512), "int16")
    assert (source.voxel.size, source.voxel.unit) == ((0.5, 0.43, 0.43), "millimeter")
    found = source.planes(0, 4)
    assert np.array_equal(found, np.stack([plane for _, plane in slices]))
    assert found.min() == -8300
    assert (source.metadata["energy"], source.metadata["sample"]) == ("80 kV", "PAT_4636_39L")


@pytest.mark.parametrize(("name", "dtype"), [("example_ct_sm", "int16"), ("example_seg", "uint8"), ("example_seg_fast", "uint8")])
def test_the_body_is_canonical(shared_data, name, dtype):
    file = shared_data / f"labelled/body_ct/{name}.nii.gz"
    content = gzip.decompress(file.read_bytes())
    sizes, (offset,) = struct.unpack("<8h", content[40:56]), struct.unpack("<f", content[108:112])
    plain = np.frombuffer(content[int(offset) :], dtype).reshape(sizes[3:0:-1])
    assert nibabel.aff2axcodes(nibabel.load(file).affine) == ("R", "A", "S")
    source = open_source(file)
    assert (source.shape, str(source.dtype), source.voxel.size, source.voxel.unit) == ((30, 101, 122), dtype, (3, 3, 3), "millimeter")
    assert np.array_equal(source.planes(0, 30), plain)
    assert np.array_equal(source.planes(0, 30), np.asarray(nibabel.as_closest_canonical(nibabel.load(file)).dataobj).T)


def test_the_vessels_are_found_in_their_file(shared_data):
    import h5py

    file = shared_data / "geometry/vessels_256cube_LABELS.h5"
    source = open_source(file)
    assert (source.shape, str(source.dtype), source.voxel) == ((256, 256, 256), "uint8", None)
    with h5py.File(file) as opened:
        assert np.array_equal(source.planes(100, 104), opened["data"][100:104])
    assert open_source(file / "data").shape == source.shape


def test_berea_is_opened_once_it_is_unzipped(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "geometry/berea_400.zip") as packed:
        name = next(n for n in packed.namelist() if not n.endswith("/") and "MACOSX" not in n)
        packed.extract(name, tmp_path)
    file = tmp_path / name
    whole = tifffile.imread(file)
    source = open_source(file)
    assert (source.shape, str(source.dtype)) == ((400, 400, 400), "uint8")
    assert np.array_equal(source.planes(100, 120), whole[100:120])
    assert (whole == 0).mean() == pytest.approx(0.1965, abs=1e-3)


TIFFS = {
    "geometry/electrode.tiff": ((256, 256, 256), "uint8"),
    "labelled/phantom/phantom_recfbp.tif": ((8, 256, 256), "float32"),
    "labelled/phantom/phantom_gt.tif": ((8, 256, 256), "float32"),
    "volumes/polymer_slice.tif": ((1, 600, 600), "float32"),
    "scribbles/tem_cells/train_stack_small.tif": ((6, 518, 518), "uint8"),
    "scribbles/tem_cells/wss_train_labels.tiff": ((6, 518, 518), "uint8"),
    "scribbles/micrographs/2_phase.tif": ((1, 750, 750), "uint8"),
    "scribbles/micrographs/3_phase.tif": ((1, 751, 751), "uint8"),
    "labelled/battery/raw_1.tif": ((1, 499, 601), "float32"),
    "labelled/battery/raw_1501.tif": None,
    "labelled/sandstone/images0000.tif": ((1, 1000, 1000), "uint8"),
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiffs_hold_what_another_reader_finds(shared_data, name):
    expected = tifffile.imread(shared_data / name)
    source = open_source(shared_data / name)
    if TIFFS[name] is not None:
        assert (source.shape, str(source.dtype)) == TIFFS[name]
    assert np.array_equal(source.planes(0, source.shape[0]).reshape(expected.shape), expected, equal_nan=expected.dtype.kind == "f")


@pytest.mark.parametrize("name", ["blosc", "gzip", "zlib", "raw"])
def test_zarr_arrays_of_version_2_open(shared_data, name):
    if not (shared_data / f"zarr_v2/zarr.zr/{name}").is_dir():
        with pytest.raises(LithoscopeError, match="there is no"):
            open_source(shared_data / f"zarr_v2/zarr.zr/{name}")
        return
    import zarr

    source = open_source(shared_data / "zarr_v2/zarr.zr", dataset=name)
    assert source.shape == (512, 512, 3)
    assert np.array_equal(source.planes(10, 12), zarr.open_array(str(shared_data / f"zarr_v2/zarr.zr/{name}"), mode="r")[10:12])


def test_slices_of_rocks_are_separate_images(shared_data):
    source = open_source(shared_data / "retrieval/rock_slices", separate=True)
    assert (source.shape, str(source.dtype)) == ((9, 224, 224), "uint8")


@pytest.mark.parametrize(
    ("name", "shape", "voxel"),
    [("volumes/core_dicom", [4, 512, 512], [0.5, 0.43, 0.43]), ("labelled/body_ct/example_ct_sm.nii.gz", [30, 101, 122], [3, 3, 3])],
)
def test_the_command_line_imports_and_tells_what_the_file_said(shared_data, tmp_path, capsys, name, shape, voxel):
    run(["import", str(shared_data / name), str(tmp_path / "scan.zarr"), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["shape"], answer["voxel_size"], answer["unit"], answer["dtype"]) == (shape, voxel, "millimeter", "int16")
    run(["info", str(tmp_path / "scan.zarr")])
    assert answer["source"]["format"] in capsys.readouterr().out


NO_VIEW = [
    "volumes/soil_500x500_slices",
    "volumes/sand_200x200x100_uint8.raw",
    "geometry/vessels_256cube_LABELS.h5",
    "volumes/grain1_112x112x121_uint8.raw",
]


@pytest.mark.parametrize("name", NO_VIEW)
def test_sand_soil_and_a_background_of_zeros_have_no_field_of_view(shared_data, name):
    source = open_source(shared_data / name)
    planes = np.concatenate([source.planes(z, z + 1) for z in sample_planes(source.shape)])
    assert propose(planes, source.shape) is None


def test_a_simulated_scan_of_berea_is_round(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "geometry/berea_400.zip") as packed:
        name = next(n for n in packed.namelist() if not n.endswith("/") and "MACOSX" not in n)
        packed.extract(name, tmp_path)
    geometry = tifffile.imread(tmp_path / name)[:16]
    image = scan_of(geometry, {0: 60, 255: 150}, scanner=Scanner(rings=8, noise=15))
    assert isinstance(propose(image, image.shape), Cylinder)
