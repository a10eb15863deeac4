"""Approximate indices over a library's vectors: HNSW and IVF-PQ by FAISS, hashing by our own. Each tells what it costs and misses.

An index is a cache over one version of a library: it can be deleted at any time. What it proposes is ranked by exact similarity.
"""

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError
from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.lsh import FAMILIES, LshIndex, LshSettings
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.vectors import Floats

KINDS = ("exact", "hnsw", "ivfpq", *FAMILIES)
RECALL_AT = 10
REFINE = {"hnsw": 10, "ivfpq": 100}
"""How many times as many as are wanted are ranked exactly."""
SPARE_BITS = 4
"""Buckets are so many bits finer than one a row would be."""
LEARNT = 50_000
"""From so many rows the range of each number is learnt."""
FEWEST = 100
"""With fewer patches an index has nothing to win."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """`links`, `construction`, `ef`: of HNSW, neighbours kept a row, and looked at for a row and for a query. `lists` (0: by size),
    `visited`, `code_bytes`: of IVF-PQ. `refine`: for every place that is wanted, so many that the index names by less than the exact
    vectors are ranked by these (0: by kind).

    `tables`, `bits`, `probes`, `sketch`: of hashing. 0 bits are as many as the size asks for, 0 probes as many as find `recall` per cent
    of the exact top ten on a sample of the vectors, or come nearest to it, with as many ranked as that takes, or as `refine` says. As
    published: bits=20 probes=200; without `refine` all that the buckets hold is ranked then."""

    links: int = 32
    construction: int = 100
    ef: int = 240
    lists: int = 0
    visited: int = 16
    code_bytes: int = 96
    tables: int = 10
    bits: int = 0
    probes: int = 0
    sketch: int = 512
    recall: int = 98
    refine: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index costs: recall of the exact top 10, seconds to build, milliseconds a query (median), bytes."""

    kind: str
    rows: int
    recall: float
    build_seconds: float
    query_ms: float
    exact_ms: float
    bytes: int


class Index:
    """One index of some kind over vectors (n, width) of length 1."""

    def __init__(self, kind: str, inner: Any, settings: IndexSettings) -> None:
        self.kind, self._inner, self.settings = kind, inner, settings

    @classmethod
    def build(cls, kind: str, vectors: Floats, settings: IndexSettings | None = None, report: Report = silent) -> "Index":
        """Index the vectors; "exact" needs none."""
        chosen = settings or IndexSettings()
        if kind not in KINDS:
            raise InputError(f"there is no index {kind!r}; the indices are {', '.join(KINDS)}")
        if kind == "exact":
            return cls(kind, vectors, chosen)
        if len(vectors) < FEWEST:
            raise InputError(f"{len(vectors)} patches need no index; search them as they are")
        if kind in FAMILIES:
            return cls(kind, *_hashed(kind, vectors, chosen, report))
        return cls(kind, _faiss(kind, vectors, chosen, report), chosen)

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        if self.kind == "exact":
            return int(self._inner.nbytes)
        if isinstance(self._inner, LshIndex):
            return self._inner.bytes
        return len(_library().serialize_index(self._inner))

    def candidates(self, query: Floats, count: int) -> npt.NDArray[np.intp]:
        """Rows that are worth an exact look for one query (width,), about `count` of them."""
        if self.kind == "exact":
            values = self._inner @ query
            return np.argpartition(-values, min(count, len(values)) - 1)[:count]
        if isinstance(self._inner, LshIndex):
            return self._inner.candidates(query, max(count, self.settings.refine * RECALL_AT) if self.settings.refine else 0)
        if self.kind == "hnsw":
            self._inner.hnsw.efSearch = max(self.settings.ef, count)
        rows = self._inner.search(query[None], count)[1][0]
        return np.asarray(rows[rows >= 0], np.intp)

    def nearest(self, vectors: Floats, query: Floats, k: int) -> npt.NDArray[np.intp]:
        """The `k` rows of most similarity among the candidates, best first."""
        from lithoscope.retrieval.compiled_rows import products

        rows = self.candidates(query, (self.settings.refine or REFINE.get(self.kind, 1)) * k)
        values = products(vectors, rows, query)
        return rows[np.argsort(-values, kind="stable")[:k]]

    def save(self, path: Path) -> None:
        """Write it, where it is FAISS's; hashing is made again faster than it is read."""
        if self.kind in ("hnsw", "ivfpq"):
            _library().write_index(self._inner, str(path))


def _library() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingError("this index needs FAISS, which is not installed; install it: pip install 'lithoscope[library]'") from None
    return faiss


def _faiss(kind: str, vectors: Floats, settings: IndexSettings, report: Report) -> Any:
    faiss = _library()
    count, width = vectors.shape
    if kind == "hnsw":
        # Eight bits a number: the vectors themselves lie in the library, and the best are ranked by them.
        made = faiss.IndexHNSWSQ(width, faiss.ScalarQuantizer.QT_8bit, settings.links, faiss.METRIC_INNER_PRODUCT)
        made.hnsw.efConstruction = settings.construction
        made.train(vectors[:: max(1, count // LEARNT)])
    else:
        lists = settings.lists or max(1, min(int(count**0.5), count // 40))
        code = max(c for c in range(1, min(settings.code_bytes, width) + 1) if width % c == 0)
        bits = 8 if count >= 40 * 256 else 4
        made = faiss.IndexIVFPQ(faiss.IndexFlatIP(width), width, lists, code, bits, faiss.METRIC_INNER_PRODUCT)
        made.cp.seed = settings.seed + 1
        made.nprobe = settings.visited
        rng = np.random.default_rng(settings.seed)
        report(Progress(0, count, f"{kind}: learning"))
        made.train(vectors[np.sort(rng.choice(count, min(count, max(64 * lists, 256 * 40)), replace=False))])
    for start in range(0, count, step := max(1000, count // 50)):
        report(Progress(start, count, f"{kind}: building"))
        made.add(vectors[start : start + step])
    return made


def _hashed(kind: str, vectors: Floats, chosen: IndexSettings, report: Report) -> tuple[LshIndex, IndexSettings]:
    """Tables, and the settings with what was chosen for them."""
    from lithoscope.retrieval.tuning import tuned

    bits = chosen.bits or min(30, max(8, math.ceil(math.log2(len(vectors))) + SPARE_BITS))
    sketch = chosen.sketch if chosen.refine or not chosen.probes else 0
    given = LshSettings(chosen.tables, bits, chosen.probes or chosen.tables, sketch=sketch, seed=chosen.seed)
    made, refine = LshIndex.build(kind, vectors, given, report), chosen.refine
    if not chosen.probes:
        made, refine = tuned(made, vectors, chosen.recall / 100, refine, report)
    if not refine:  # all that the buckets hold is ranked
        made, sketch = replace(made, settings=replace(made.settings, sketch=0), sketch=None), 0
    return made, replace(chosen, bits=bits, probes=made.settings.probes, sketch=sketch, refine=refine)


def judged(index: Index, vectors: Floats, build_seconds: float, queries: Floats, report: Report = silent) -> IndexReport:
    """Ask an index for these queries (n, width) one by one, beside the exact answer."""
    k = min(RECALL_AT, len(vectors))
    exact, found, spent, spent_exact = Index("exact", vectors, index.settings), [], [], []
    index.nearest(vectors, queries[0], k)
    for number, query in enumerate(queries):
        report(Progress(number, len(queries), f"{index.kind}: asking"))
        start = time.perf_counter()
        said = index.nearest(vectors, query, k)
        between = time.perf_counter()
        truth = exact.nearest(vectors, query, k)
        spent.append(between - start)
        spent_exact.append(time.perf_counter() - between)
        least = float(vectors[truth[-1]] @ query)
        found.append(float(np.mean(vectors[said] @ query >= least - 1e-6)) * len(said) / k)
    ms, exact_ms = (1000 * float(np.median(s)) for s in (spent, spent_exact))
    return IndexReport(index.kind, len(vectors), float(np.mean(found)), build_seconds, ms, exact_ms, index.bytes)


# --- indices of a library -------------------------------------------------------------------------------------------------


def joined(memory: Memory) -> Floats:
    """All columns of a library side by side, each row of length 1."""
    columns = list(memory.vectors.values())
    if len(columns) == 1 and not memory.known:
        return columns[0]
    made = np.concatenate(columns, axis=1)
    made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), np.float32(1e-12))
    return made


def joined_query(memory: Memory, query: dict[str, Floats]) -> Floats:
    """A prepared query as the rows of `joined` are; columns it does not have are zeros."""
    width = memory.library.recipe.width
    parts = [query.get(column, np.zeros(width, np.float32)) for column in memory.vectors]
    whole = np.concatenate(parts).astype(np.float32)
    made: Floats = whole / np.float32(max(float(np.linalg.norm(whole)), 1e-12))
    return made


def folder_of(memory: Memory) -> Path:
    """Where the indices of a library are kept."""
    folder = memory.library.tables.folder
    if folder is not None:
        return folder / "index"
    import hashlib

    import platformdirs

    key = hashlib.sha256(memory.library.uri.encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("lithoscope", appauthor=False)) / "index" / key


def stamp(memory: Memory) -> str:
    """What an index is of: the recipe and the version of the patches, and the mean that was taken off."""
    return f"{memory.library.recipe.key}-{memory.version}-{len(memory)}"


def build_for(memory: Memory, kind: str, settings: IndexSettings, *, queries: int = 100, report: Report = silent) -> IndexReport:
    """Make an index of a library, keep it, and tell what it costs; queries are rows, moved a little so that none is in the library."""
    vectors = joined(memory)
    start = time.perf_counter()
    index = Index.build(kind, vectors, settings, report)
    seconds = time.perf_counter() - start
    rng = np.random.default_rng(settings.seed)
    asked = vectors[rng.integers(0, len(vectors), queries)]
    asked = asked + rng.normal(0, 0.3 / asked.shape[1] ** 0.5, asked.shape).astype(np.float32)
    told = judged(index, vectors, seconds, asked / np.linalg.norm(asked, axis=1, keepdims=True), report=report)
    folder = folder_of(memory)
    folder.mkdir(parents=True, exist_ok=True)
    index.save(folder / f"{kind}.faiss")
    about = {"stamp": stamp(memory), "settings": asdict(index.settings), "report": asdict(told)}
    draft = folder / f"{kind}.json.draft"
    draft.write_text(json.dumps(about, indent=1), encoding="utf-8")
    draft.replace(folder / f"{kind}.json")
    return told


def index_of(memory: Memory, kind: str, report: Report = silent) -> Index:
    """The index of a library that was made before; one that is older than the library is refused."""
    if kind == "exact":
        return Index("exact", joined(memory), IndexSettings())
    about = folder_of(memory) / f"{kind}.json"
    way = f"make it: lithoscope library index {memory.library.uri} --kind {kind}"
    if not about.exists():
        raise MissingError(f"{memory.library.name} has no index {kind}; {way}")
    try:
        told = json.loads(about.read_text(encoding="utf-8"))
        made, settings = told["stamp"], IndexSettings(**told["settings"])
    except (ValueError, KeyError, TypeError):
        raise MissingError(f"the index {kind} of {memory.library.name} is damaged; {way}") from None
    if made != stamp(memory):
        raise InputError(f"the index {kind} of {memory.library.name} is older than the library; {way}")
    if kind in FAMILIES:
        return Index.build(kind, joined(memory), settings, report)
    try:
        return Index(kind, _library().read_index(str(about.with_suffix(".faiss"))), settings)
    except RuntimeError:
        raise MissingError(f"the index {kind} of {memory.library.name} is damaged; {way}") from None
