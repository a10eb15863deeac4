"""Files of other programs, written for the tests by the formats' own libraries."""

from itertools import pairwise
from pathlib import Path

import numpy as np


def values(shape=(5, 7, 6), dtype=np.int16, seed=0):
    """Random values (z, y, x) of any type."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.normal(0, 1, shape).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype, endpoint=True)


def contents(path, **options):
    """All that a reader gives, and the reader; single planes must be the same."""
    from lithoscope.volume.formats import open_source

    source = open_source(path, **options)
    try:
        whole = source.planes(0, source.shape[0])
        assert whole.shape == source.shape
        assert whole.dtype == source.dtype
        for z in (source.shape[0] - 1, 0, source.shape[0] // 2):
            assert np.array_equal(source.planes(z, z + 1)[0], whole[z], equal_nan=whole.dtype.kind == "f")
        return whole, source
    finally:
        source.close()


def write_dicom(file: Path, plane, *, z=0.0, number=1, series="1.2.3", spacing=(0.4, 0.3), orientation=(1, 0, 0, 0, 1, 0), **tags):
    """One slice of a series."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = f"{series}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.InstanceNumber, data.Modality = series, number, "CT"
    data.Rows, data.Columns = plane.shape[-2:] if plane.ndim == 2 or "NumberOfFrames" in tags else plane.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = plane.dtype.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(plane.dtype.kind == "i")
    if z is not None:
        data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, z], list(orientation)
    data.PixelSpacing = list(spacing)
    for key, value in tags.items():
        setattr(data, key, value)
    data.PixelData = plane.tobytes()
    pydicom.dcmwrite(file, data)


def write_series(folder: Path, volume, *, order=None, step=0.5, **tags):
    """A series whose file names are in another order than its places."""
    folder.mkdir(exist_ok=True)
    names = order or list(range(len(volume)))
    for z, plane in enumerate(volume):
        write_dicom(folder / f"IM{names[z]:04d}.dcm", plane, z=z * step - 3, number=z + 1, **tags)
    return folder


def write_txm(file: Path, volume, **streams):
    """A Zeiss container: an OLE file whose streams are padded to 4096 bytes, so that no small-sector tables are needed."""
    import struct

    code = {"u1": 3, "u2": 5, "f4": 10}[volume.dtype.str[1:]]
    numbers = {"ImageWidth": volume.shape[2], "ImageHeight": volume.shape[1], "NoOfImages": len(volume), "DataType": code}
    info = {k: struct.pack("<I", v) for k, v in numbers.items()} | {k: struct.pack("<f", v) for k, v in streams.items()}
    images = {f"Image{z + 1}": plane.astype(plane.dtype.newbyteorder("<")).tobytes() for z, plane in enumerate(volume)}
    file.write_bytes(_ole({"ImageInfo": info, "ImageData1": images}))


def _ole(storages):
    import struct

    free, end = 0xFFFFFFFF, 0xFFFFFFFE
    entries = [["Root Entry", 5, free, free, free, end, 0]]
    body, chains = [], []

    def stream(data):
        data = data.ljust(max(4096, -(-len(data) // 512) * 512), b"\0")
        start = sum(len(b) for b in body) // 512
        body.append(data)
        chains.append((start, len(data) // 512))
        return start, len(data)

    def linked(ids):
        """Siblings in order of length and then of name, each the right child of the one before."""
        ordered = sorted(ids, key=lambda i: (len(entries[i][0]), entries[i][0].upper()))
        for a, b in pairwise(ordered):
            entries[a][3] = b
        return ordered[0]

    tops = []
    for name, children in storages.items():
        entries.append([name, 1, free, free, free, 0, 0])
        top = len(entries) - 1
        tops.append(top)
        ids = []
        for child, data in children.items():
            start, size = stream(data)
            entries.append([child, 2, free, free, free, start, size])
            ids.append(len(entries) - 1)
        entries[top][4] = linked(ids)
    entries[0][4] = linked(tops)
    directory = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBBIII", (len(name) + 1) * 2, kind, 1, left, right, child) + b"\0" * 36 + struct.pack("<IQ", start, size)
        for name, kind, left, right, child, start, size in entries
    )  # fmt: skip
    directory = directory.ljust(-(-len(directory) // 512) * 512, b"\0")
    first = sum(len(b) for b in body) // 512
    chains.append((first, len(directory) // 512))
    body.append(directory)
    used = first + len(directory) // 512
    tables = 1
    while tables * 128 < used + tables:
        tables += 1
    fat = [free] * (tables * 128)
    for start, count in chains:
        for k in range(count):
            fat[start + k] = start + k + 1 if k + 1 < count else end
    for k in range(tables):
        fat[used + k] = 0xFFFFFFFD
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    header += struct.pack("<IIIIIIIII", 0, tables, first, 0, 4096, end, 0, end, 0)
    header += struct.pack("<109I", *[used + k if k < tables else free for k in range(109)])
    return header + b"".join(body) + struct.pack(f"<{len(fat)}I", *fat)
