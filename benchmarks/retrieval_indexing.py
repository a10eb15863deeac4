"""Indexing a scan beside the bare forward pass over as many windows, in seconds of the processor.

python benchmarks/retrieval_indexing.py [--json results.json] [--quick]
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import Row, at_most, main
from lithoscope.features.backbones import SHIPPED, open_backbone
from lithoscope.job import silent
from lithoscope.retrieval.adding import fill
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.patches import Cubes
from lithoscope.retrieval.recipe import WINDOWS, Recipe
from lithoscope.retrieval.sources import ScanSource
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan


def measure(quick: bool) -> list[Row]:
    import torch

    shape = (40, 96, 96) if quick else (48, 288, 288)
    backbone = open_backbone(SHIPPED)
    recipe = replace(Recipe(planes=("z",)), sha256=backbone.sha256, width=backbone.width)
    grey = np.random.default_rng(0).normal(128, 40, shape).clip(0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "noise.npy", grey)
        import_scan(Path(folder) / "noise.npy", Path(folder) / "noise.zarr", field_of_view=None)
        source = ScanSource(Scan.open(Path(folder) / "noise.zarr"))
        library = Library.create(Path(folder) / "lib", recipe)
        embedder = Embedder(recipe, backbone)
        backbone.network(torch.zeros(1, 1, 64, 64))
        start = time.process_time()
        _, rows = fill(library.patches, embedder, source, {}, silent, (0, 1))
        ours = time.process_time() - start
    planes = len(Cubes.of(source, recipe, 1.0).starts[0])
    grid = embedder.tokens(recipe.patch).grid
    along = [len(WINDOWS.over(0, grid.count(n))) for n in shape[1:]]
    count, side = planes * along[0] * along[1], WINDOWS.side * backbone.patch
    batch = torch.randn(min(count, 16), 1, side, side)
    with torch.inference_mode():
        backbone.network(batch)
        start = time.process_time()
        for first in range(0, count, len(batch)):
            backbone.network(batch[: min(len(batch), count - first)])
        bare = time.process_time() - start
    note = f"{rows} patches, {count} windows of {side}²; {bare / ours:.0%} of the bare pass"
    return [at_most("patches of a scan, read to stored", "bare forward pass", bare, ours, 1 / 0.85, note=note)]


if __name__ == "__main__":
    main("retrieval_indexing", measure)
