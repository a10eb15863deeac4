"""A bundle holds what belongs to a scan, and nothing of the program that has it open."""

import os
import zipfile

import numpy as np

from lithoscope.bundle import bundle
from lithoscope.labels.strokes import strokes
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan


def test_a_scan_that_is_painted_on_can_be_painted_on_where_its_bundle_is_unpacked(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 6), np.uint8))
    scan = import_scan(tmp_path / "a.npy", tmp_path / "a.zarr", field_of_view=None)
    os.utime(scan.path / "zarr.json", (0, 0))  # before 1980, which zip files cannot say
    with strokes(scan) as store:
        store.write(Box((0, 0, 0), (1, 2, 3)), None, 2)
        store.flush()
        lock = scan.sidecar / "strokes" / "lock"
        lock.write_text(lock.read_text().replace('"host": "', '"host": "another-'))
        bundle(scan, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        archive.extractall(tmp_path / "there")
    with strokes(Scan.open(tmp_path / "there" / "a.zarr")) as again:
        assert again.holder is None
        assert int(again.read(Box((0, 0, 0), (1, 2, 3))).sum()) == 12
