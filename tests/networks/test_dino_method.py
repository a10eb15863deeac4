"""The method on tokens: it learns what grey values cannot say, goes from scan to scan, and never meets other weights unnoticed."""

import numpy as np
import pytest

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, MissingError
from lithoscope.features.backbones import RANDOM, random_config
from lithoscope.features.vit import Vit
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.saving import load, save
from lithoscope.training.selfsupervised.loop import write

GIVEN = {"backbone": RANDOM, "dimensions": 2, "scale": 1}


def noisy(seed):
    """Two halves of different grey under noise of nearly the same size, which a voxel alone cannot tell apart."""
    noise = np.random.default_rng(seed).normal(0, 25, TRUTH.shape)
    return (np.where(TRUTH == 1, 110, 140) + noise).clip(0, 255).astype(np.uint8)


TRUTH = np.concatenate([np.full((3, 80, 48), 1, np.uint8), np.full((3, 80, 48), 2, np.uint8)], 2)


def taught(image):
    labels = np.zeros_like(TRUTH)
    labels[1, 4:-4:3] = TRUTH[1, 4:-4:3]
    whole = Block.of(image, (0, 255))
    sample = Sample(image=image, core=whole.core, window=whole.window, labels=labels)
    return ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(2))


def accuracy(method, image):
    return float((method.predict(Block.of(image, (0, 255))) == TRUTH).mean())


def test_phases_that_noise_hides_are_told_apart():
    method = configured(segmenter("dino"), {**GIVEN, "reduced": 12, "filters": False}).fit(taught(noisy(0)))
    assert accuracy(method, noisy(0)) > 0.9


def test_a_model_taught_on_one_scan_works_on_the_next(tmp_path):
    method = configured(segmenter("dino"), {**GIVEN, "reduced": 12}).fit(taught(noisy(0)))
    again = load(save(method, tmp_path / "model"))
    assert accuracy(again, noisy(5)) > 0.9


def test_a_backbone_without_a_basis_has_one_fitted_and_kept_in_the_model(tmp_path):
    method = configured(segmenter("dino"), {**GIVEN, "reduced": 6}).fit(taught(noisy(0)))
    assert method.basis_.components.shape == (6, 48)
    again = load(save(method, tmp_path / "model"))
    assert again.tokens.key() == method.tokens.key()


def test_other_weights_under_the_same_name_are_noticed(tmp_path):
    folder = tmp_path / "mine"
    write(folder, Vit.random(random_config(), seed=1))
    method = configured(segmenter("dino"), {**GIVEN, "backbone": str(folder)}).fit(taught(noisy(0)))
    model = save(method, tmp_path / "model")
    write(folder, Vit.random(random_config(), seed=2))
    with pytest.raises(InputError, match="other weights"):
        load(model)


def test_a_missing_backbone_is_said_before_anything_is_learnt():
    with pytest.raises(MissingError, match="no backbone 'dinov9'"):
        configured(segmenter("dino"), {"backbone": "dinov9"}).fit(taught(noisy(0)))
