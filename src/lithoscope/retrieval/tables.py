"""Files made of a library and of what was found in it: embeddings as Parquet or CSV, hits as a table or a contact sheet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.errors import InputError, TakenError
from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.search import Hit
from lithoscope.retrieval.sheet import Cell, contact_sheet
from lithoscope.retrieval.vectors import vectors_of
from lithoscope.volume.store import storage_errors

PIECE = 16_384
PER_ROW = 8


def export(library: Library, target: Path, *, overwrite: bool = False, report: Report = silent) -> int:
    """Write all patches with their vectors to a .parquet or .csv, thumbnails left out; how many. A killed export leaves no file."""
    if target.suffix.lower() not in (".parquet", ".csv"):
        raise InputError(f"{target.name} ends in neither .parquet nor .csv; name one of these")
    if target.exists() and not overwrite:
        raise TakenError(f"{target} exists already; choose another name, or say --overwrite")
    table, draft = library.patches, target.with_name(f".{target.name}.draft")
    count, done = table.count_rows(), 0
    names = [name for name in table.schema.names if name != "thumbnail"]
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            batches = table.search().select(names).limit(max(count, 1)).to_batches(PIECE)
            write = _parquet if target.suffix.lower() == ".parquet" else _csv
            with write(draft, library, names, table.schema) as out:
                for batch in batches:
                    out.write(batch)
                    done += batch.num_rows
                    report(Progress(done, count, f"writing {target.name}"))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return done


class _parquet:  # noqa: N801 - used as a function
    """Writes record batches to Parquet."""

    def __init__(self, path: Path, library: Library, names: Sequence[str], schema: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([schema.field(name) for name in names])
        self._writer = pq.ParquetWriter(path, self._schema)

    def __enter__(self) -> "_parquet":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, batch: Any) -> None:
        """Append a batch."""
        self._writer.write_batch(batch.select(self._schema.names))


class _csv:  # noqa: N801 - used as a function
    """Writes record batches to CSV, a vector's numbers in columns of their own."""

    def __init__(self, path: Path, library: Library, names: Sequence[str], schema: Any) -> None:
        self._vectors, self._width = library.recipe.columns, library.recipe.width
        self._plain = [name for name in names if name not in self._vectors]
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow([*self._plain, *(f"{column}_{i}" for column in self._vectors for i in range(self._width))])

    def __enter__(self) -> "_csv":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, batch: Any) -> None:
        """Append a batch."""
        import pyarrow as pa

        table = pa.Table.from_batches([batch])
        plain = [table[name].to_pylist() for name in self._plain]
        vectors = np.concatenate([vectors_of(table, column, self._width) for column in self._vectors], axis=1)
        for values, numbers in zip(zip(*plain, strict=True), vectors, strict=True):
            self._rows.writerow([*values, *(f"{v:.7g}" for v in numbers.tolist())])


def hits_csv(hits: Sequence[Hit], target: Path) -> None:
    """The hits as a table: rank, score, scan, place, metadata."""
    columns = list(dict.fromkeys(key for hit in hits for key in hit.metadata))
    with storage_errors(target), target.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["rank", "score", "similarity", "scan", "path", "z0", "z1", "y0", "y1", "x0", "x1", "scale", *columns])
        for rank, hit in enumerate(hits, 1):
            places = [n for pair in hit.box.to_json() for n in pair]
            own = [hit.metadata.get(c) for c in columns]
            rows.writerow([rank, f"{hit.score:.4f}", f"{hit.similarity:.4f}", hit.name, hit.path, *places, f"{hit.scale:g}", *own])


def hits_sheet(hits: Sequence[Hit], title: str = "") -> Any:
    """The hits as a contact sheet, best first."""
    from PIL import Image

    cells = []
    for rank, hit in enumerate(hits, 1):
        picture = Image.open(io.BytesIO(hit.thumbnail)) if hit.thumbnail else None
        told = [f"{k} {v:g}" if isinstance(v, float) else str(v) for k, v in hit.metadata.items() if v is not None]
        place = ", ".join(str(n) for n in hit.box.start)
        cells.append(Cell(picture, (f"{rank}. {hit.score:.2f} {hit.name}", f"z y x {place}", *told[:2])))
    return contact_sheet([cells[i : i + PER_ROW] for i in range(0, len(cells), PER_ROW)], title)
