"""DICOM series are ordered by place, rescaled exactly, and refused where a slice is missing, doubled or unlike the others."""

import numpy as np
import pytest
from formats_data import contents, values, write_dicom, write_series

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.volume.convert import import_scan
from lithoscope.volume.formats import open_source


def test_slices_are_ordered_by_place_whatever_they_are_called(tmp_path):
    volume = values()
    found, source = contents(write_series(tmp_path / "s", volume, order=[3, 0, 4, 1, 2], KVP=140, PatientID="core 7"))
    assert np.array_equal(found, volume)
    assert (source.voxel.size, source.voxel.unit) == ((0.5, 0.4, 0.3), "millimeter")
    assert source.metadata["energy"] == "140 kV"
    assert source.metadata["sample"] == "core 7"


def test_a_persons_id_is_not_taken(tmp_path):
    _, source = contents(write_series(tmp_path / "s", values(), PatientID="1234", PatientSex="F"))
    assert "sample" not in source.metadata


def test_slices_that_face_another_way_are_ordered_along_their_normal(tmp_path):
    volume = values((4, 6, 5))
    for x in range(4):
        write_dicom(tmp_path / f"{x}.dcm", volume[x], orientation=(0, 1, 0, 0, 0, -1), ImagePositionPatient=[-2.0 * x, 0, 0], number=9 - x)
    found, source = contents(tmp_path)
    assert np.array_equal(found, volume)
    assert source.voxel.size[0] == pytest.approx(2)


@pytest.mark.parametrize(
    ("stored", "bits", "slope", "intercept", "dtype"),
    [
        (np.uint16, 12, 1, -1024, "int16"),
        (np.uint16, 16, 1, -1024, "int32"),
        (np.int16, 16, 1, 0, "int16"),
        (np.int16, 16, 2, 0, "int32"),
        (np.uint8, 8, 1, -100, "int16"),
        (np.uint16, 16, 0.5, 3, "float32"),
    ],
)
def test_rescaled_values_are_exact_and_whole_where_they_can_be(tmp_path, stored, bits, slope, intercept, dtype):
    volume = values(dtype=stored) >> (np.dtype(stored).itemsize * 8 - bits)
    found, source = contents(
        write_series(tmp_path / "s", volume, BitsStored=bits, HighBit=bits - 1, RescaleSlope=slope, RescaleIntercept=intercept)
    )
    assert str(source.dtype) == dtype
    assert np.array_equal(found, (volume.astype(np.float64) * slope + intercept).astype(dtype))


def test_slices_rescaled_each_in_its_own_way_become_floats(tmp_path):
    volume = values((3, 4, 4))
    for z in range(3):
        write_dicom(tmp_path / f"{z}.dcm", volume[z], z=z, number=z, RescaleSlope=z + 1, RescaleIntercept=0)
    found, _ = contents(tmp_path)
    assert np.array_equal(found, volume.astype(np.float32) * np.arange(1, 4, dtype=np.float32)[:, None, None])


def test_a_missing_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "s", values((6, 4, 4)))
    (folder / "IM0003.dcm").unlink()
    with pytest.raises(InputError, match=r"missing between IM0002\.dcm and IM0004\.dcm: they are 1 mm apart, the others 0\.5 mm"):
        open_source(folder)


def test_a_missing_number_is_named_where_there_are_no_places(tmp_path):
    for number in (1, 2, 4, 5):
        write_dicom(tmp_path / f"{number}.dcm", values((1, 4, 4))[0], z=None, number=number)
    with pytest.raises(InputError, match=r"missing between 2\.dcm and 4\.dcm"):
        open_source(tmp_path)


def test_a_doubled_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "s", values((4, 4, 4)))
    write_dicom(folder / "again.dcm", values((1, 4, 4))[0], z=-2.5, number=9)
    with pytest.raises(InputError, match=r"again\.dcm and IM0001\.dcm are at the same place"):
        open_source(folder)


def test_time_points_of_a_series_are_chosen(tmp_path):
    volume = values((2, 3, 4, 5))
    for t in range(2):
        for z in range(3):
            write_dicom(tmp_path / f"{t}{z}.dcm", volume[t, z], z=z, number=t * 3 + z, TemporalPositionIdentifier=t + 1)
    with pytest.raises(UnreadableError, match="2 time points; choose one: --time"):
        open_source(tmp_path)
    assert np.array_equal(contents(tmp_path, time=1)[0], volume[1])


def test_two_series_in_a_folder_are_chosen_by_number(tmp_path):
    one, two = values((3, 4, 4)), values((2, 4, 4), seed=1)
    write_series(tmp_path, one, series="1.2.3", SeriesNumber=1)
    write_series(tmp_path, two, order=[7, 8], series="1.2.4", SeriesNumber=2, SeriesDescription="scout")
    with pytest.raises(InputError, match=r"2 series: .*2 \(2 slices, scout\).*--dataset"):
        open_source(tmp_path)
    assert np.array_equal(contents(tmp_path, dataset="2")[0], two)
    with pytest.raises(MissingError, match="no series '9'"):
        open_source(tmp_path, dataset="9")


@pytest.mark.parametrize(("odd", "said"), [({"spacing": (1, 1)}, "pixel spacing"), ({"orientation": (0, 1, 0, 1, 0, 0)}, "direction")])
def test_slices_unlike_the_others_are_refused(tmp_path, odd, said):
    folder = write_series(tmp_path / "s", values((4, 4, 4)))
    write_dicom(folder / "odd.dcm", values((1, 4, 4))[0], z=-1, number=5, **odd)
    with pytest.raises(InputError, match=said):
        open_source(folder)


def test_slices_of_another_size_are_refused(tmp_path):
    folder = write_series(tmp_path / "s", values((4, 4, 4)))
    write_dicom(folder / "odd.dcm", values((1, 5, 4))[0], z=-1, number=5)
    with pytest.raises(InputError, match=r"odd\.dcm has rows 5, the other slices 4"):
        open_source(folder)


def test_a_slice_cut_short_is_said_and_leaves_nothing(tmp_path):
    folder = write_series(tmp_path / "s", values((4, 16, 16)))
    for name in ("IM0001.dcm", "IM0002.dcm"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-300])
    with pytest.raises(UnreadableError, match=r"IM000\d\.dcm is damaged"):
        import_scan(folder, tmp_path / "a.zarr")
    assert not list(tmp_path.glob("a.*"))


def test_a_file_of_many_frames_is_a_volume(tmp_path):
    volume = values((3, 4, 5))
    write_dicom(tmp_path / "frames.dcm", volume, NumberOfFrames=3, SpacingBetweenSlices=2)
    found, source = contents(tmp_path / "frames.dcm")
    assert np.array_equal(found, volume)
    assert source.voxel.size[0] == 2


def test_a_folder_of_dicom_without_suffixes_is_known_by_its_marks(tmp_path):
    volume = values((2, 4, 4))
    for z in range(2):
        write_dicom(tmp_path / f"IM{z}", volume[z], z=z, number=z)
    assert np.array_equal(contents(tmp_path)[0], volume)


def test_one_file_is_a_scan_of_one_slice(tmp_path):
    plane = values((1, 4, 5))
    write_dicom(tmp_path / "one.dcm", plane[0], SliceThickness=3)
    scan = import_scan(tmp_path / "one.dcm", tmp_path / "one.zarr")
    assert scan.shape == (1, 4, 5)
    assert scan.dimensions()[0] == 2
    assert scan.voxel.size == (3, 0.4, 0.3)
