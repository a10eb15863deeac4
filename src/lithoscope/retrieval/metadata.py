"""What is known of scans and images beside their grey values: a table of porosity, permeability, depth, lithology and the like.

One row a scan, image or sample, named in its first column (or one called scan, image, sample, name or file). A missing value is
an empty cell. Columns get names that SQL can say.
"""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lithoscope.errors import InputError, MissingError, UnreadableError

Value = float | str | None

KEYS = ("scan", "image", "sample", "name", "file", "label", "created_label")
"""Columns that may name the rows."""
MISSING = ("", "-", "na", "n/a", "nan", "null", "none")
"""Cells that say nothing."""
RESERVED = ("id", "scan", "name", "z0", "z1", "y0", "y1", "x0", "x1", "scale", "thumbnail", "_rowid", "_distance")
"""Columns that a library has of its own."""


@dataclass(frozen=True)
class Metadata:
    """`numbers` and `texts` are the columns by kind; `rows` hold every row's values by its key."""

    source: str = ""
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    rows: dict[str, dict[str, Value]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.numbers, *self.texts)

    def of(self, names: Iterable[str]) -> dict[str, Value] | None:
        """The row of the first of these names that has one."""
        for name in names:
            if (found := self.rows.get(name)) is not None:
                return found
        return None

    def says(self, column: str) -> bool:
        """Whether any row says anything in this column."""
        return any(row.get(column) is not None for row in self.rows.values())

    def check(self, column: str) -> None:
        """Raise `MissingError` when there is no such column."""
        if column not in self.columns:
            known = ", ".join(self.columns) or "none"
            raise MissingError(f"{self.source or 'the metadata'} has no column {column!r}; its columns are {known}")


def read_csv(path: Path) -> Metadata:
    """The table in a file of comma-, semicolon- or tab-separated values, with a row of names on top."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingError(f"there is no table at {path}") from None
    except UnicodeDecodeError:
        raise UnreadableError(f"{path} is not text in UTF-8; save the table as CSV, UTF-8") from None
    head = text.splitlines()[0] if text.strip() else ""
    mark = max(",;\t", key=head.count)
    lines = [line for line in csv.reader(text.splitlines(), delimiter=mark) if any(cell.strip() for cell in line)]
    if len(lines) < 2:
        raise UnreadableError(f"{path} has no rows; write one row of names and one row a scan")
    names = [column_name(cell) for cell in lines[0]]
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(names):
            raise UnreadableError(f"row {number} of {path} has {len(line)} cells, its head {len(names)}; mend the row")
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{path} has several columns called {', '.join(sorted(twice))}; rename them")
    key = next((i for i, name in enumerate(_plain(cell) for cell in lines[0]) if name in KEYS), 0)
    return _typed(str(path), key, names, lines[1:])


def column_name(cell: str) -> str:
    """A column's name as SQL can say it: lower case letters, digits and underscores."""
    plain = _plain(cell) or "column"
    plain = f"c_{plain}" if plain[0].isdigit() else plain
    return f"{plain}_" if plain in RESERVED else plain


def _plain(cell: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", cell.strip().lower().replace("µ", "u")).strip("_")


def number(cell: str) -> float | None:
    """The number in a cell, or None when it holds none."""
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _typed(source: str, key: int, names: Sequence[str], lines: Sequence[Sequence[str]]) -> Metadata:
    numbers, texts = [], []
    for i, name in enumerate(names):
        if i == key:
            continue
        cells = [(n, line[i].strip()) for n, line in enumerate(lines, 2) if line[i].strip().lower() not in MISSING]
        wrong = [(n, cell) for n, cell in cells if number(cell) is None]
        if cells and not wrong:
            numbers.append(name)
        elif len(wrong) * 2 < len(cells):
            n, cell = wrong[0]
            raise InputError(f"row {n} of {source} has {cell!r} where the other rows have numbers ({name}); write a number or nothing")
        else:
            texts.append(name)
    rows: dict[str, dict[str, Value]] = {}
    for n, line in enumerate(lines, 2):
        called = line[key].strip()
        if not called:
            raise InputError(f"row {n} of {source} does not say which scan it is of; fill its column {names[key].rstrip('_')}")
        row: dict[str, Value] = {}
        for i, name in enumerate(names):
            if i != key:
                cell = line[i].strip()
                row[name] = None if cell.lower() in MISSING else float(cell) if name in numbers else cell
        if called in rows and rows[called] != row:
            raise InputError(f"row {n} of {source} tells of {called} a second time, and otherwise; keep one row a scan")
        rows[called] = row
    return Metadata(source, tuple(numbers), tuple(texts), rows)
