"""The weights that come with the product open, and bring their own basis."""

import numpy as np

from lithoscope.features.backbones import SHIPPED, open_backbone
from lithoscope.features.tokens import Tokens


def test_the_shipped_backbone_opens_without_anything_else():
    opened = open_backbone(SHIPPED)
    assert opened.network.size() == 5_358_912
    assert opened.licence == "BSD-3-Clause"


def test_it_brings_its_own_basis():
    tokens = Tokens(reduced=32)
    assert tokens.used is not None
    image = np.random.default_rng(0).random((1, 24, 24)).astype(np.float32)
    made = tokens.extract(image, (0.0, 1.0), None)
    assert made.shape == (32, 1, 24, 24)
    assert np.isfinite(made).all()


def test_two_extractions_are_bit_identical():
    image = np.random.default_rng(0).random((1, 24, 24)).astype(np.float32)
    first, second = (Tokens(reduced=8).extract(image, (0.0, 1.0), None) for _ in range(2))
    assert first.tobytes() == second.tobytes()
