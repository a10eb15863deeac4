"""Grains of a real rock and of an electrode told apart."""

import io
import zipfile

import numpy as np
import pytest
import tifffile

from lithoscope.labels.separate import find_grains
from lithoscope.measure.grains import measure_grains
from lithoscope.volume.box import Box


@pytest.fixture(scope="module")
def berea(shared_data):
    """A corner of the sandstone: 1 grain, 2 pore."""
    with zipfile.ZipFile(shared_data / "geometry" / "berea_400.zip") as packed:
        volume = tifffile.imread(io.BytesIO(packed.read(packed.namelist()[0])))
    return np.where(volume[:96, :96, :96] > 0, 1, 2).astype(np.uint8)


def separated(labels, edge, height):
    target = np.zeros(labels.shape, np.uint32)
    grains = find_grains(lambda box: labels[box.slices], 1, Box.whole(labels.shape), edge, target, height=height)
    return grains.names[target], grains.count


def test_the_grains_of_berea_are_the_same_by_blocks_and_of_the_size_of_its_sand(berea):
    whole, count = separated(berea, (96, 96, 96), 2.0)
    by_blocks, again = separated(berea, (48, 64, 96), 2.0)
    assert count == again
    assert np.array_equal(whole, by_blocks)
    table = measure_grains(whole, count, Box.whole(berea.shape), (64, 64, 64))
    assert 25 <= table.summary()["d50"] <= 60  # 150 to 300 µm at 5.3 µm a voxel, cut by the corner's faces
    assert 3 <= table.summary()["mean_contacts"] <= 12


def test_more_height_splits_less(berea):
    counts = [separated(berea, (96, 96, 96), height)[1] for height in (0.5, 1.0, 2.0, 4.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
