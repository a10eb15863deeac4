"""The intensity methods on real scans, against the peers that they stand in for."""

import numpy as np
import pytest

from lithoscope.labels.predict import segment
from lithoscope.labels.results import open_result
from lithoscope.segmenters import REGISTRY, configured
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.volume.convert import import_scan

SCANS = {
    "soil": ("volumes/soil_500x500_slices", {}),
    "sand": ("volumes/sand_200x200x100_uint8.raw", {"shape": (100, 200, 200), "dtype": "uint8"}),
    "cement": ("volumes/cement_128x128x128.tif", {}),
}


def imported(name, shared_data, folder):
    if name in SCANS:
        source, given = SCANS[name]
        return import_scan(shared_data / source, folder / "scan.zarr", **given)
    if name == "polymer_float":
        return import_scan(shared_data / "volumes/polymer_slice.tif", folder / "scan.zarr", crop="0:1,100:350,100:350", field_of_view=None)
    if name == "core_signed":
        return import_scan(shared_data / "volumes/core_dicom", folder / "scan.zarr", field_of_view=None)
    sand = np.fromfile(shared_data / SCANS["sand"][0], np.uint8).reshape(100, 200, 200)[:30]
    wide = sand.astype(np.uint16) * 40 + np.random.default_rng(0).integers(0, 40, sand.shape, dtype=np.uint16)
    np.save(folder / "wide.npy", wide)
    return import_scan(folder / "wide.npy", folder / "scan.zarr", field_of_view=None)


@pytest.fixture(scope="module", params=[*SCANS, "sand16", "core_signed", "polymer_float"])
def scan(request, shared_data, tmp_path_factory):
    return imported(request.param, shared_data, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=SCANS)
def byte_scan(request, shared_data, tmp_path_factory):
    return imported(request.param, shared_data, tmp_path_factory.mktemp(request.param))


def values_of(scan):
    return np.asarray(scan.array()[...])


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_otsu_equals_scikit_images_voxel_for_voxel(byte_scan, classes):
    from skimage.filters import threshold_multiotsu

    scan = byte_scan
    values = values_of(scan)
    inside = scan.inside(scan.box)
    expected = np.digitize(values, threshold_multiotsu(values if inside is None else values[inside], classes=classes), right=True) + 1
    if inside is not None:
        expected[~inside] = 0
    segment(scan, configured(REGISTRY["otsu"], {"classes": classes}), output=f"otsu {classes}")
    assert np.array_equal(open_result(scan, f"otsu {classes}").array[...], expected)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_kmeans_is_otsus_partition_voxel_for_voxel(scan, classes):
    for name in ("otsu", "kmeans"):
        segment(scan, configured(REGISTRY[name], {"classes": classes}), output=f"{name} of {classes}")
    otsu, kmeans = (open_result(scan, f"{name} of {classes}").array[...] for name in ("otsu", "kmeans"))
    assert np.array_equal(otsu, kmeans)


def test_kmeans_is_no_worse_than_scikit_learns_best_of_twenty(scan):
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    record = segment(scan, configured(REGISTRY["kmeans"], {}), output="kmeans")
    levels, sizes = np.unique(values_of(scan), return_counts=True)
    with threadpool_limits(1):
        theirs = KMeans(3, n_init=20, random_state=0).fit(levels.astype(np.float64)[:, None], sample_weight=sizes)
    labels = np.digitize(levels, record.learnt["thresholds"], right=True)
    means = np.bincount(labels, sizes * levels.astype(np.float64)) / np.bincount(labels, sizes)
    inertia = float((sizes * (levels - means[labels]) ** 2).sum())
    assert inertia <= theirs.inertia_ * (1 + 1e-6)


def test_fuzzy_centres_are_scikit_fuzzys(scan):
    from skfuzzy import cmeans

    values = values_of(scan)
    share = np.ascontiguousarray(values.reshape(-1)[:: max(1, values.size // 30_000)])
    ours = REGISTRY["fuzzy"]().fit(ArraySamples(share.reshape(1, 1, -1)))
    span = float(np.ptp(share))
    # It starts at random, so that it comes there of its own accord.
    theirs = cmeans(share.astype(np.float64)[None], 3, 2, error=1e-5, maxiter=2000, seed=0)[0][:, 0]
    assert np.allclose(np.sort(theirs), ours.centres_, atol=0.01 * (1 if scan.dtype.kind in "iu" else span / 255))
