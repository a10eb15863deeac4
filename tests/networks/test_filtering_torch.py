"""The averaging filters with torch give what they give without."""

import numpy as np
import torch

from lithoscope.filtering import pairs
from lithoscope.filtering.pairs import Likeness, averaged


def test_torch_gives_what_numpy_gives():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 14, 15)).astype(np.float32)
    like = Likeness((1, 2, 2), (1, 1, 1), 0.4, 0.3)
    flat = torch.from_numpy(values).reshape(-1)
    total, weight = pairs._sums(torch, flat, flat * np.float32(like.scale), None, values.shape, like)
    found = (total / weight).reshape(values.shape)[2:-2, 3:-3, 3:-3].numpy()
    assert np.allclose(found, averaged(values, like), atol=1e-6)
