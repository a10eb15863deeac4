"""A library's vectors in memory, prepared, with the places of its patches: what is searched."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, ResourceError, UnreadableError
from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval import store
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.prepared import combined
from lithoscope.retrieval.vectors import Floats, vectors_of
from lithoscope.volume.box import Box

PIECE = 65_536


@dataclass(frozen=True, eq=False)
class Memory:
    """Rows in the order of the `table` at one version. `scan` (n,) numbers `uuids`; `boxes` (n, 2, 3) hold first and last voxels."""

    library: Library
    table: Any
    version: int
    row_ids: npt.NDArray[np.uint64]
    uuids: tuple[str, ...]
    names: dict[str, str]
    scan: npt.NDArray[np.int32]
    boxes: npt.NDArray[np.int32]
    scale: npt.NDArray[np.float32]
    vectors: dict[str, Floats]
    known: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scan)

    @classmethod
    def load(cls, library: Library, report: Report = silent) -> Self:
        """Read and prepare all vectors of a library as it is now; refused when they do not fit into memory."""
        import psutil

        table, recipe = library.patches, library.recipe
        table.checkout(table.version)  # others may write meanwhile: the rows here stay those of one version
        count, columns = table.count_rows(), recipe.columns
        needs = count * (len(columns) * recipe.width * 4 + 64)
        free = psutil.virtual_memory().available
        if needs > 0.8 * free:
            raise ResourceError(
                f"the {count} patches of {library.name} need {needs >> 20} MB of memory, {free >> 20} MB are free; close other programs"
            )
        vectors = {c: np.empty((count, recipe.width), np.float32) for c in columns}
        known = {c: np.empty(count, bool) for c in columns}
        ids, boxes, scale = np.empty(count, np.uint64), np.empty((count, 2, 3), np.int32), np.empty(count, np.float32)
        scan, uuids, names = np.empty(count, np.int32), dict[str, int](), dict[str, str]()
        places = [axis + end for end in "01" for axis in "zyx"]
        query = table.search().select(["scan", "name", "scale", *places, *columns]).limit(max(count, 1)).with_row_id(True)
        start = 0
        for batch in query.to_batches(PIECE):
            part = slice(start, start + batch.num_rows)
            piece = _as_table(batch)
            ids[part] = np.asarray(piece["_rowid"])
            scale[part] = np.asarray(piece["scale"])
            boxes[part] = np.stack([np.asarray(piece[p]) for p in places], 1).reshape(-1, 2, 3)
            for column in columns:
                raw = vectors_of(piece, column, recipe.width)
                known[column][part] = raw.any(1)
                vectors[column][part] = library.preparation.one(column, raw)
            for own, (uuid, name, rows) in enumerate(_scans_of(piece)):
                uuids.setdefault(uuid, len(uuids))
                names[uuid] = name
                scan[part][rows == own] = uuids[uuid]
            start += batch.num_rows
            report(Progress(start, count, f"reading {library.name}"))
        partly = {c: k for c, k in known.items() if not k.all()}
        return cls(library, table, table.version, ids, tuple(uuids), names, scan, boxes, scale, vectors, partly)

    def box(self, row: int) -> Box:
        """The box of a patch."""
        (a, b, c), (d, e, f) = self.boxes[row].tolist()
        return Box((a, b, c), (d, e, f))

    def similarity(self, query: dict[str, Floats]) -> Floats:
        """The mean cosine (n,) of every patch to a prepared query."""
        return combined(self.vectors, query, self.known)

    def similarity_of(self, query: dict[str, Floats], rows: npt.NDArray[np.intp]) -> Floats:
        """The same for some rows."""
        return combined({c: v[rows] for c, v in self.vectors.items()}, query, {c: k[rows] for c, k in self.known.items()})

    def where(self, sql: str) -> npt.NDArray[np.intp]:
        """The rows that a filter by SQL leaves."""
        found = store.selected(self.table, sql, ["scan"], with_row_id=True)
        if not found.num_rows:
            raise InputError(f"no patch of {self.library.name} is left by the filter {sql!r}; widen it")
        order = np.argsort(self.row_ids, kind="stable")
        wanted = np.asarray(found["_rowid"], np.uint64)
        at = np.minimum(np.searchsorted(self.row_ids, wanted, sorter=order), len(order) - 1)
        rows = order[at]
        return np.sort(rows[self.row_ids[rows] == wanted])

    def details(self, rows: list[int], columns: list[str]) -> list[dict[str, Any]]:
        """Metadata and thumbnails of some rows, in their order."""
        if not rows:
            return []
        places = ["scan", "scale", "z0", "y0", "x0"]
        ids = [int(self.row_ids[row]) for row in rows]
        try:
            found = self.table.take_row_ids(ids).select([*places, *columns]).to_arrow().to_pylist()
        except (ValueError, OSError, RuntimeError):
            raise UnreadableError(f"{self.library.name} was made anew since it was read; open it again") from None
        by_place = {(one["scan"], round(one["scale"], 4), one["z0"], one["y0"], one["x0"]): one for one in found}
        wanted = ((self.uuids[int(self.scan[r])], round(float(self.scale[r]), 4), *self.boxes[r, 0].tolist()) for r in rows)
        return [by_place.get(place, {}) for place in wanted]


def _scans_of(piece: Any) -> list[tuple[str, str, npt.NDArray[np.int32]]]:
    """The uuid and name of each scan of some rows, and for all of them the numbers (rows,) of the scans that the rows are of.

    Arrow finds them, so that a window is not held up: a list of a million words would do that.
    """
    coded = piece["scan"].combine_chunks().dictionary_encode()
    rows = np.asarray(coded.indices).astype(np.int32)
    found = coded.dictionary.to_pylist()
    return [(uuid, piece["name"][int(np.argmax(rows == own))].as_py(), rows) for own, uuid in enumerate(found)]


def _as_table(batch: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches([batch])
