"""The most similar places: exact, without the query itself, and without the same place twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.retrieval.calibration import ENOUGH
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.vectors import Floats
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope.retrieval.index import Index

OVERLAP = 0.25
"""Hits share less than this part of the smaller one with each other."""
LESS = 0.5
"""How much an example of what is not wanted counts, beside one of what is."""
CANDIDATES = 32
"""So many rows a place that is wanted are looked at, for many of them overlap."""
BY_ONE = 4
"""So many times as many where they are chosen by one column."""
FEW_OF = 4
"""Below this part of the library the rows that a filter leaves are compared alone."""

Vectors = Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Query:
    """What is looked for: vectors by scale as `Embedder.query` makes them, and the place they are of, which is never found."""

    vectors: Mapping[float, Vectors]
    scan: str | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A place that was found. `score` is the chance that it is the same thing; `similarity` the mean cosine behind it."""

    row: int
    scan: str
    name: str
    path: str
    present: bool
    box: Box
    scale: float
    score: float
    similarity: float
    metadata: dict[str, Any] = field(default_factory=dict)
    thumbnail: bytes = b""

    def to_json(self) -> dict[str, Any]:
        return {
            "scan": self.path,
            "name": self.name,
            "uuid": self.scan,
            "present": self.present,
            "box": self.box.to_json(),
            "scale": self.scale,
            "score": self.score,
            "similarity": self.similarity,
            "metadata": self.metadata,
        }


@dataclass(frozen=True, eq=False)
class Found:
    """The hits, best first, and what to say of them. `similar` is False when none is better than chance."""

    hits: list[Hit]
    similar: bool
    notes: tuple[str, ...] = ()


def prepared(memory: Memory, query: Query) -> dict[float, dict[str, Floats]]:
    """A query's vectors, prepared as the library's are."""
    return {scale: memory.library.preparation(vectors) for scale, vectors in query.vectors.items()}


def wished(own: Mapping[float, Vectors], more: Sequence[Vectors], less: Sequence[Vectors]) -> dict[float, dict[str, Floats]]:
    """Prepared queries moved towards prepared examples of what is wanted, and away from those of what is not (Rocchio 1971)."""
    made: dict[float, dict[str, Floats]] = {}
    for scale, vectors in own.items():
        made[scale] = {}
        for column, vector in vectors.items():
            wanted = [vector, *(m[column] for m in more if column in m and m[column].any())]
            total = np.mean(wanted, axis=0)
            if unwanted := [m[column] for m in less if column in m and m[column].any()]:
                total = total - LESS * np.mean(unwanted, axis=0)
            made[scale][column] = (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)
    return made


def similarities(memory: Memory, vectors: Mapping[float, Vectors]) -> Floats:
    """The similarity (n,) of every patch to the query of its own scale."""
    scales = np.unique(memory.scale)
    nearest = {float(s): min(vectors, key=lambda q: abs(q - float(s))) for s in scales}
    if len(set(nearest.values())) == 1:
        return memory.similarity(dict(vectors[next(iter(nearest.values()))]))
    found = np.empty(len(memory), np.float32)
    for scale, own in nearest.items():
        rows = np.flatnonzero(memory.scale == np.float32(scale))
        found[rows] = memory.similarity_of(dict(vectors[own]), rows)
    return found


def search(
    memory: Memory,
    query: Query,
    k: int = 10,
    *,
    rows: npt.NDArray[np.intp] | None = None,
    more: Sequence[int] = (),
    less: Sequence[int] = (),
    vectors: Mapping[float, Vectors] | None = None,
    index: "Index | None" = None,
    quick: bool = False,
) -> Found:
    """The `k` most similar places. `rows` are those that may be found; `more` and `less` are rows that are, or are not, what is meant;
    `vectors` is the query prepared already. Where there is no filter and one scale, an `index` proposes the places; with `quick` and
    without an index, those do that are best by one of the columns. What is proposed is ranked by all of them."""
    if k < 1:
        raise InputError(f"{k} places were asked for; ask for one or more")
    if not len(memory):
        raise InputError(f"{memory.library.name} is empty; add a scan: lithoscope library add {memory.library.uri} SCAN")
    own = vectors or prepared(memory, query)
    if more or less:
        example = [{c: v[row] for c, v in memory.vectors.items()} for row in (*more, *less)]
        own = wished(own, example[: len(more)], example[len(more) :])
    if (index is not None or quick) and rows is None and len(own) == 1:
        vector, count = dict(next(iter(own.values()))), max(64, CANDIDATES * k)
        proposed = _proposed(memory, vector, count, index)
        if len(proposed):
            likeness = memory.similarity_of(vector, proposed)
            found = ranked_hits(memory, query, likeness, k, candidates=proposed, without=(*more, *less))
            if len(found.hits) == k:
                return found
    if rows is not None and len(own) == 1 and len(rows) < len(memory) // FEW_OF:
        likeness = memory.similarity_of(dict(next(iter(own.values()))), rows)
        return ranked_hits(memory, query, likeness, k, candidates=rows, without=(*more, *less))
    values = similarities(memory, own)
    return ranked_hits(memory, query, values, k, rows=rows, without=(*more, *less))


def _proposed(memory: Memory, vector: dict[str, Floats], count: int, index: "Index | None") -> npt.NDArray[np.intp]:
    """Rows worth a look, about `count`; some times as many where one column alone chooses them."""
    if index is not None:
        from lithoscope.retrieval.index import joined_query

        return index.candidates(joined_query(memory, vector), count)
    column = next((c for c in vector if c in memory.vectors and vector[c].any()), None)
    if column is None or len(memory) <= (several := BY_ONE * count):
        return np.empty(0, np.intp)
    return np.argpartition(memory.vectors[column] @ -vector[column], several)[:several]


def ranked_hits(
    memory: Memory,
    query: Query,
    values: Floats,
    k: int,
    *,
    rows: npt.NDArray[np.intp] | None = None,
    without: Sequence[int] = (),
    candidates: npt.NDArray[np.intp] | None = None,
) -> Found:
    """Hits by their similarity (n,) to the query; with `candidates`, `values` belong to those rows."""
    pool = candidates if candidates is not None else rows
    if candidates is not None and rows is not None:
        allowed = np.isin(candidates, rows)
        pool, values = candidates[allowed], values[allowed]
    elif rows is not None:
        values = values[rows]
    chosen = _apart(memory, query, values, pool, k, set(without))
    scores = memory.library.calibration(np.array([value for _, value in chosen]))
    notes = []
    if len(chosen) < k:
        notes.append(f"{k} places were asked for, and there are {len(chosen)} that do not overlap; all are shown")
    similar = bool(len(scores) and scores[0] >= ENOUGH)
    if not similar:
        notes.append("nothing similar: the best place is no more alike than two that are drawn at random")
    if not memory.library.calibration.known:
        notes.append("the library is too small or too uniform to say what a similarity means; scores are rough")
    held = {h.uuid: h for h in memory.library.scans()}
    if open_ := [h.name for h in held.values() if not h.done]:
        notes.append(f"{', '.join(open_[:4])} is not wholly in yet; go on: lithoscope library add {memory.library.uri} SCAN")
    columns = list(memory.library.kinds)
    details = memory.details([row for row, _ in chosen], [*columns, "thumbnail"])
    hits = []
    for (row, value), score, told in zip(chosen, scores.tolist(), details, strict=True):
        uuid = memory.uuids[int(memory.scan[row])]
        at = held.get(uuid)
        path = at.path if at is not None else ""
        hits.append(
            Hit(row, uuid, memory.names[uuid], path, bool(path) and Path(path).exists(), memory.box(row), float(memory.scale[row]),
                float(score), value, {c: told.get(c) for c in columns}, told.get("thumbnail") or b"")
        )  # fmt: skip
    return Found(hits, similar, tuple(notes))


def _apart(
    memory: Memory, query: Query, values: Floats, pool: npt.NDArray[np.intp] | None, k: int, without: set[int]
) -> list[tuple[int, float]]:
    """The best rows that overlap neither the query nor each other by a quarter or more."""
    count, size = len(values), min(len(values), max(64, CANDIDATES * k))
    kept: list[tuple[int, float]] = []
    while True:
        some = np.argpartition(-values, size - 1)[:size] if size < count else np.arange(count)
        some = some[np.argsort(-values[some], kind="stable")]
        kept, taken = [], dict[int, list[npt.NDArray[np.int32]]]()
        for i in some:
            row = int(i if pool is None else pool[i])
            box, scan = memory.boxes[row], int(memory.scan[row])
            if row in without or _is_query(memory, query, row) or any(_share(box, other) >= OVERLAP for other in taken.get(scan, ())):
                continue
            kept.append((row, float(values[i])))
            taken.setdefault(scan, []).append(box)
            if len(kept) == k:
                return kept
        if size >= count:
            return kept
        size = min(count, size * 4)


def _is_query(memory: Memory, query: Query, row: int) -> bool:
    """Whether a patch touches the place that is asked about."""
    if query.scan is None or memory.uuids[int(memory.scan[row])] != query.scan:
        return False
    return query.box is None or memory.box(row).intersect(query.box).size > 0


def _share(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> float:
    """What part of the smaller of two boxes lies in the other."""
    common = np.prod(np.maximum(np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]), 0), dtype=np.int64)
    return float(common / min(np.prod(a[1] - a[0], dtype=np.int64), np.prod(b[1] - b[0], dtype=np.int64)))
