"""What a person marked as alike and unlike among the patches of a library; kept with the library, as pairs of patches."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

from lithoscope.errors import InputError
from lithoscope.retrieval.library import Library
from lithoscope.similarity.taught import read_json, write_json

NAME = "marks.json"


@dataclass(frozen=True, slots=True)
class Mark:
    """Two patches by id, and whether they are alike."""

    a: str
    b: str
    alike: bool


@dataclass(frozen=True)
class Marks:
    """All marks of a library, oldest first; a later mark on the same pair replaces an earlier one."""

    path: Path
    pairs: tuple[Mark, ...] = ()

    @classmethod
    def of(cls, library: Library) -> Self:
        """Those of a library: in its folder, or with the person's own data where it is in an object store."""
        folder = library.tables.folder
        if folder is None:
            import hashlib

            from platformdirs import user_data_path

            own = user_data_path("lithoscope", appauthor=False) / "marks"
            path = own / f"{hashlib.sha256(library.uri.encode()).hexdigest()[:16]}-{NAME}"
        else:
            path = folder / NAME
        if not path.is_file():
            return cls(path)
        return cls(path, tuple(Mark(str(a), str(b), bool(is_)) for a, b, is_ in read_json(path)["pairs"]))

    def marked(self, anchor: Sequence[str], others: Iterable[str], *, alike: bool) -> "Marks":
        """With marks between each of `others` and the anchors; alike ones are alike among each other, too."""
        ids = list(dict.fromkeys(others))
        new = [Mark(a, b, alike) for a in anchor for b in ids if a != b]
        if alike:
            new += [Mark(a, b, True) for a, b in pairwise(ids)]
        if not new:
            raise InputError("choose two places or more that are alike, or one that is not like what was asked about")
        fresh = {frozenset((m.a, m.b)) for m in new}
        return Marks(self.path, (*(m for m in self.pairs if frozenset((m.a, m.b)) not in fresh), *new))

    def without_last(self, count: int) -> "Marks":
        """With the last marks taken back."""
        return Marks(self.path, self.pairs[: max(0, len(self.pairs) - count)])

    def save(self) -> None:
        """Write them."""
        if not os.access(self.path.parent, os.W_OK) and self.path.parent.exists():
            raise InputError(f"{self.path.parent} cannot be written to; marks are kept there")
        write_json(self.path, {"pairs": [[m.a, m.b, m.alike] for m in self.pairs]})

    @property
    def words(self) -> str:
        """In one line."""
        alike = sum(m.alike for m in self.pairs)
        return f"{alike} pairs alike, {len(self.pairs) - alike} unlike" if self.pairs else "nothing is marked yet"
