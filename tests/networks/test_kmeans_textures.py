"""K-means of filters or tokens tells textures apart that have one grey value, from mini-batches as well as from all voxels at once."""

from functools import partial

import numpy as np
import pytest

from lithoscope.errors import InputError
from lithoscope.job import silent
from lithoscope.labels.predict import segment
from lithoscope.labels.results import open_result
from lithoscope.segmenters import REGISTRY, Block, configured, settings
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.bank_pieces import pieces
from lithoscope.segmenters.feature_means import FeatureMeans, drawn
from lithoscope.volume.convert import import_scan

SHAPE = (20, 48, 48)


@pytest.fixture(scope="module")
def truth():
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 8)
    return np.where(field > np.median(field), 2, 1)


@pytest.fixture(scope="module")
def image(truth):
    """Two textures, smooth and rough, of the same mean grey value."""
    return (120 + np.where(truth == 1, 5, 30) * np.random.default_rng(1).normal(size=SHAPE)).clip(0, 255).astype("u1")


def fitted(image, inside=None, **given):
    return configured(REGISTRY["kmeans"], {"on": "filters", "attempts": 3, **given}).fit(ArraySamples(image, inside))


def looked(samples, classes):
    bank = configured(REGISTRY["kmeans"], {}).bank
    return drawn(samples, partial(pieces, bank), bank.halo(), bank.channels, classes, seed=0, report=silent)


def answer(method, image):
    return method.predict(Block.of(image, ArraySamples(image).histogram().window()))


@pytest.mark.parametrize("given", [{}, {"dimensions": 2}, {"scales": (3.0,)}])
def test_textures_of_one_grey_value_are_told_apart(image, truth, given):
    labels = answer(fitted(image, classes=2, **given), image)
    right = (labels == truth).mean()
    assert max(right, 1 - right) > 0.9
    by_grey = configured(REGISTRY["kmeans"], {"classes": 2}).fit(ArraySamples(image)).predict(Block.of(image))
    right = (by_grey == truth).mean()
    assert max(right, 1 - right) < 0.75


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4"])
def test_classes_rise_with_the_grey_value_whatever_the_dtype(truth, dtype):
    scale, offset = {"u1": (1, 0), "i2": (100, -9000), "u2": (200, 0), "f4": (1e-5, -1e-3)}[dtype]
    grey = np.array([150, 60])[truth - 1] + np.random.default_rng(2).normal(0, 15, SHAPE)
    image = (grey.clip(0, 255) * scale + offset).astype(dtype)
    method = fitted(image, classes=2)
    labels = answer(method, image)
    assert (labels == 3 - truth).mean() > 0.85  # what filters see of a border is as wide as they are
    centres = method.learnt()["centres"]
    assert centres == sorted(centres)
    assert image[labels == 1].mean() < image[labels == 2].mean()


@pytest.mark.parametrize("classes", [2, 4])
def test_mini_batches_lose_nothing_to_all_voxels_at_once(image, classes):
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    found = looked(ArraySamples(image), classes)
    ours = FeatureMeans.of(found, classes, attempts=10, rounds=100, seed=0, report=silent)
    standard = (found.features - found.features.mean(0)) / found.features.std(0)
    with threadpool_limits(1):
        theirs = KMeans(classes, n_init=5, random_state=0).fit(standard)
    assert ours.inertia * len(standard) <= theirs.inertia_ * 1.01


def test_a_seed_gives_the_same_classes_every_time(image):
    a, b = (fitted(image, seed=7) for _ in range(2))
    assert a.learnt() == b.learnt()
    assert answer(a, image).tobytes() == answer(b, image).tobytes()


def test_a_scan_is_answered_block_by_block_as_in_memory(image, tmp_path):
    np.save(tmp_path / "textures.npy", image)
    scan = import_scan(tmp_path / "textures.npy", tmp_path / "textures.zarr", field_of_view=None)
    method = fitted(image, classes=2, dimensions=3)
    record = segment(scan, configured(REGISTRY["kmeans"], settings(method)), output="textures")
    assert record.learnt == method.learnt()
    halo = method.halo()
    padded = np.pad(image, [(h, h) for h in halo], "symmetric")
    core = tuple(slice(h, h + n) for h, n in zip(halo, image.shape, strict=True))
    whole = method.predict(Block(image=padded, core=core, window=scan.window))[core]
    assert np.array_equal(open_result(scan, "textures").array[...], whole)


def test_outside_the_field_of_view_and_what_is_not_a_number_teach_nothing(image):
    dirty, inside = image.astype("f4"), np.ones(SHAPE, bool)
    inside[:, :, 30:] = False
    dirty[:, :, 30:] = 999
    dirty[3, 4:9, 5:20] = np.nan
    found = looked(ArraySamples(dirty, inside), 2)
    assert np.isfinite(found.grey).all()
    assert np.isfinite(found.features).all()
    assert found.grey.max() <= 255


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_a_constant_image_has_one_kind_of_place(dtype):
    with pytest.raises(InputError, match="only 1 kind of place"):
        fitted(np.full(SHAPE, 7, dtype), classes=2)


@pytest.fixture(scope="module")
def woven():
    """Two phases of exactly one grey distribution: noise as it comes, and the same noise turned into smooth waves; and which is which."""
    rng = np.random.default_rng(0)
    shape = (4, 128, 128)
    rough, smooth = rng.normal(size=shape), gaussian(rng.normal(size=shape), (0, 3, 3))
    phase = np.where(np.arange(128) < 64, 1, 2) * np.ones(shape, np.int64)
    made = np.empty(shape)
    for texture, k in ((rough, 1), (smooth, 2)):
        values = texture[phase == k]
        made[phase == k] = np.linspace(40, 210, values.size)[values.argsort().argsort()]
    return made.round().astype("u1"), phase


def gaussian(noise, sigma):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(noise, sigma)


def test_tokens_tell_apart_what_no_grey_value_can(woven):
    image, phase = woven
    assert np.abs(np.sort(image[phase == 1]).astype(int) - np.sort(image[phase == 2])).max() <= 1

    def right(**given):
        share = (answer(fitted(image, classes=2, **given), image) == phase).mean()
        return max(share, 1 - share)

    assert right(on="tokens") > 0.9
    assert right(on="grey") < 0.6


def test_a_scan_is_grouped_by_kept_tokens_as_by_those_of_its_blocks(woven, tmp_path):
    image, _ = woven
    np.save(tmp_path / "woven.npy", image)
    scan = import_scan(tmp_path / "woven.npy", tmp_path / "woven.zarr", field_of_view=None)
    given = {"on": "tokens", "backbone": "random-tiny", "classes": 2, "attempts": 2, "dimensions": 2}
    segment(scan, configured(REGISTRY["kmeans"], given), output="kept")
    assert list((scan.sidecar / "cache").glob("tokens-*"))
    method = fitted(image, **given)
    halo = method.halo()
    padded = np.pad(image, [(h, h) for h in halo], "symmetric")
    core = tuple(slice(h, h + n) for h, n in zip(halo, image.shape, strict=True))
    whole = method.predict(Block(image=padded, core=core, window=scan.window, origin=tuple(-h for h in halo)))[core]
    # Kept in half precision, and nothing beyond the last token.
    assert (open_result(scan, "kept").array[...] == whole).mean() > 0.98


def test_other_weights_than_those_it_was_fitted_to_are_noticed(woven, tmp_path):
    method = fitted(woven[0], on="tokens", backbone="random-tiny", classes=2)
    state = {**method.state(), "weights_sha256": np.frombuffer(b"other", np.uint8)}
    with pytest.raises(InputError, match="other weights"):
        configured(REGISTRY["kmeans"], settings(method)).restore(state, method.classes_)


def test_slice_by_slice_goes_with_grey_values_alone(image):
    with pytest.raises(InputError, match="on=grey"):
        fitted(image, per_slice=True)
