"""What tests of networks share."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def sources():
    """Two scans to pretrain on: blocks of one grey value each, and noise."""
    from lithoscope.training.selfsupervised.crops import Source

    rng = np.random.default_rng(0)
    smooth = np.repeat(np.repeat(rng.normal(size=(30, 15, 15)), 4, 1), 4, 2).astype(np.float32)
    return [Source.of(smooth, "steps"), Source.of(rng.normal(size=(30, 60, 60)).astype(np.float32), "noise")]
