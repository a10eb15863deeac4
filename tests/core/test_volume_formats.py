"""Every format gives back what was written, and says in one line what it will not read."""

import formats_data
import numpy as np
import PIL.Image
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.volume.formats import open_source, propose_raw
from lithoscope.volume.voxel import Voxel


def volume(shape=(5, 7, 6), dtype=np.uint16, seed=0):
    return formats_data.values(shape, dtype, seed)


def contents(path, **options):
    return formats_data.contents(path, **options)[0]


DTYPES = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)}], ids=str)
def test_tiff_stacks_of_every_type_come_back(tmp_path, dtype, options):
    array = volume(dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", **options)
    assert np.array_equal(contents(tmp_path / "a.tif"), array)


def test_half_floats_become_floats_and_bits_become_bytes(tmp_path):
    half = volume(dtype=np.float16)
    tifffile.imwrite(tmp_path / "half.tif", half, photometric="minisblack")
    assert np.array_equal(contents(tmp_path / "half.tif"), half.astype(np.float32))
    bits = volume() % 2 == 0
    tifffile.imwrite(tmp_path / "bits.tif", bits, photometric="minisblack")
    assert np.array_equal(contents(tmp_path / "bits.tif"), bits.astype(np.uint8))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[st.integers(1, 6)] * 3), st.sampled_from(["tif", "imagej", "ome", "npy", "raw", "v2", "v3", "folder"]))
def test_any_shape_comes_back_from_any_format(tmp_path_factory, shape, kind):
    place, array = tmp_path_factory.mktemp("any"), volume(shape)
    options = {}
    if kind == "tif":
        path = place / "a.tif"
        tifffile.imwrite(path, array, photometric="minisblack")
    elif kind == "imagej":
        path = place / "a.tif"
        tifffile.imwrite(path, array.reshape(1, shape[0], 1, *shape[1:], 1), imagej=True)
    elif kind == "ome":
        path = place / "a.ome.tif"
        tifffile.imwrite(path, array, ome=True, photometric="minisblack", metadata={"axes": "ZYX"})
    elif kind == "npy":
        path = place / "a.npy"
        np.save(path, np.asfortranarray(array))
    elif kind == "raw":
        path = place / "a.raw"
        array.astype(">u2").tofile(path)
        options = {"shape": shape, "dtype": "uint16", "byte_order": "big"}
    elif kind in ("v2", "v3"):
        path = place / "a.zarr"
        zarr.create_array(path, data=array, chunks=(2, 3, 4), zarr_format=int(kind[1]))
    else:
        path = place / "slices"
        path.mkdir()
        for z, plane in enumerate(array):
            tifffile.imwrite(path / f"s{z}.tif", plane, photometric="minisblack")
    assert np.array_equal(contents(path, **options), array)


def test_voxel_sizes_are_read_from_imagej_and_ome(tmp_path):
    array = volume()
    tifffile.imwrite(
        tmp_path / "ij.tif", array, imagej=True, resolution=(0.5, 0.25), metadata={"unit": "um", "spacing": 3.0, "axes": "ZYX"}
    )
    assert open_source(tmp_path / "ij.tif").voxel == Voxel((3, 4, 2), "micrometer")
    sizes = {"PhysicalSizeX": 0.8, "PhysicalSizeY": 0.9, "PhysicalSizeZ": 2.5, "PhysicalSizeXUnit": "nm", "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, photometric="minisblack", metadata=sizes)
    assert open_source(tmp_path / "a.ome.tif").voxel == Voxel((2.5, 0.9, 0.8), "nanometer")


def test_a_printers_resolution_is_no_voxel_size(tmp_path):
    tifffile.imwrite(tmp_path / "dpi.tif", volume(), photometric="minisblack", resolution=(300, 300), resolutionunit="INCH")
    assert open_source(tmp_path / "dpi.tif").voxel is None


@pytest.mark.parametrize("shape", [(4, 5, 3), (6, 4, 5, 3)])
def test_colour_is_refused_with_a_way_out(tmp_path, shape):
    tifffile.imwrite(tmp_path / "rgb.tif", volume(shape, np.uint8), photometric="rgb")
    with pytest.raises(UnreadableError, match=r"RGB.*convert it to grey first"):
        open_source(tmp_path / "rgb.tif")


def test_channels_are_refused_with_a_way_out(tmp_path):
    tifffile.imwrite(tmp_path / "c.tif", volume((4, 2, 5, 6)), imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(UnreadableError, match="2 channels"):
        open_source(tmp_path / "c.tif")


def test_a_stack_saved_as_time_points_is_a_volume(tmp_path):
    array = volume((6, 7, 8))
    tifffile.imwrite(tmp_path / "t.tif", array, imagej=True, metadata={"axes": "TYX"})
    assert np.array_equal(contents(tmp_path / "t.tif"), array)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"imagej": True}], ids=str)
@pytest.mark.parametrize("part", [0.05, 0.5, 0.95])
def test_a_tiff_cut_short_is_refused(tmp_path, options, part):
    whole = tmp_path / "whole.tif"
    with tifffile.TiffWriter(whole, imagej=options.get("imagej", False)) as file:
        file.write(volume((20, 40, 50)), photometric="minisblack", compression=options.get("compression"))
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
    with pytest.raises(UnreadableError) as caught:
        contents(cut)
    assert "\n" not in str(caught.value)


def test_a_tiff_whose_pages_differ_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as file:
        file.write(volume((8, 9))[:, :])
        file.write(volume((5, 4)))
    with pytest.raises(UnreadableError, match="different sizes"):
        open_source(tmp_path / "mixed.tif")


@pytest.mark.parametrize("name", ["empty.tif", "empty.raw", "empty.npy", "empty.png"])
def test_empty_files_are_said_to_be_empty(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UnreadableError, match="empty file"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["bad.tif", "bad.npy", "bad.png", "bad.jpg", "bad.xyz"])
def test_files_of_nonsense_are_refused_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x93NUMPY nonsense" * 20)
    with pytest.raises(UnreadableError) as caught:
        contents(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(MissingError, match="look at the path"):
        open_source(tmp_path / "none.tif")


def test_pickled_objects_are_never_read(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([[[{}]]], object), allow_pickle=True)
    with pytest.raises(UnreadableError):
        open_source(tmp_path / "objects.npy")


@pytest.mark.parametrize("shape", [(0, 5, 5), (5, 0, 5), (5,), (2, 2, 2, 2)])
def test_arrays_that_are_no_volume_are_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(UnreadableError):
        open_source(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "voxel", "order"),
    [
        ("x_1000x900x800_2.25um_uint16.raw", (800, 900, 1000), "uint16", 2.25, None),
        ("sand_200x200x100_uint8.raw", (100, 200, 200), "uint8", None, None),
        ("polymer3d_8bit_128x128x128.raw", (128, 128, 128), "uint8", None, None),
        ("berea-400X400X300-float32-BE-500nm.raw", (300, 400, 400), "float32", 500, "big"),
        ("core_16bit_signed_10x20x30.vol", (30, 20, 10), "int16", None, None),
    ],
)
def test_the_name_of_a_raw_file_is_a_proposal(name, shape, dtype, voxel, order):
    found = propose_raw(name)
    assert (found.shape, found.dtype, found.byte_order) == (shape, np.dtype(dtype), order)
    assert voxel is None if found.voxel is None else found.voxel.size[0] == voxel


def test_a_name_that_says_nothing_is_no_proposal():
    assert propose_raw("scan.raw") is None


def test_a_raw_file_that_nobody_described_is_refused(tmp_path):
    (tmp_path / "scan.raw").write_bytes(b"abc")
    with pytest.raises(InputError, match=r"shape and dtype .* must be given"):
        open_source(tmp_path / "scan.raw")


def test_a_truncated_raw_file_says_expected_and_found_bytes(tmp_path):
    (tmp_path / "a_4x4x4_uint16.raw").write_bytes(bytes(100))
    with pytest.raises(UnreadableError, match="needs 128 bytes, the file has 100"):
        open_source(tmp_path / "a_4x4x4_uint16.raw")


def test_a_raw_file_with_a_header_is_refused_and_whole_planes_too_many_are_noted(tmp_path):
    (tmp_path / "a_4x4x4_uint8.raw").write_bytes(bytes(70))
    with pytest.raises(UnreadableError, match="needs 64 bytes, the file has 70"):
        open_source(tmp_path / "a_4x4x4_uint8.raw")
    (tmp_path / "b_4x4x4_uint8.raw").write_bytes(bytes(96))
    assert open_source(tmp_path / "b_4x4x4_uint8.raw").metadata["planes_left_out"] == 2


def slices(folder, names, plane=lambda z: np.full((4, 5), z, np.uint8)):
    folder.mkdir()
    for z, name in enumerate(names):
        if name.endswith(".tif"):
            tifffile.imwrite(folder / name, plane(z), photometric="minisblack")
        else:
            PIL.Image.fromarray(plane(z)).save(folder / name)
    return folder


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_slices_are_read_in_natural_order(tmp_path, suffix):
    folder = slices(tmp_path / "my scan №1", [f"rec {z}{suffix}" for z in range(8, 13)])
    (folder / "notes.txt").touch()
    assert contents(folder)[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_jpeg_and_16_bit_png_slices_are_read(tmp_path):
    assert contents(slices(tmp_path / "jpeg", ["a1.jpg", "a2.jpg"], lambda z: np.full((16, 16), 100 * z, np.uint8))).shape == (2, 16, 16)
    deep = contents(slices(tmp_path / "png", ["a1.png", "a2.png"], lambda z: np.full((4, 4), 40000 + z, np.uint16)))
    assert deep[:, 0, 0].tolist() == [40000, 40001]


def test_a_missing_slice_is_named(tmp_path):
    folder = slices(tmp_path / "s", [f"a{z:03}.tif" for z in (1, 2, 3, 5, 6)])
    with pytest.raises(InputError, match="slice 4 is missing"):
        open_source(folder)


def test_every_tenth_slice_is_no_gap(tmp_path):
    assert contents(slices(tmp_path / "s", [f"a{z}.tif" for z in (0, 10, 20, 30)])).shape == (4, 4, 5)


def test_two_series_in_a_folder_ask_for_a_pattern(tmp_path):
    folder = slices(tmp_path / "s", ["image1.tif", "image2.tif", "mask1.tif", "mask2.tif"])
    with pytest.raises(InputError, match="several series"):
        open_source(folder)
    assert contents(folder, pattern="mask*")[:, 0, 0].tolist() == [2, 3]
    assert contents(folder / "image*.tif")[:, 0, 0].tolist() == [0, 1]


def test_the_proposed_pattern_finds_names_with_brackets(tmp_path):
    folder = slices(tmp_path / "run [2]", ["[dry] a1.tif", "[dry] a2.tif", "[dry] a3.tif", "mask1.tif", "mask2.tif"])
    with pytest.raises(InputError, match="several series") as told:
        open_source(folder)
    pattern = str(told.value).partition("--pattern '")[2].removesuffix("'")
    assert contents(folder, pattern=pattern)[:, 0, 0].tolist() == [0, 1, 2]
    assert contents(folder / pattern)[:, 0, 0].tolist() == [0, 1, 2]


def test_two_formats_in_a_folder_ask_for_a_pattern(tmp_path):
    folder = slices(tmp_path / "s", ["a1.tif", "a2.png"])
    with pytest.raises(InputError, match="--pattern"):
        open_source(folder)


@pytest.mark.parametrize(
    ("odd", "said"),
    [(np.zeros((4, 6), np.uint8), "one size"), (np.zeros((4, 5), np.uint16), "one type")],
)
@pytest.mark.parametrize("at", [1, 4, 9])
def test_slices_of_mixed_sizes_or_types_are_refused(tmp_path, odd, said, at):
    folder = slices(tmp_path / "s", [f"a{z}.tif" for z in range(10)], lambda z: odd if z == at else np.zeros((4, 5), np.uint8))
    with pytest.raises(InputError, match=rf"a{at}\.tif .*{said}"):
        contents(folder)


def test_a_folder_without_slices_says_what_it_holds(tmp_path):
    (tmp_path / "a.dcm").touch()
    with pytest.raises(UnreadableError, match="DICOM"):
        open_source(tmp_path)
    (tmp_path / "a.dcm").unlink()
    with pytest.raises(UnreadableError, match="no TIFF, PNG, JPEG or DICOM"):
        open_source(tmp_path)


def test_an_array_in_a_zarr_group_is_chosen_by_name(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr")
    for name in ("a", "b"):
        group.create_array(name, data=volume())
    with pytest.raises(InputError, match="a, b"):
        open_source(tmp_path / "g.zarr")
    assert contents(tmp_path / "g.zarr", dataset="b").shape == (5, 7, 6)
    assert contents(tmp_path / "g.zarr" / "a").shape == (5, 7, 6)
    with pytest.raises(MissingError, match="no array 'c'"):
        open_source(tmp_path / "g.zarr", dataset="c")
