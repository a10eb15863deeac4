"""What the network sees, against its budgets: overlays from kept tokens, following the cursor, colours of a large scan, maps.

    python benchmarks/explain.py [--json results.json] [--quick]

The scan is simulated; the colours of a scan of 1024³ are fitted to as many planes of tokens as it has, made up so that no scan of
that size is needed. UMAP is measured beside t-SNE where umap-learn is installed.
"""

import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from harness import PeakMemory, Row, bound, main, seconds
from lithoscope.explain import attention_maps, pca
from lithoscope.explain.embedding import embed, neighbours_kept
from lithoscope.explain.plane_tokens import PlaneTokens
from lithoscope.explain.points import Points, draw
from lithoscope.explain.views import Views
from lithoscope.features.tokens import Tokens
from lithoscope.sample import simulate


class MadeUp(PlaneTokens):
    """Planes of tokens of a scan of 1024³, drawn from a few, as if all were kept."""

    def __init__(self, source, planes):
        super().__init__(source.scan, source.tokens)
        rng = np.random.default_rng(0)
        mixed = rng.normal(size=(64, 64)) * np.linspace(2, 0.1, 64)
        self.planes, self.few = planes, [(rng.normal(size=(128, 128, 64)) @ mixed).astype(np.float16) for _ in range(4)]

    def of(self, axis, index, check=lambda: None):
        return self.few[index % 4].copy()


def fitted(source):
    class Pieces:
        def __iter__(self):
            for index in range(source.planes):
                tokens = source.of(0, index)
                yield tokens.reshape(-1, tokens.shape[-1]).astype(np.float32)

    return pca.Basis.fit(Pieces(), 3)


def measure(quick: bool) -> list[Row]:
    rows = []
    edge = 300 if quick else 1000
    with tempfile.TemporaryDirectory() as folder:
        scan = simulate(Path(folder) / "rock.zarr", shape=(12, edge, edge), seed=0)
        views = Views(scan)
        views.pca(0, 5)
        fresh = PlaneTokens(scan, Tokens())
        rows.append(
            bound(f"colours of a plane of {edge}², tokens kept on disk", once(lambda: pca.overlay(fresh, views.colours(), 0, 5)), 0.3, "s")
        )
        rows.append(bound("the same again", seconds(lambda: views.pca(0, 5)), 0.3, "s"))
        views.likeness(0, 5)
        rows.append(bound("likeness, following the cursor", seconds(lambda: views.similarity(0, (5, 40, 44)), 20), 0.05, "s"))
        at, pixels = (5, edge // 2, edge // 2), 224 if quick else 518
        start = time.perf_counter()
        seen = views.seen(0, at, pixels=pixels)
        rows.append(bound(f"a window of {pixels} pixels looked at", time.perf_counter() - start, 60, "s", "no budget"))
        follow = lambda: attention_maps.attention(seen, at=at)  # noqa: E731
        rows.append(bound("attention, following the cursor, outline included", seconds(follow, 20), 0.05, "s"))
        made_up = MadeUp(fresh, 64 if quick else 1024)
        with PeakMemory() as memory:
            start = time.perf_counter()
            fitted(made_up)
            spent = time.perf_counter() - start
        rows.append(
            bound(f"colours fitted to {made_up.planes} planes of 128² tokens: memory", memory.peak / 1e9, 2, "GB", f"{spent:.0f} s")
        )
        rows += maps(fresh, 1000 if quick else 10_000)
    return rows


def maps(source, count) -> list[Row]:
    """t-SNE, and UMAP beside it."""
    points: Points = draw([source], count)
    start = time.perf_counter()
    made = embed(points, "tsne")
    spent = time.perf_counter() - start
    said = f"{neighbours_kept(points.vectors, made.at):.2f} of ten neighbours kept"
    rows = [bound(f"t-SNE of {len(points)} patches", spent, 60, "s", said)]
    if find_spec("umap") is not None:
        import umap

        start = time.perf_counter()
        at = umap.UMAP(random_state=0).fit_transform(points.vectors)
        spent = time.perf_counter() - start
        said = f"{neighbours_kept(points.vectors, np.asarray(at, np.float32)):.2f} of ten neighbours kept; not offered"
        rows.append(bound(f"UMAP of {len(points)} patches", spent, 60, "s", said))
    return rows


def once(work) -> float:
    """The wall time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main("What the network sees", measure)
