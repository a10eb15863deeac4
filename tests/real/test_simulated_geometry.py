"""Scans simulated from geometries that others segmented: the geometry is the truth that methods are scored against."""

import numpy as np
import tifffile

from lithoscope.scores.segmentation import confusion
from lithoscope.volume.box import Box
from lithoscope.volume.simulate import Scanner, circle, scan_of


def test_a_simulated_electrode_can_be_segmented_back(shared_data):
    from skimage.filters import threshold_multiotsu

    geometry = tifffile.imread(shared_data / "geometry" / "electrode.tiff")[:24]
    scan = scan_of(geometry, {0: 50, 85: 110, 170: 170}, seed=2, scanner=Scanner(psf=0.8, noise=8, rings=2, cupping=0.03))
    inside = circle(geometry.shape).inside(Box.whole(geometry.shape))
    assert not scan[~inside].any()
    assert scan[inside].all()
    truth = np.searchsorted([0, 85, 170], geometry).astype(np.uint8) + 1
    found = np.digitize(scan, threshold_multiotsu(scan[inside], 3), right=True).astype(np.uint8) + 1
    assert 0.4 < confusion(truth, found, inside).mean_iou < 0.95
