"""HDF5 and NeXus, Bruker's folders, channels and times of TIFF and Zarr, and sets of unrelated images."""

import h5py
import numpy as np
import PIL.Image
import pytest
import tifffile
import zarr
from formats_data import contents, values

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.labels.imports import import_labels
from lithoscope.labels.results import open_result
from lithoscope.volume.convert import import_scan
from lithoscope.volume.formats import open_source

LOG = """[System]
Scanner=SkyScan1272
[Acquisition]
Filename Prefix=core_
Source Voltage (kV)=  80
Source Current (uA)= 125
Image Pixel Size (um)=   5.00
Filter=Al 1mm
[Reconstruction]
Dataset Prefix=core_
Pixel Size (um)=4.99
Sections Count=4
"""


def test_the_only_volume_of_an_hdf5_file_is_found(tmp_path):
    volume = values()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data"] = volume
        file["angles"] = np.arange(10.0)
        file["entry/data"].attrs["element_size_um"] = (3, 2, 1)
    found, source = contents(tmp_path / "a.h5")
    assert np.array_equal(found, volume)
    assert (source.voxel.size, source.metadata["dataset"]) == ((3, 2, 1), "entry/data")


def test_one_of_several_datasets_is_chosen_by_name_or_path(tmp_path):
    one, two = values(), values((2, 3, 4), np.float32)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["raw"], file["recon/volume"] = one, two
        file["recon/note"] = "text"
    with pytest.raises(InputError, match=r"several volumes; choose one with --dataset: raw \(5 × 7 × 6 int16\), recon/volume"):
        open_source(tmp_path / "a.hdf5")
    assert np.array_equal(contents(tmp_path / "a.hdf5", dataset="recon/volume")[0], two)
    assert np.array_equal(contents(tmp_path / "a.hdf5/recon/volume")[0], two)
    with pytest.raises(MissingError, match=r"no dataset 'recon/none'.*--dataset: raw"):
        open_source(tmp_path / "a.hdf5", dataset="recon/none")
    with pytest.raises(InputError, match=r"'recon' .* is a group"):
        open_source(tmp_path / "a.hdf5", dataset="recon")
    with pytest.raises(UnreadableError):
        open_source(tmp_path / "a.hdf5", dataset="recon/note")


def test_labels_and_masks_in_an_hdf5_file_are_named_by_their_path(tmp_path):
    labels = values((4, 6, 5), np.uint8) % 2 + 1
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["truth"], file["mask"] = values((4, 6, 5), np.uint8), labels, labels - 1
    scan = import_scan(tmp_path / "a.h5/raw", tmp_path / "a.zarr", field_of_view=str(tmp_path / "a.h5/mask"))
    assert np.array_equal(scan.inside(scan.box), labels == 2)
    import_labels(scan, tmp_path / "a.h5/truth", "truth", kind="truth")
    assert np.array_equal(open_result(scan, "truth").array[:], labels)


def test_nexus_says_what_to_read_and_what_it_is(tmp_path):
    volume = values()
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file["other"] = values(seed=1)
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs["default"] = "recon"
        data = entry.create_group("recon")
        data.attrs.update({"NX_class": "NXdata", "signal": "values", "axes": ["z", "y", "x"]})
        data["values"] = volume
        for name, count, step in (("z", 5, 3.0), ("y", 7, 2.0), ("x", 6, 1.5)):
            data[name] = np.arange(count) * step + 10
            data[name].attrs["units"] = "um"
        sample = entry.create_group("sample")
        sample.attrs["NX_class"] = "NXsample"
        sample["name"] = "Berea 3"
        beam = entry.create_group("beam")
        beam.attrs["NX_class"] = "NXbeam"
        beam["incident_energy"] = 25.5
        beam["incident_energy"].attrs["units"] = "keV"
    found, source = contents(tmp_path / "a.nxs")
    assert np.array_equal(found, volume)
    assert (source.voxel.size, source.voxel.unit) == ((3, 2, 1.5), "micrometer")
    assert (source.metadata["sample"], source.metadata["energy"]) == ("Berea 3", "25.5 keV")
    scan = import_scan(tmp_path / "a.nxs", tmp_path / "a.zarr")
    assert scan.info()["source"]["sample"] == "Berea 3"


def test_times_and_channels_of_hdf5_are_chosen(tmp_path):
    volume = values((2, 3, 5, 7, 6))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = volume
    with pytest.raises(UnreadableError, match=r"2 time points and 3 channels; choose one: --time 0…1 --channel 0…2"):
        open_source(tmp_path / "a.h5")
    assert np.array_equal(contents(tmp_path / "a.h5", time=1, channel=2)[0], volume[1, 2])


def test_an_hdf5_file_cut_short_or_of_nonsense_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("v", data=values((20, 20, 20)), chunks=(5, 20, 20), compression="gzip")
    whole = (tmp_path / "a.h5").read_bytes()
    for content in (whole[: len(whole) // 2], b"no file"):
        (tmp_path / "a.h5").write_bytes(content)
        with pytest.raises(UnreadableError):
            import_scan(tmp_path / "a.h5", tmp_path / "scan.zarr")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["text"] = "nothing else"
    with pytest.raises(InputError, match="no array of grey values"):
        open_source(tmp_path / "b.h5")


def bruker(folder, volume):
    folder.mkdir()
    (folder / "core__rec.log").write_text(LOG)
    for z, plane in enumerate(volume):
        PIL.Image.fromarray(plane).save(folder / f"core__rec{z:08d}.bmp")
    PIL.Image.fromarray(volume[0]).save(folder / "core__rec_spr.bmp")
    return folder


def test_bruker_slices_bring_what_their_log_says(tmp_path):
    volume = values((4, 6, 8), np.uint8)
    found, source = contents(bruker(tmp_path / "rec", volume))
    assert np.array_equal(found, volume)
    assert str(source.voxel) == "4.99 µm"
    assert (source.metadata["energy"], source.metadata["sample"], source.metadata["filter"]) == ("80 kV", "core_", "Al 1mm")


def test_a_missing_bruker_slice_is_named(tmp_path):
    folder = bruker(tmp_path / "rec", values((4, 6, 8), np.uint8))
    (folder / "core__rec00000002.bmp").unlink()
    with pytest.raises(InputError, match="slice 2 is missing"):
        open_source(folder)


def test_a_log_of_another_program_is_left_alone(tmp_path):
    tifffile.imwrite(tmp_path / "a1.tif", values((6, 6)))
    (tmp_path / "import.log").write_text("done=yes\n")
    assert open_source(tmp_path).voxel is None


OME, PACKED, IMAGEJ = {"ome": True}, {"ome": True, "compression": "zlib"}, {"imagej": True}


@pytest.mark.parametrize(
    ("axes", "options"),
    [(axes, options) for axes in ("TZCYX", "TZYX", "ZCYX") for options in (OME, PACKED, IMAGEJ)] + [("CZYX", OME), ("CZYX", PACKED)],
    ids=str,
)
def test_channels_and_times_of_a_tiff_are_chosen(tmp_path, axes, options):
    sizes = {"T": 2, "Z": 4, "C": 3, "Y": 6, "X": 5}
    volume = values(tuple(sizes[a] for a in axes), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", volume, metadata={"axes": axes}, photometric="minisblack", **options)
    wish = {k: v for k, v in (("channel", 2), ("time", 1)) if k[0].upper() in axes}
    with pytest.raises(UnreadableError, match="choose one: --"):
        open_source(tmp_path / "a.tif")
    index = tuple({"T": 1, "C": 2}.get(a, slice(None)) for a in axes)
    assert np.array_equal(contents(tmp_path / "a.tif", **wish)[0], volume[index])
    with pytest.raises(InputError, match="choose one of 0…"):
        open_source(tmp_path / "a.tif", **dict.fromkeys(wish, 7))


def test_one_channel_of_colour_is_a_volume(tmp_path):
    colour = values((4, 6, 5, 3), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", colour, photometric="rgb")
    assert np.array_equal(contents(tmp_path / "rgb.tif", channel=1)[0], colour[..., 1])
    tifffile.imwrite(tmp_path / "planar.tif", np.moveaxis(colour, -1, 1), photometric="rgb", planarconfig="separate")
    assert np.array_equal(contents(tmp_path / "planar.tif", channel=2)[0], colour[..., 2])
    PIL.Image.fromarray(colour[0]).save(tmp_path / "a.png")
    assert np.array_equal(contents(tmp_path / "a.png", channel=0)[0], colour[:1, ..., 0])
    with pytest.raises(UnreadableError, match="--channel"):
        open_source(tmp_path / "a.png")


def test_a_palette_of_greys_is_grey(tmp_path):
    plane = values((6, 5), np.uint8)
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, 0)
    tifffile.imwrite(tmp_path / "ramp.tif", plane, photometric="palette", colormap=ramp)
    assert np.array_equal(contents(tmp_path / "ramp.tif")[0][0], plane)
    ramp[0] = ramp[0, ::-1]
    tifffile.imwrite(tmp_path / "colour.tif", plane, photometric="palette", colormap=ramp)
    with pytest.raises(UnreadableError, match="palette"):
        open_source(tmp_path / "colour.tif")


def test_channels_and_times_of_zarr_are_chosen(tmp_path):
    volume = values((2, 3, 4, 5, 6))
    zarr.create_array(str(tmp_path / "a.zarr"), data=volume, dimension_names=("t", "c", "z", "y", "x"))
    with pytest.raises(UnreadableError, match="--time 0…1 --channel 0…2"):
        open_source(tmp_path / "a.zarr")
    assert np.array_equal(contents(tmp_path / "a.zarr", time=1, channel=0)[0], volume[1, 0])


def test_what_holds_one_volume_has_nothing_to_choose(tmp_path):
    np.save(tmp_path / "a.npy", values())
    tifffile.imwrite(tmp_path / "a.tif", values(), photometric="minisblack")
    with pytest.raises(InputError, match="leave out"):
        open_source(tmp_path / "a.npy", channel=1)
    with pytest.raises(InputError, match="leave out --dataset"):
        open_source(tmp_path / "a.tif", dataset="v")
    with pytest.raises(InputError, match="no time points; leave out --time"):
        open_source(tmp_path / "a.tif", time=1)


def test_unrelated_images_are_a_scan_of_separate_slices(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    images = {"pyrite 7.png": 1, "calcite.png": 2, "quartz_12b.tif": 3}
    for name, seed in images.items():
        plane = values((9, 8), np.uint8, seed)
        tifffile.imwrite(folder / name, plane) if name.endswith("tif") else PIL.Image.fromarray(plane).save(folder / name)
    with pytest.raises(InputError):
        import_scan(folder, tmp_path / "a.zarr")
    scan = import_scan(folder, tmp_path / "a.zarr", separate_slices=True)
    assert (scan.shape, scan.separate_slices, scan.dimensions()[0]) == ((3, 9, 8), True, 2)
    assert np.array_equal(scan.levels[0][0], values((9, 8), np.uint8, 2))
    PIL.Image.fromarray(values((9, 7), np.uint8)).save(folder / "mica.png")
    with pytest.raises(InputError, match=r"mica\.png is 9 × 7 pixels.*all slices must be of one size"):
        import_scan(folder, tmp_path / "b.zarr", separate_slices=True)


def test_a_plane_is_a_scan_of_one_slice(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values((9, 8), np.float32))
    scan = import_scan(tmp_path / "a.tif", tmp_path / "a.zarr")
    assert (scan.shape, scan.dimensions()[0]) == ((1, 9, 8), 2)
