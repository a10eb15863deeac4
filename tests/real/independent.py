"""The shared files that are volumes, each as a reader that is not ours gives it."""

import gzip
import struct
import zipfile

import numpy as np
import tifffile

SOURCES = {
    "volumes/soil_500x500_slices": [],
    "volumes/core_dicom": [],
    "volumes/sand_200x200x100_uint8.raw": [],
    "volumes/grain1_112x112x121_uint8.raw": [],
    "volumes/polymer3d_8bit_128x128x128.raw": [],
    "volumes/cement_128x128x128.tif": [],
    "volumes/bone_128x128x128.tif": [],
    "volumes/polymer_slice.tif": [],
    "labelled/sandstone/images0000.tif": [],
    "labelled/sandstone/images0001.tif": [],
    "labelled/sandstone/masks0000.tif": [],
    "labelled/sandstone/masks0001.tif": [],
    "labelled/phantom/phantom_recfbp.tif": [],
    "labelled/phantom/phantom_gt.tif": [],
    "labelled/body_ct/example_ct_sm.nii.gz": [],
    "labelled/body_ct/example_seg.nii.gz": [],
    "labelled/body_ct/example_seg_fast.nii.gz": [],
    **{f"labelled/battery/raw_{n}.tif": [] for n in (1, 200, 400, 1501, 1502, 1503, 1504)},
    "geometry/berea_400.zip": ["--crop", "0:64,0:400,0:400"],
    "geometry/electrode.tiff": [],
    "geometry/vessels_256cube_LABELS.h5": [],
    "scribbles/tem_cells/train_stack_small.tif": [],
    "scribbles/tem_cells/wss_train_labels.tiff": [],
    "scribbles/micrographs/2_phase.tif": [],
    "scribbles/micrographs/3_phase.tif": [],
    "retrieval/rock_slices": ["--separate-slices"],
    "zarr_v2/zarr.zr/blosc": [],
    "zarr_v2/zarr.zr/gzip": [],
    "zarr_v2/zarr.zr/zlib": [],
}
"""Every one, with the options that its import asks for."""

NO_VOLUMES = ("README.md", "scribbles/photo/", "retrieval/fossils/", "tiff_zoo/")
"""Photographs in colour, and the files that are tested by themselves."""

PALETTES = [f"labelled/battery/raw_{n}_label.tif" for n in (1, 200, 400, 1501, 1502, 1503, 1504)]
"""Labels that are coloured by a palette: no grey values."""

VOXELS = {"volumes/core_dicom": ((0.5, 0.43, 0.43), "millimeter"), "labelled/body_ct": ((3.0, 3.0, 3.0), "millimeter")}
RAW = {
    "volumes/sand_200x200x100_uint8.raw": (100, 200, 200),
    "volumes/grain1_112x112x121_uint8.raw": (121, 112, 112),
    "volumes/polymer3d_8bit_128x128x128.raw": (128, 128, 128),
}


def voxel_of(name):
    """The voxel size and unit that a file states, or None twice."""
    return next((known for place, known in VOXELS.items() if name.startswith(place)), (None, None))


def pixels_of_dicom(file):
    """The position of an uncompressed slice, and its last bytes, found without a DICOM reader."""
    content = file.read_bytes()
    at = content.index(b"\x20\x00\x32\x00")
    (length,) = struct.unpack("<I", content[at + 4 : at + 8])
    z = float(content[at + 8 : at + 8 + length].split(b"\\")[2])
    return z, np.frombuffer(content[-512 * 512 * 2 :], "<i2").reshape(512, 512)


def values_of(folder, name, unpacked):
    """The values (z, y, x) of a shared file; a zipped one is unpacked into `unpacked`, whose path is to be imported instead."""
    path = folder / name
    if name in RAW:
        return path, np.fromfile(path, np.uint8, count=int(np.prod(RAW[name]))).reshape(RAW[name])
    if name == "volumes/core_dicom":
        return path, np.stack([plane for _, plane in sorted((pixels_of_dicom(f) for f in path.glob("*.dcm")), key=lambda s: s[0])])
    if path.suffix == ".gz":
        content = gzip.decompress(path.read_bytes())
        sizes, (offset,), (kind,) = (
            struct.unpack("<8h", content[40:56]),
            struct.unpack("<f", content[108:112]),
            struct.unpack("<h", content[70:72]),
        )
        return path, np.frombuffer(content[int(offset) :], {2: "u1", 4: "<i2"}[kind]).reshape(sizes[3:0:-1])
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            packed.extract("berea.tif", unpacked)
        return unpacked / "berea.tif", tifffile.imread(unpacked / "berea.tif")[:64]
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path) as file:
            return path, file["data"][:]
    if name.startswith("zarr_v2"):
        import zarr

        return path, zarr.open_array(str(path), mode="r")[:]
    if name == "retrieval/rock_slices":
        import PIL.Image

        return path, np.stack([np.asarray(PIL.Image.open(f)) for f in sorted(path.glob("*.png"))])
    if path.is_dir():
        return path, np.stack([tifffile.imread(f) for f in sorted(path.glob("*.tif"))])
    values = tifffile.imread(path)
    return path, values if values.ndim == 3 else values[None]
