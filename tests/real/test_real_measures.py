"""Measures of real geometries, whose every voxel is known, against the whole volume at once."""

import io
import zipfile

import numpy as np
import pytest

from lithoscope.classes import ClassTable
from lithoscope.measure.connectivity import connected
from lithoscope.measure.correlation import two_point
from lithoscope.measure.phases import count_phases, summary


@pytest.fixture(scope="module")
def electrode(shared_data):
    """The three phases of an electrode, 256³, as classes 1 … 3."""
    import tifffile

    return (tifffile.imread(shared_data / "geometry" / "electrode.tiff") // 85 + 1).astype(np.uint8)


def test_fractions_are_exact_and_lie_in_their_intervals(electrode):
    table = ClassTable.numbered(3)
    found = summary(count_phases(electrode, table), correlation=two_point(electrode, table))
    for c in table:
        phase = found["phases"][str(c.id)]
        assert phase["voxels"] == np.count_nonzero(electrode == c.id)
        assert phase["low"] < phase["fraction"] == phase["voxels"] / electrode.size < phase["high"]


def test_connected_phases_are_those_of_the_whole_volume(electrode):
    from scipy.ndimage import label

    for id, found in zip((1, 2, 3), connected(electrode, [[1], [2], [3]], edge=(100, 120, 90)), strict=True):
        numbered, count = label(electrode == id)
        sizes = np.bincount(numbered.ravel())[1:]
        assert (found.components, found.largest) == (count, sizes.max())
        for axis, name in enumerate("zyx"):
            both = np.intersect1d(numbered.take(0, axis), numbered.take(-1, axis))
            assert found.across[name] == sizes[both[both > 0] - 1].sum()


def test_the_pores_of_berea_are_nearly_all_connected(shared_data):
    import tifffile

    with zipfile.ZipFile(shared_data / "geometry" / "berea_400.zip") as archive:
        pores = (tifffile.imread(io.BytesIO(archive.read("berea.tif")))[:200, :200, :200] == 0).astype(np.uint8)
    found = connected(pores, [[1]])[0]
    assert found.voxels == np.count_nonzero(pores)
    assert found.to_json()["percolates"] == {"z": True, "y": True, "x": True}
    assert found.to_json()["largest_fraction"] > 0.9
