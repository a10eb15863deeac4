"""A million vectors searched: ours exact beside FAISS flat, and what each approximate index misses, costs and wins.

The vectors are embeddings of the shared scans by the shipped backbone (planes z and y, 384 numbers), drawn again and again and jittered.

    LITHOSCOPE_SHARED_DATA=… python benchmarks/retrieval.py [--json results.json] [--quick]
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from harness import Row, at_most, bound, faster, main
from lithoscope.retrieval.adding import add
from lithoscope.retrieval.index import KINDS, Index, IndexSettings, joined, judged
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.lsh import FAMILIES
from lithoscope.retrieval.memory import Memory
from lithoscope.volume.convert import import_scan

JITTER = 0.25
"""Length of what is added to a vector of length 1."""
QUERIES = 100
PUBLISHED = IndexSettings(bits=20, probes=200)
"""Hashing as it was published, with all that the buckets hold ranked."""


def imported(folder: Path) -> list[Path]:
    """Four shared scans, imported into a folder."""
    data = Path(os.environ["LITHOSCOPE_SHARED_DATA"]) / "volumes"
    folder.mkdir(parents=True, exist_ok=True)
    sources = {
        "soil": (data / "soil_500x500_slices", {}),
        "sand": (data / "sand_200x200x100_uint8.raw", {"shape": (100, 200, 200), "dtype": "uint8"}),
        "cement": (data / "cement_128x128x128.tif", {}),
        "bone": (data / "bone_128x128x128.tif", {}),
    }
    for name, (source, how) in sources.items():
        if not (folder / f"{name}.zarr").exists():
            import_scan(source, folder / f"{name}.zarr", **how)
    return [folder / f"{name}.zarr" for name in sources]


def embeddings(folder: Path) -> np.ndarray:
    """The vectors (n, 384) of patches of four shared scans."""
    kept = folder / "vectors.npy"
    if kept.exists():
        return np.load(kept)
    add(str(folder / "lib"), imported(folder), planes=("z", "y"))
    made = joined(Memory.load(Library.open(folder / "lib")))
    np.save(kept, made)
    return made


def jittered(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = np.empty((count, vectors.shape[1]), np.float32)
    for start in range(0, count, 50_000):
        part = vectors[rng.integers(0, len(vectors), min(50_000, count - start))]
        noise = rng.normal(0, JITTER / part.shape[1] ** 0.5, part.shape).astype(np.float32)
        made[start : start + len(part)] = part + noise
        made[start : start + len(part)] /= np.linalg.norm(made[start : start + len(part)], axis=1, keepdims=True)
    return made


def flat_ms(vectors: np.ndarray, queries: np.ndarray) -> float:
    """Milliseconds a query (median) of FAISS flat, one at a time."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    spent = []
    for query in queries:
        start = time.perf_counter()
        index.search(query[None], 10)
        spent.append(time.perf_counter() - start)
    return 1000 * float(np.median(spent))


def measure(quick: bool) -> list[Row]:
    folder = Path(os.environ.get("LITHOSCOPE_BENCH", tempfile.gettempdir())) / "lithoscope-retrieval"
    base = embeddings(folder)
    count = 20_000 if quick else 1_000_000
    vectors, queries = jittered(base, count, 0), jittered(base, QUERIES, 1)
    work = f"top 10 of {count:,} × {vectors.shape[1]}"
    theirs = flat_ms(vectors, queries[:20])
    rows, kinds = [], os.environ.get("LITHOSCOPE_KINDS", ",".join(KINDS)).split(",")
    tried = [(kind, IndexSettings(), kind) for kind in kinds] + [(k, PUBLISHED, f"{k} as published") for k in kinds if k in FAMILIES]
    for kind, settings, name in tried:
        start = time.perf_counter()
        index = Index.build(kind, vectors, settings)
        told = judged(index, vectors, time.perf_counter() - start, queries[:20] if kind == "exact" else queries)
        if kind == "exact":
            rows.append(at_most(f"{work}, exact", "FAISS flat", theirs / 1000, told.query_ms / 1000, 1.5))
            continue
        note = f"recall@10 {told.recall:.4f}, built in {told.build_seconds:.1f} s, {told.bytes >> 20} MB"
        if kind in FAMILIES:
            chosen = index.settings
            note += f", {chosen.bits} bits, {chosen.probes} probes, {10 * chosen.refine or 'all'} rows looked at"
        rows.append(faster(f"{work}, {name}", "FAISS flat", theirs / 1000, told.query_ms / 1000, 50, note))
        rows.append(bound(f"{name}: share of the exact top 10 that is missed", 1 - told.recall, 0.02, "", note))
        del index
    return rows


if __name__ == "__main__":
    main("retrieval", measure)
