"""The filter bank against scikit-image, against itself in blocks, and on what it is sold for: odd shapes, dtypes and faces."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.features.filters import FilterBank

EVERY = ("gaussian", "gradient", "hessian", "structure", "deviation", "minimum", "maximum", "median")


def rock(shape, seed=0):
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return (255 * (noise - noise.min()) / np.ptp(noise)).astype("u1")


def whole(shape):
    return tuple(slice(0, n) for n in shape)


@pytest.mark.parametrize(("shape", "ndim", "channels"), [((1, 61, 83), 2, 15), ((33, 41, 29), 3, 20)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_the_channels_are_those_of_scikit_image_up_to_the_faces(shape, ndim, channels, dtype):
    from skimage.feature import multiscale_basic_features

    image = rock(shape).astype(dtype) * (200 if dtype == "u2" else 1)
    image = image / np.float32(255) if dtype == "f4" else image
    found = FilterBank.skimage(ndim).extract(image, (0, 1), None)
    expected = multiscale_basic_features(image[0] if ndim == 2 else image, sigma_min=1, sigma_max=16, edges=False)
    expected = np.moveaxis(expected, -1, 0).reshape(found.shape)
    assert len(found) == channels
    assert np.abs(found - expected).max() < 1e-3


def test_names_and_channels_agree():
    bank = FilterBank((1.0, 2.0), EVERY, raw=True, extra=(("median", 3.0),))
    assert len(bank.names()) == bank.channels == len(set(bank.names()))
    assert bank.extract(rock((9, 12, 10)), (0, 255), None).shape == (bank.channels, 9, 12, 10)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2), (0, 1)])
@pytest.mark.parametrize("coarse", [False, True])
def test_a_block_with_its_halo_has_the_features_of_the_whole(axes, coarse):
    image = rock((37, 45, 52))
    bank = FilterBank((1.0, 4.0), EVERY, axes=axes, raw=True, coarse=coarse, half=True)
    expected = bank.extract(image, (0, 255), None)
    halo = bank.halo()
    padded = np.pad(image, [(h, h) for h in halo], "symmetric")
    for start, stop in (((0, 0, 0), (37, 7, 52)), ((5, 9, 3), (6, 45, 31)), ((36, 44, 51), (37, 45, 52))):
        part = tuple(slice(a, b + 2 * h) for a, b, h in zip(start, stop, halo, strict=True))
        core = tuple(slice(h, h + b - a) for a, b, h in zip(start, stop, halo, strict=True))
        origin = tuple(a - h for a, h in zip(start, halo, strict=True))
        prepared = bank.prepare(padded[part], (0, 255), core, origin=origin)
        found = torch.cat([v for _, v in prepared.pieces()], 1).numpy()
        inner = expected[(slice(None), *(slice(a, b) for a, b in zip(start, stop, strict=True)))]
        for name, one, other in zip(bank.names(), found, inner, strict=True):
            assert np.abs(one - other).max() <= 1e-3 * np.abs(other).max() + 2e-4, name


@settings(deadline=None, max_examples=15)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.sampled_from(["u1", "i2", ">u2", "f4", "f8"]), st.booleans())
def test_any_shape_and_dtype_gives_finite_features(shape, dtype, coarse):
    image = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    if image.dtype.kind == "f":
        image.flat[0] = np.nan
    found = FilterBank((1.0, 8.0), coarse=coarse, raw=True).extract(image, (0.0, 100.0), None)
    assert np.isfinite(found).all()


def test_one_voxel_planes_and_constant_images_have_flat_derivatives():
    bank = FilterBank((1.0, 2.0), ("gradient", "hessian", "structure", "deviation"))
    assert np.abs(bank.extract(np.full((1, 8, 8), 7, "u1"), (0, 255), None)).max() < 1e-5


def test_planes_across_another_axis_are_the_same_filters_turned():
    image = rock((21, 18, 26))
    across = FilterBank((2.0,), axes=(0, 2)).extract(image, (0, 255), None)
    turned = FilterBank((2.0,), axes=(1, 2)).extract(np.swapaxes(image, 0, 1), (0, 255), None)
    assert np.allclose(across, np.swapaxes(turned, 1, 2), atol=1e-6)


def test_large_scales_from_a_coarser_grid_differ_little():
    image = rock((48, 64, 56))
    exact = FilterBank((4.0, 8.0)).extract(image, (0, 255), None)
    coarse = FilterBank((4.0, 8.0), coarse=True).extract(image, (0, 255), None)
    apart = np.sqrt(((exact - coarse) ** 2).mean((1, 2, 3))) / exact.std((1, 2, 3))
    assert apart.max() < 0.12


def test_scales_in_micrometres_follow_the_voxel():
    image = rock((20, 40, 40))
    voxels = FilterBank((2.0,), axes=(1, 2)).extract(image, (0, 255), None)
    length = FilterBank((5.0,), axes=(1, 2), voxel_um=(7.0, 2.5, 2.5)).extract(image, (0, 255), None)
    assert np.allclose(voxels, length)
    assert FilterBank((8.0,), voxel_um=(4.0, 2.0, 1.0)).halo() < FilterBank((8.0,)).halo()


def test_another_setting_is_another_key():
    keys = {FilterBank().key(), FilterBank(coarse=True).key(), FilterBank((1.0,)).key(), FilterBank(half=True).key()}
    assert len(keys) == 4
    assert FilterBank().key() == FilterBank((1.0, 2.0, 4.0, 8.0, 16.0)).key()


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(InputError, match="above zero"):
        FilterBank((0.0,))
