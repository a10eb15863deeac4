"""The marker watershed as a method."""

import numpy as np
import pytest
from scipy import ndimage

from lithoscope.errors import InputError
from lithoscope.segmenters import Block, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.watershed import flood, gradient


def blurred(shape=(24, 26, 28), seed=0, noise=0.0):
    """A truth of two classes, and its image blurred by a point spread."""
    rng = np.random.default_rng(seed)
    truth = (ndimage.gaussian_filter(rng.normal(size=shape), 3) > 0).astype(np.uint8) + 1
    image = ndimage.gaussian_filter(np.where(truth == 1, 50.0, 150.0), 1.0) + rng.normal(0, noise, shape)
    return truth, image.clip(0, 255).astype(np.uint8)


def test_it_is_as_right_as_scikit_images():
    from skimage.segmentation import watershed

    truth, image = blurred()
    labels = np.where(image <= 65, 1, np.where(image > 135, 2, 0)).astype(np.uint8)
    steep = gradient(image, False)
    ours = flood(labels, steep, labels == 0, 64, flat=False)
    theirs = watershed(steep, labels.astype(np.int32))
    assert (ours == truth).mean() > 0.95
    assert (ours == truth).mean() >= (theirs == truth).mean() - 0.005
    alike = (ours == theirs)[labels == 0].mean()
    assert alike > 0.75  # they part where ways tie on the ridge


def test_thin_rims_get_no_class_of_their_own():
    _, image = blurred(seed=2)
    found = configured(segmenter("watershed"), {"bounds": "65,135"}).fit(ArraySamples(image)).predict(Block.of(image))
    assert set(np.unique(found)) == {1, 2}


def test_what_no_marker_reaches_is_decided_by_the_middle():
    image = np.full((5, 5, 40), 100, np.uint8)
    image[..., :3], image[..., 20:] = 10, 94
    method = configured(segmenter("watershed"), {"bounds": (50, 140), "reach": 2}).fit(ArraySamples(image))
    found = method.predict(Block.of(image))
    assert (found[..., :5] == 1).all()
    assert (found[..., 8:20] == 2).all()
    assert (found[..., 20:] == 1).all()


def test_bounds_come_in_pairs():
    with pytest.raises(InputError, match="two a boundary"):
        configured(segmenter("watershed"), {"bounds": (80,)}).fit(ArraySamples(np.zeros((2, 2, 2), np.uint8)))
