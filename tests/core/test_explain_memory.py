"""Colours are fitted to any number of planes in the memory of one."""

import tracemalloc
from types import SimpleNamespace

import numpy as np

from lithoscope.explain import pca
from lithoscope.features.token_grid import Grid


def made_up(planes):
    """Planes of 64 × 64 tokens that are made as they are asked for, all of them said to be kept."""
    rng = np.random.default_rng(0)
    few = [rng.normal(size=(64, 64, 32)).astype(np.float16) for _ in range(3)]
    cache = SimpleNamespace(planes=lambda axis: planes)
    return SimpleNamespace(
        scan=SimpleNamespace(shape=(planes, 512, 512), separate_slices=False),
        tokens=SimpleNamespace(grid=Grid(8)),
        whole=lambda axis: [cache] if axis == 0 else [],
        of=lambda axis, index: few[index % 3].copy(),
    )


def peak(planes):
    source, seen = made_up(planes), []
    tracemalloc.start()
    pca.fit(source, axes=(0,), report=seen.append)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used, len(seen)


def test_memory_does_not_grow_with_the_planes():
    few, looked = peak(6)
    many, looked_more = peak(200)
    assert (looked, looked_more) == (7, 201)
    assert many < few + 1_000_000
