"""Cleaning on scans simulated of a sandstone and an electrode, and on a soil: voxel for voxel what known libraries make of the whole."""

import io
import zipfile

import cc3d
import numpy as np
import pytest
import tifffile
from scipy import ndimage
from skimage import morphology

from lithoscope.classes import ClassTable
from lithoscope.job import silent
from lithoscope.labels.clean import apply
from lithoscope.labels.cleaning.morphology import Ball
from lithoscope.labels.cleaning.steps import Place, meaning, parse_steps
from lithoscope.labels.separate import find_grains
from lithoscope.volume.box import Box
from lithoscope.volume.simulate import Scanner, scan_of

EDGES = [(32, 40, 96), (17, 64, 31), (96, 96, 96)]
PARTS = {6: 1, 18: 2, 26: 3}


def berea(folder):
    with zipfile.ZipFile(folder / "geometry" / "berea_400.zip") as packed:
        geometry = tifffile.imread(io.BytesIO(packed.read("berea.tif")))[100:164, :72, :80]
    return scan_of(geometry, {0: 60, 255: 150}, seed=1, scanner=Scanner(psf=0.8, noise=28, rings=4, cupping=0.05, circular=False))


def electrode(folder):
    geometry = tifffile.imread(folder / "geometry" / "electrode.tiff")[:48, :80, :72]
    scanner = Scanner(psf=0.8, noise=26, rings=3, cupping=0.03, circular=False)
    return scan_of(geometry, {0: 50, 85: 110, 170: 170}, seed=2, scanner=scanner)


def soil(folder):
    files = sorted((folder / "volumes" / "soil_500x500_slices").glob("*.tif"))[:40]
    return np.stack([tifffile.imread(file)[200:284, 210:290] for file in files])


@pytest.fixture(scope="module", params=[berea, electrode, soil], ids=lambda made: made.__name__)
def labels(request, shared_data):
    """What thresholds give, specks and holes and all: three classes."""
    from skimage.filters import threshold_multiotsu

    grey = request.param(shared_data)
    return (np.digitize(grey, threshold_multiotsu(grey, 3), right=True) + 1).astype(np.uint8)


class Memory:
    def __init__(self, shape):
        self.shape = shape

    def array(self, dtype=np.uint8):
        return np.zeros(self.shape, dtype)

    def drop(self, array):
        pass


@pytest.fixture(params=EDGES, ids=str)
def done(request, labels):
    """The labels after a step, made in blocks of one size."""

    def clean(text):
        found = labels
        for action in meaning(parse_steps([text])[0], Place(ClassTable.numbered(3))):
            found, _ = apply(action, found, Box.whole(labels.shape), request.param, Memory(labels.shape), flat=False, report=silent)
        return found

    return clean


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_islands_are_those_of_scikit_image(labels, done, connectivity):
    expected = morphology.remove_small_objects(labels == 1, max_size=59, connectivity=PARTS[connectivity])
    made = done(f"islands=60,class=1,to=3,connectivity={connectivity}")
    assert np.array_equal(made == 1, expected)
    assert np.array_equal(made[labels != 1], labels[labels != 1])
    assert not np.array_equal(made, labels)


def test_islands_of_every_class_become_what_touches_them_most(labels, done):
    made = done("islands=20")
    numbers, count = cc3d.connected_components(labels, connectivity=6, return_N=True)
    sizes = np.bincount(numbers.reshape(-1), minlength=count + 1)
    gone = (sizes < 20)[numbers]
    assert np.array_equal(made[~gone], labels[~gone])
    for n in np.unique(numbers[gone])[:300]:
        where = numbers == n
        around = ndimage.binary_dilation(where) & ~where
        if not gone[around].any():  # it touches kept labels alone
            votes = np.zeros(4, int)
            for axis, by in ((a, b) for a in range(3) for b in (1, -1)):
                beside = np.roll(where, by, axis)
                edge = [slice(None)] * 3
                edge[axis] = slice(0, 1) if by == 1 else slice(-1, None)
                beside[tuple(edge)] = False
                votes += np.bincount(labels[beside & ~where], minlength=4)[:4]
            assert (made[where] == votes.argmax()).all()


@pytest.mark.parametrize("connectivity", [6, 26])
def test_holes_are_those_that_scipy_fills(labels, done, connectivity):
    structure = ndimage.generate_binary_structure(3, PARTS[connectivity])
    made = done(f"holes=all,class=3,connectivity={connectivity}")
    assert np.array_equal(made == 3, ndimage.binary_fill_holes(labels == 3, structure))


def test_the_largest_is_that_of_cc3d(labels, done):
    made = done("largest=3,to=2")
    assert np.array_equal(made == 3, cc3d.largest_k((labels == 3).astype(np.uint8), k=1, connectivity=6) > 0)


@pytest.mark.parametrize("axis", "zyx")
def test_what_leads_through_is_that_of_cc3d(labels, done, axis):
    numbers = cc3d.connected_components((labels == 1).astype(np.uint8), connectivity=26)
    first, last = (set(np.unique(np.take(numbers, at, "zyx".index(axis)))) for at in (0, -1))
    made = done(f"through={axis},class=1,to=2,connectivity=26")
    assert np.array_equal(made == 1, np.isin(numbers, list(first & last - {0})))


def test_the_majority_is_that_of_scipy_counts(labels, done):
    counts = np.stack(
        [ndimage.convolve((labels == id).astype(np.int32), np.ones((3, 3, 3), np.int32), mode="constant") for id in (1, 2, 3)]
    )
    doubled = 2 * counts + np.stack([labels == id for id in (1, 2, 3)])  # of equal ones its own wins, then the lowest
    assert np.array_equal(done("majority=1"), doubled.argmax(axis=0) + 1)


def test_the_median_is_that_of_scipy(labels, done):
    inner = (slice(2, -2),) * 3
    assert np.array_equal(done("median=2")[inner], ndimage.median_filter(labels, 5)[inner])


@pytest.mark.parametrize(("radius", "id"), [(1, 1), (2.3, 3)])
def test_opening_and_closing_are_those_of_scipy(labels, done, radius, id):
    z, y, x = np.ogrid[-3:4, -3:4, -3:4]
    ball = z * z + y * y + x * x <= radius**2
    reach = 2 * Ball(radius).reach[0]
    inner = (slice(reach, -reach),) * 3
    opened, closed = (done(f"{name}={radius:g},class={id}") == id for name in ("opening", "closing"))
    assert np.array_equal(opened[inner], ndimage.binary_opening(labels == id, ball)[inner])
    assert np.array_equal(closed[inner], ndimage.binary_closing(labels == id, ball)[inner])


def test_classes_are_merged_and_renumbered_as_a_table_says(labels, done):
    assert np.array_equal(done("merge=2+3"), np.array([0, 1, 2, 2], np.uint8)[labels])
    assert np.array_equal(done("renumber=3+1+2"), np.array([0, 2, 3, 1], np.uint8)[labels])


@pytest.mark.parametrize("edge", EDGES[:2], ids=str)
def test_grains_are_the_same_by_blocks(labels, edge):
    found = []
    for size in (edge, labels.shape):
        target = np.zeros(labels.shape, np.uint32)
        grains = find_grains(lambda box: labels[box.slices], 3, Box.whole(labels.shape), size, target, height=1.0)
        found.append(grains.names[target])
    assert np.array_equal(*found)
    assert np.array_equal(found[0] > 0, labels == 3)
