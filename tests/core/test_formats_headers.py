"""Volumes described by a header come back as they were written, and never with the wrong sizes."""

import gzip

import nibabel
import nrrd
import numpy as np
import pytest
from formats_data import contents, values, write_dicom, write_txm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError, LithoscopeError, MissingError, UnreadableError
from lithoscope.volume.convert import import_scan
from lithoscope.volume.formats import open_source

MET = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "uint16": "MET_USHORT", "float32": "MET_FLOAT"}


def write_mhd(folder, volume, *, header="a.mhd", data="a.raw", **fields):
    z, y, x = volume.shape
    said = {"ObjectType": "Image", "NDims": 3, "DimSize": f"{x} {y} {z}", "ElementType": MET[volume.dtype.name], **fields}
    said["ElementDataFile"] = said.pop("ElementDataFile", data)
    text = "".join(f"{k} = {v}\n" for k, v in said.items()).encode()
    packed = gzip.compress(volume.tobytes()) if fields.get("CompressedData") else volume.tobytes()
    if said["ElementDataFile"] == "LOCAL":
        (folder / header).write_bytes(text + packed)
    else:
        (folder / header).write_bytes(text)
        (folder / data).write_bytes(packed)
    return folder / header


@pytest.mark.parametrize("dtype", MET)
@pytest.mark.parametrize("fields", [{}, {"CompressedData": True}, {"ElementDataFile": "LOCAL"}], ids=str)
def test_metaimages_come_back(tmp_path, dtype, fields):
    volume = values(dtype=dtype)
    found, source = contents(write_mhd(tmp_path, volume, ElementSpacing="1.5 2 3", **fields))
    assert np.array_equal(found, volume)
    assert (source.voxel.size, source.voxel.unit) == ((3, 2, 1.5), "millimeter")
    assert "taken to be mm" in source.metadata["unit"]


def test_the_order_of_bytes_and_the_unit_of_a_metaimage_are_heeded(tmp_path):
    volume = values(dtype=np.uint16)
    file = write_mhd(tmp_path, volume.byteswap(), BinaryDataByteOrderMSB=True, ElementSpacing="2 2 2", DistanceUnits="um")
    found, source = contents(file)
    assert np.array_equal(found, volume)
    assert str(source.voxel) == "2 µm"


def test_a_raw_file_is_read_through_the_header_beside_it(tmp_path):
    volume = values()
    write_mhd(tmp_path, volume)
    assert np.array_equal(contents(tmp_path / "a.raw")[0], volume)


def test_metaimages_of_one_file_a_slice_are_read(tmp_path):
    volume = values()
    for z, plane in enumerate(volume):
        (tmp_path / f"s{z + 1:02d}.raw").write_bytes(plane.tobytes())
    file = write_mhd(tmp_path, volume, data="unused", ElementDataFile="s%02d.raw 1 5 1")
    assert np.array_equal(contents(file)[0], volume)
    file.write_text(file.read_text().replace("s%02d.raw 1 5 1", "LIST\n" + "\n".join(f"s{z + 1:02d}.raw" for z in range(5))))
    assert np.array_equal(contents(file)[0], volume)


@pytest.mark.parametrize("sizes", ["6 7 6", "6 7 4", "7 7 5", "600000 700000 500000", "6 0 5", "6 7", "6 x 5"])
def test_wrong_sizes_in_a_metaimage_are_refused(tmp_path, sizes):
    file = write_mhd(tmp_path, values(), DimSize=sizes)
    with pytest.raises(UnreadableError) as caught:
        import_scan(file, tmp_path / "scan.zarr")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("scan*"))


@pytest.mark.parametrize("packed", [False, True])
def test_metaimages_cut_short_are_refused(tmp_path, packed):
    file = write_mhd(tmp_path, values((5, 40, 40)), **({"CompressedData": True} if packed else {}))
    (tmp_path / "a.raw").write_bytes((tmp_path / "a.raw").read_bytes()[:-900])
    with pytest.raises(UnreadableError, match=r"a\.raw is cut short"):
        import_scan(file, tmp_path / "scan.zarr")
    (tmp_path / "a.raw").unlink()
    with pytest.raises(MissingError, match="not beside it"):
        open_source(file)


@pytest.mark.parametrize("content", ["", "no header\n", "NDims = 3\nDimSize = 1 2 3\n", "\x00\xff\x00"])
def test_what_is_no_metaimage_is_refused(tmp_path, content):
    (tmp_path / "a.mhd").write_text(content)
    with pytest.raises(UnreadableError):
        open_source(tmp_path / "a.mhd")


def test_channels_and_times_of_a_metaimage_are_chosen(tmp_path):
    volume = values((2, 5, 7, 6), np.uint8)
    file = write_mhd(tmp_path, volume.reshape(10, 7, 6), NDims=4, DimSize="6 7 5 2")
    with pytest.raises(UnreadableError, match="2 time points; choose one: --time"):
        open_source(file)
    assert np.array_equal(contents(file, time=1)[0], volume[1])
    colours = values((5, 7, 6, 3), np.uint8)
    (tmp_path / "c.mhd").write_text(
        "NDims = 3\nDimSize = 6 7 5\nElementNumberOfChannels = 3\nElementType = MET_UCHAR\nElementDataFile = c.raw\n"
    )
    (tmp_path / "c.raw").write_bytes(colours.tobytes())
    assert np.array_equal(contents(tmp_path / "c.mhd", channel=2)[0], colours[..., 2])
    with pytest.raises(InputError, match="no channel 3"):
        open_source(tmp_path / "c.mhd", channel=3)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("detached", [False, True])
def test_nrrd_comes_back(tmp_path, encoding, dtype, detached):
    volume = values(dtype=dtype)
    header = {"encoding": encoding, "spacings": [1.5, 2, 3], "units": ["um"] * 3, "content": "core 7"}
    file = tmp_path / ("a.nhdr" if detached else "a.nrrd")
    nrrd.write(str(file), volume, header, index_order="C", detached_header=False)
    found, source = contents(file)
    assert np.array_equal(found, volume)
    assert (source.voxel.size, source.voxel.unit, source.metadata["sample"]) == ((3, 2, 1.5), "micrometer", "core 7")


def test_the_directions_of_an_nrrd_give_its_voxel_size(tmp_path):
    header = {"space": "left-posterior-superior", "space directions": np.array([[0, 0.6, 0.8], [2, 0, 0], [0, 0, 3]])}
    nrrd.write(str(tmp_path / "a.nrrd"), values(), header, index_order="C")
    _, source = contents(tmp_path / "a.nrrd")
    assert source.voxel.size == pytest.approx((3, 2, 1))


def test_an_nrrd_cut_short_or_of_nonsense_is_refused(tmp_path):
    nrrd.write(str(tmp_path / "a.nrrd"), values(), {"encoding": "raw"}, index_order="C")
    whole = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(whole[:-5])
    with pytest.raises(UnreadableError, match="cut short"):
        open_source(tmp_path / "a.nrrd")
    for nonsense in (b"NRRD0004\n", b"PNG", b"NRRD0005\ntype: int\ndimension: x\n\n", whole.replace(b"sizes", b"sises")):
        (tmp_path / "a.nrrd").write_bytes(nonsense)
        with pytest.raises(UnreadableError):
            open_source(tmp_path / "a.nrrd")


def save_nifti(file, volume_xyz, affine, **header):
    image = nibabel.Nifti1Image(volume_xyz, affine)
    image.header.set_xyzt_units(header.get("unit", "mm"))
    if "slope" in header:
        image.header.set_slope_inter(header["slope"], header["inter"])
    nibabel.save(image, file)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(3)), st.tuples(*[st.sampled_from([-1, 1])] * 3), st.sampled_from([".nii", ".nii.gz"]))
def test_nifti_is_turned_to_its_canonical_orientation(tmp_path_factory, order, signs, suffix):
    volume = values((3, 4, 5))
    affine = np.eye(4)
    affine[:3, :3] = np.diag(np.array(signs) * (0.5, 2, 3.0))[:, list(order)]
    file = tmp_path_factory.mktemp("n") / f"a{suffix}"
    save_nifti(file, volume, affine)
    found, source = contents(file)
    canonical = nibabel.as_closest_canonical(nibabel.load(file))
    assert np.array_equal(found, np.asarray(canonical.dataobj).T)
    assert source.voxel.size == pytest.approx(canonical.header.get_zooms()[::-1])


@pytest.mark.parametrize(("slope", "inter", "dtype"), [(1, -1024, "int32"), (0.5, 0, "float32")])
@pytest.mark.parametrize("affine", [np.eye(4), np.eye(4)[[2, 0, 1, 3]]], ids=["slices", "across"])
def test_nifti_is_rescaled(tmp_path, slope, inter, dtype, affine):
    image = nibabel.Nifti1Image(values(), affine)
    image.header["scl_slope"], image.header["scl_inter"] = slope, inter
    raw = bytes(image.to_bytes())
    header = nibabel.Nifti1Header.from_fileobj(__import__("io").BytesIO(raw))
    header["scl_slope"], header["scl_inter"] = slope, inter
    (tmp_path / "a.nii").write_bytes(header.binaryblock + raw[len(header.binaryblock) :])
    found, source = contents(tmp_path / "a.nii")
    expected = np.asarray(nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.nii")).dataobj).T
    assert str(source.dtype) == dtype
    assert np.allclose(found, expected)


def test_a_nifti_without_a_place_is_left_as_it_is_stored(tmp_path):
    volume = values((3, 4, 5))
    image = nibabel.Nifti1Image(volume, None)
    image.header.set_xyzt_units("micron")
    image.header.set_zooms((2, 3, 4))
    nibabel.save(image, tmp_path / "a.nii.gz")
    found, source = contents(tmp_path / "a.nii.gz")
    assert np.array_equal(found, volume.T)
    assert (source.voxel.size, source.voxel.unit) == ((4, 3, 2), "micrometer")


def test_times_of_a_nifti_are_chosen(tmp_path):
    volume = values((3, 4, 5, 2))
    save_nifti(tmp_path / "a.nii.gz", volume, np.eye(4))
    with pytest.raises(UnreadableError, match="2 time points"):
        open_source(tmp_path / "a.nii.gz")
    assert np.array_equal(contents(tmp_path / "a.nii.gz", time=1)[0], volume[..., 1].T)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_cut_short_is_refused(tmp_path, suffix):
    save_nifti(tmp_path / f"a{suffix}", values((20, 20, 20)), np.eye(4))
    whole = (tmp_path / f"a{suffix}").read_bytes()
    for part in (len(whole) - 200, 200, 3):
        (tmp_path / f"a{suffix}").write_bytes(whole[:part])
        with pytest.raises(UnreadableError):
            import_scan(tmp_path / f"a{suffix}", tmp_path / "scan.zarr")
        assert not list(tmp_path.glob("scan*"))


VGI = """{{volume1}}
[representation]
size = {x} {y} {z}
datatype = unsigned integer
datarange = 0 -1
bitsperelement = 16
[file1]
FileFormat = raw
Size = {x} {y} {z}
Name = C:\\scans\\a.vol
Datatype = unsigned integer
BitsPerElement = 16
{{volumeprimitive12}}
[geometry]
resolution = 0.01 0.02 0.03
unit = mm
"""


@pytest.mark.parametrize("name", ["a.vgi", "a.vol"])
def test_vgstudio_volumes_come_back(tmp_path, name):
    volume = values(dtype=np.uint16)
    (tmp_path / "a.vgi").write_text(VGI.format(z=5, y=7, x=6))
    (tmp_path / "a.vol").write_bytes(volume.tobytes())
    found, source = contents(tmp_path / name)
    assert np.array_equal(found, volume)
    assert (source.voxel.size, source.voxel.unit) == ((0.03, 0.02, 0.01), "millimeter")


def test_vgstudio_volumes_of_wrong_sizes_are_refused(tmp_path):
    (tmp_path / "a.vgi").write_text(VGI.format(z=6, y=7, x=6))
    (tmp_path / "a.vol").write_bytes(values(dtype=np.uint16).tobytes())
    with pytest.raises(UnreadableError, match="cut short"):
        open_source(tmp_path / "a.vgi")
    (tmp_path / "a.vgi").write_text("[representation]\nsize = 3\n")
    with pytest.raises(UnreadableError, match="names no file"):
        open_source(tmp_path / "a.vgi")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_zeiss_reconstructions_come_back(tmp_path, dtype):
    volume = values((4, 9, 50), dtype)
    write_txm(tmp_path / "a.txm", volume, pixelsize=1.25, Voltage=80.0)
    found, source = contents(tmp_path / "a.txm")
    assert np.array_equal(found, volume)
    assert (str(source.voxel), source.metadata["voltage"]) == ("1.25 µm", "80 kV")


def test_zeiss_projections_and_damage_are_refused(tmp_path):
    write_txm(tmp_path / "a.txm", values((4, 9, 50), np.uint16))
    (tmp_path / "a.txrm").write_bytes((tmp_path / "a.txm").read_bytes())
    with pytest.raises(UnreadableError, match="projections"):
        open_source(tmp_path / "a.txrm")
    for content in ((tmp_path / "a.txm").read_bytes()[:3000], b"nothing"):
        (tmp_path / "a.txm").write_bytes(content)
        with pytest.raises(UnreadableError):
            import_scan(tmp_path / "a.txm", tmp_path / "scan.zarr")


@pytest.mark.parametrize(
    ("name", "module"), [("a.nii", "nibabel"), ("a.nrrd", "nrrd"), ("a.h5", "h5py"), ("a.txm", "olefile"), ("a.dcm", "pydicom")]
)
def test_a_library_that_is_not_there_is_named_with_the_extra(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    (tmp_path / name).write_bytes(b"x" * 400)
    with pytest.raises(LithoscopeError, match=rf"{module} is not installed; install it: pip install 'lithoscope\[formats\]'"):
        open_source(tmp_path / name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["a.mha", "a.nii", "b.nii.gz", "a.nrrd", "a.dcm"]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
)
def test_a_damaged_header_is_read_or_refused_in_one_line(tmp_path_factory, name, changes):
    folder, volume = tmp_path_factory.mktemp("f"), values((3, 9, 20))
    save_nifti(folder / "a.nii", volume, np.eye(4))
    save_nifti(folder / "b.nii.gz", volume, np.eye(4)[[2, 0, 1, 3]])
    write_mhd(folder, volume, header="a.mha", ElementDataFile="LOCAL")
    nrrd.write(str(folder / "a.nrrd"), volume, {"encoding": "gzip"}, index_order="C")
    write_dicom(folder / "a.dcm", volume[0])
    content = bytearray((folder / name).read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    (folder / name).write_bytes(content)
    said = ""
    try:
        source = open_source(folder / name)
        source.planes(0, min(source.shape[0], 3))
        source.close()
    except LithoscopeError as error:
        said = str(error)
    assert "\n" not in said
