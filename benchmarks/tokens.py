"""Tokens from scan to cache beside the bare network, and a second answer from kept tokens beside one that works them out again.

Seconds are of the processor.

python benchmarks/tokens.py [--json results.json] [--quick]
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness import Row, faster, main
from lithoscope.features.token_cache import TokenCache
from lithoscope.features.tokens import Tokens
from lithoscope.sample import simulate
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.volume.box import Box


def seconds(work: Callable[[], Any], repeats: int = 1) -> float:
    """The least processor time of a few runs, which other work on the machine disturbs less than the clock."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def bare(tokens: Tokens, count: int) -> float:
    """Seconds of the network alone over so many windows, at its best batch."""
    network, side = tokens.opened.network, tokens.windows.side * tokens.opened.patch
    best = float("inf")
    for batch in (4, 8, 16):
        pixels = network.normalised(torch.rand(batch, 1, side, side))
        with torch.inference_mode():
            best = min(best, seconds(lambda pixels=pixels: network.layers(pixels, (-1,)), 3) / batch)
    return best * count


def taught(image: np.ndarray, given: dict) -> object:
    """The method taught on a few rows of one plane."""
    labels = np.zeros(image.shape, np.uint8)
    labels[1, 20:-20:8] = np.digitize(image[1, 20:-20:8], np.quantile(image, [0.4])) + 1
    whole = Block.of(image)
    sample = Sample(image=image, core=whole.core, window=whole.window, labels=labels)
    from lithoscope.classes import ClassTable

    return configured(segmenter("dino"), given).fit(ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(2)))


def measure(quick: bool) -> list[Row]:
    """The rows."""
    rows, shape = [], (4, 256, 256) if quick else (16, 512, 512)
    with tempfile.TemporaryDirectory() as folder:
        scan = simulate(Path(folder) / "scan.zarr", shape=shape)
        tokens = Tokens()
        starts = [len(tokens.windows.over(0, tokens.grid.count(n))) for n in shape[1:]]
        alone = bare(tokens, shape[0] * starts[0] * starts[1])
        cache = TokenCache(scan, tokens)
        assert cache.window  # the scan is counted before, once
        ours = seconds(lambda: cache.make())
        rows.append(faster("tokens, scan to cache (share of the bare network's throughput)", "the bare network", alone, ours, 0.9))
        image = np.asarray(scan.array()[:])
        whole = Box.whole(shape)
        core = whole.slices
        for title, given in (("tokens alone", {"filters": False}), ("tokens and filters", {})):
            method = taught(image, {"dimensions": 2, "plane": "z", "scale": 1, **given})
            block = Block(image=image, core=core, window=scan.window)
            again = seconds(lambda method=method, block=block: method.predict(block), 1)
            kept = Block(image=image, core=core, window=scan.window, tokens=cache)
            second = seconds(lambda method=method, kept=kept: method.predict(kept), 3)
            rows.append(faster(f"a second answer, linear head, {title}", "extracting again", again, second, 50))
    return rows


if __name__ == "__main__":
    main("Tokens", measure)
