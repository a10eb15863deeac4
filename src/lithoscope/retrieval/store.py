"""The tables of a library on disk, or in an object store: LanceDB, with every append and change whole or not at all.

about     what the library is: the recipe, the mean of its vectors, how scores are read; the newest row counts
scans     one row a scan or image: where it lies, what it held, whether all its patches are in
patches   one row a patch; a table a recipe, so that vectors are made anew beside the old ones
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError, MissingError, NewerSchemaError, StorageError, UnreadableError

SCHEMA = 1
"""The version of the tables that this code writes."""

ABOUT, SCANS = "about", "scans"


DROPPED = ".dropped"

REMOTE = ("s3", "s3+ddb", "gs", "az", "abfss", "file-object-store")
"""Object stores that a library may lie in; the last one is a folder seen as one."""


def is_remote(uri: str) -> bool:
    """Whether a library lies in an object store (s3://, gs://, az://) and not in a folder."""
    return "://" in uri and not uri.startswith("file://")


def placed(uri: str | Path) -> str:
    """A library's place as the database takes it: a folder's path, or the URI of an object store."""
    text = str(uri)
    scheme, mark, _ = text.partition("://")
    if not mark or scheme == "file":
        return str(Path(text.removeprefix("file://")))
    if scheme not in REMOTE:
        raise InputError(f"{text}: no library can be kept at {scheme}://; name a folder, or a place at s3://, gs:// or az://")
    return text


def needed() -> Any:
    """The database, or an error that says how to get it."""
    try:
        import lancedb
    except ImportError:
        raise MissingError("libraries need LanceDB, which is not installed; install it: pip install 'lithoscope[library]'") from None
    return lancedb


class Tables:
    """The tables behind one URI. Nothing is created before it is asked for."""

    def __init__(self, uri: str) -> None:
        self.uri = placed(uri)
        lancedb = needed()
        try:
            self._database = lancedb.connect(self.uri)
        except (OSError, ValueError, RuntimeError) as error:
            raise StorageError(f"{self.uri} cannot be opened as a library: {_line(error)}") from error

    @property
    def folder(self) -> Path | None:
        """Where it lies, if it lies in a folder."""
        return None if is_remote(self.uri) else Path(self.uri)

    def listed(self, start: str) -> list[str]:
        """The tables whose names begin so, whole or not."""
        return [name for name in self._database.list_tables(limit=1000).tables if name.startswith(start)]

    def has(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return self.find(name) is not None

    def find(self, name: str) -> Any | None:
        """A table, or None."""
        try:
            return self._database.open_table(name)
        except (ValueError, FileNotFoundError, KeyError) as error:
            if "not found" in str(error).lower() or "does not exist" in str(error).lower():
                return None
            raise UnreadableError(f"table {name} of {self.uri} is damaged ({_line(error)}); restore it from a copy") from error
        except (OSError, RuntimeError) as error:
            if self.folder is not None and not (self.folder / f"{name}.lance" / "_versions").is_dir():
                return None  # killed while it was made: nothing is in it
            raise UnreadableError(f"table {name} of {self.uri} cannot be read ({_line(error)}); restore it from a copy") from error

    def open(self, name: str) -> Any:
        """A table that must be there."""
        found = self.find(name)
        if found is None:
            raise UnreadableError(f"{self.uri} is half a library: its table {name} is missing; add its scans again, into a new library")
        return found

    def create(self, name: str, schema: Any) -> Any:
        """An empty table, or the one that is there."""
        found = self.find(name)
        if found is not None:
            return found
        if self.folder is not None and (leftover := self.folder / f"{name}.lance").exists():
            import shutil

            shutil.rmtree(leftover)
        return self._database.create_table(name, schema=schema)

    def drop(self, name: str) -> None:
        """Remove a table, whole or half removed, if it is there. In a folder it goes at once, so that nobody sees half of it."""
        if self.folder is None:
            if self.has(name):
                self._database.drop_table(name)
        elif (place := self.folder / f"{name}.lance").exists():
            self.sweep()
            place.rename(self.folder / f".{name}{DROPPED}")
            self.sweep()

    def sweep(self) -> None:
        """Remove what is left of dropped tables."""
        import shutil

        for left in () if self.folder is None else self.folder.glob(f".*{DROPPED}"):
            shutil.rmtree(left, ignore_errors=True)

    # --- about ------------------------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any] | None:
        """What the library says of itself, or None when there is no library yet."""
        table = self.find(ABOUT)
        rows = [] if table is None else table.to_arrow().to_pylist()
        if not rows:
            return None
        found: dict[str, Any] = json.loads(max(rows, key=lambda row: row["number"])["json"])
        if int(found.get("schema", SCHEMA)) > SCHEMA:
            raise NewerSchemaError(f"{self.uri} was written by a newer Lithoscope; update: pip install -U lithoscope")
        return found

    def say(self, about: dict[str, Any]) -> None:
        """Replace what the library says of itself; readers see the old or the new."""
        import pyarrow as pa

        schema = pa.schema([pa.field("number", pa.int64(), nullable=False), pa.field("json", pa.string(), nullable=False)])
        table = self.create(ABOUT, schema)
        numbers = table.to_arrow()["number"].to_pylist()
        row = {"number": max(numbers, default=0) + 1, "json": json.dumps({"schema": SCHEMA, **about})}
        table.add(pa.Table.from_pylist([row], schema=schema))


def patch_schema(columns: dict[str, int], metadata: dict[str, str]) -> Any:
    """The columns of a table of patches: vectors by name and width, metadata by name and kind ("number" or "text")."""
    import pyarrow as pa

    fields = [pa.field("id", pa.string(), nullable=False), pa.field("scan", pa.string(), nullable=False), pa.field("name", pa.string())]
    fields += [pa.field(axis + end, pa.int32(), nullable=False) for axis in "zyx" for end in "01"]
    fields += [pa.field("scale", pa.float32(), nullable=False), pa.field("thumbnail", pa.binary())]
    fields += [pa.field(name, pa.list_(pa.float32(), width)) for name, width in columns.items()]
    return pa.schema(fields + [pa.field(name, arrow_kind(kind)) for name, kind in metadata.items()])


def scan_schema() -> Any:
    """The columns of the table of scans."""
    import pyarrow as pa

    texts = ("uuid", "name", "path", "content_hash", "recipe", "shape", "added")
    return pa.schema(
        [*(pa.field(t, pa.string(), nullable=False) for t in texts), pa.field("done", pa.bool_()), pa.field("rows", pa.int64())]
    )


def arrow_kind(kind: str) -> Any:
    """The kind of a metadata column."""
    import pyarrow as pa

    return pa.float64() if kind == "number" else pa.string()


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def selected(table: Any, where: str | None, columns: list[str], *, with_row_id: bool = False) -> Any:
    """Rows of a table as Arrow, in the order they lie in; a filter that is no SQL is told in one line."""
    query = table.search().select(columns).limit(max(table.count_rows(), 1))
    if where:
        query = query.where(where)
    if with_row_id:
        query = query.with_row_id(True)
    try:
        return query.to_arrow()
    except (ValueError, RuntimeError, OSError) as error:
        if not where:
            raise UnreadableError(f"the library cannot be read ({_line(error)}); restore it from a copy") from error
        raise InputError(f"the filter {where!r} cannot be used: {_line(error)}") from None


def tidy(table: Any) -> None:
    """Put small pieces together. Versions of the last day stay, for those who read them now."""
    table.optimize(cleanup_older_than=timedelta(days=1))


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    text = text.removeprefix("Invalid input, ").removeprefix("Schema error: ")
    return text[:200]
