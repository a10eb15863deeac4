"""A first look at a place says nearly what a closer one does."""

import numpy as np
import pytest
from library_data import BACKBONE, small_scan, textured

from lithoscope.retrieval.adding import opened
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.glance import glance
from lithoscope.retrieval.recipe import Recipe
from lithoscope.retrieval.sources import ScanSource
from lithoscope.volume.box import Box


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return ScanSource(small_scan(tmp_path_factory.mktemp("glance"), "grains", textured("grains", (60, 150, 170))))


@pytest.fixture(scope="module")
def embedder():
    backbone = opened(BACKBONE, "cpu")
    return Embedder(Recipe(backbone=BACKBONE, sha256=backbone.sha256, width=backbone.width), backbone)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("start", [(4, 40, 60), (0, 0, 0), (28, 118, 138)])
def test_one_window_sees_a_box_nearly_as_all_windows_do(source, embedder, axis, start):
    z, y, x = start
    box = Box(start, (z + 32, y + 32, x + 32))
    plane = "zyx"[axis]
    near = glance(embedder, source, box, axis)[f"{plane}_mean"]
    whole = embedder.query(source, box, planes=(plane,))[f"{plane}_mean"]
    other = embedder.query(source, Box((0, 60, 100), (32, 92, 132)), planes=(plane,))[f"{plane}_mean"]
    assert np.linalg.norm(near - whole) < 0.5 * np.linalg.norm(other - whole)


def test_a_stroke_counts_alone(source, embedder):
    box, mask = Box((10, 40, 40), (11, 60, 72)), np.zeros((1, 20, 32), bool)
    mask[:, 4:9, 3:30] = True
    near = glance(embedder, source, box, 0, mask)["z_mean"]
    whole = embedder.query(source, box, mask=mask, planes=("z",))["z_mean"]
    other = embedder.query(source, Box((10, 100, 100), (11, 120, 132)), planes=("z",))["z_mean"]
    assert np.linalg.norm(near - whole) < 0.5 * np.linalg.norm(other - whole)


def test_what_is_larger_than_a_window_or_not_held_is_not_glanced_at(source, embedder):
    assert glance(embedder, source, Box((0, 0, 0), (10, 140, 20)), 0) is None
    classes = Embedder(Recipe(poolings=("class",), width=embedder.recipe.width), embedder.backbone)
    assert glance(classes, source, Box((0, 0, 0), (32, 32, 32)), 0) is None
    assert glance(embedder, source, Box((0, 0, 0), (1, 20, 20)), 0, np.zeros((1, 20, 20), bool)) is None
