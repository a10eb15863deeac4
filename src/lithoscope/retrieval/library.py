"""The library of patches: what lies in it, who writes to it, and what it refuses.

Several processes may read it while one writes. A row is a patch; it is written once, whole, with all its vectors.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from lithoscope.errors import InputError, MissingError, StorageError, UnreadableError
from lithoscope.record import now
from lithoscope.retrieval import in_use, store
from lithoscope.retrieval.calibration import Calibration
from lithoscope.retrieval.in_use import InUse, alone
from lithoscope.retrieval.metadata import Metadata, Value
from lithoscope.retrieval.patches import cut_from
from lithoscope.retrieval.prepared import Preparation
from lithoscope.retrieval.recipe import Recipe
from lithoscope.retrieval.sources import Source
from lithoscope.retrieval.store import SCANS, Tables, quoted
from lithoscope.volume.lock import WriterLock


@dataclass(frozen=True, slots=True)
class Held:
    """A scan or image of a library. `content_hash` is what its patches were cut from (`cut_from`); `done`, whether all of them are in."""

    uuid: str
    name: str
    path: str
    content_hash: str
    recipe: str
    shape: str
    added: str
    done: bool
    rows: int

    @property
    def present(self) -> bool:
        """Whether it still lies where the library found it."""
        return Path(self.path).exists()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An embedding that was begun `since` and is not whole: its table, its recipe where that is known, and what each scan was cut from."""

    table: str
    recipe: Recipe | None
    since: str
    cut_from: Mapping[str, str]


class Library:
    """A library that exists. `recipe`, `preparation` and `calibration` are those that its vectors and scores have now."""

    def __init__(self, tables: Tables, about: Mapping[str, Any]) -> None:
        self.tables = tables
        self._use: InUse | None = None
        self._take(about)

    def _take(self, about: Mapping[str, Any]) -> None:
        self._about = dict(about)
        self.recipe = Recipe.from_json(about["recipe"])
        self.kinds: dict[str, str] = dict(about.get("metadata") or {})
        self.preparation = Preparation.from_json(about.get("means"))
        self.calibration = Calibration.from_json(about.get("calibration"))

    @classmethod
    def open(cls, uri: str | Path) -> Self:
        """The library in a folder or object store."""
        found = cls.find(uri)
        if found is not None:
            return found
        way = f"make one: lithoscope library add {uri} SCAN"
        if not store.is_remote(place := store.placed(uri)) and not Path(place).is_dir():
            raise MissingError(f"there is no library at {uri}; {way}")
        raise UnreadableError(f"{uri} is not a library, or was never finished; {way}")

    @classmethod
    def find(cls, uri: str | Path) -> Self | None:
        """The library in a folder or object store, or None when there is none yet."""
        text = store.placed(uri)
        if not store.is_remote(text) and not Path(text).is_dir():
            return None
        tables = Tables(text)
        about = tables.about()
        if about is None:
            return None
        found = cls(tables, about)
        found._hold()
        if tables.folder is not None and os.name == "posix":  # elsewhere a writer alone can tell that nobody makes it anew
            found.clear()
        return found

    @classmethod
    def create(cls, uri: str | Path, recipe: Recipe) -> Self:
        """A new, empty library; the one that lies there if it is one."""
        text = store.placed(uri)
        folder = None if store.is_remote(text) else Path(text)
        if folder is not None and folder.exists() and (not folder.is_dir() or _foreign(folder)):
            raise InputError(f"{text} holds other files; choose another place for the library")
        tables = Tables(text)
        if (found := cls.find(uri)) is not None:
            return found
        made = cls(tables, {"recipe": recipe.to_json(), "made": now()})
        try:
            tables.create(SCANS, store.scan_schema())
            tables.create(made.table_name, store.patch_schema(dict.fromkeys(recipe.columns, recipe.width), {}))
            tables.say(made._about)
        except OSError as error:
            raise StorageError(f"no library can be made at {text}: {error}") from error
        made._hold()
        return made

    def _hold(self) -> None:
        """Use the table of patches that the library points to, so that nobody removes it as long as this library is referred to."""
        while self._use is None or self._use.table != self.table_name:
            self._use = InUse(self.tables.folder, self.table_name)
            if (about := self.tables.about()) is not None:  # it may have been embedded anew since it was read
                self._take(about)

    def close(self) -> None:
        """Use its table no longer; so does a library that nothing refers to."""
        if self._use is not None:
            self._use.release()
            self._use = None

    @property
    def uri(self) -> str:
        return self.tables.uri

    @property
    def name(self) -> str:
        return self.uri.rstrip("/").rsplit("/", 1)[-1]

    @property
    def table_name(self) -> str:
        """The table that holds the patches of the present recipe."""
        return table_of(self.recipe)

    @property
    def patches(self) -> Any:
        """The table of patches as it is now."""
        return self.tables.open(self.table_name)

    def say(self, **changes: Any) -> None:
        """Change what the library says of itself."""
        about = {**self._about, **changes}
        self.tables.say(about)
        self._take(about)
        self._hold()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While this holds, no other process of this computer writes; a folder remembers who does. What is left over is cleared first."""
        folder = self.tables.folder
        with nullcontext() if folder is None else WriterLock(folder, f"the patches of {self.name}"):
            about = self.tables.about()
            if about is not None and Recipe.from_json(about["recipe"]).key != self.recipe.key:
                raise InputError(f"{self.name} was embedded anew by another program meanwhile; try again")
            self._take(about or self._about)
            self.clear()
            yield

    @contextmanager
    def making(self, recipe: Recipe) -> Iterator[None]:
        """While the table of another recipe is filled: it is the library's too from now on, so that a killed run can be gone on with."""
        with InUse(self.tables.folder, name := table_of(recipe)):
            if self._about.get("making") != name or not (self._about.get("unfinished") or {}).get("recipe"):  # or by a former version
                self.say(making=name, unfinished={"recipe": recipe.to_json(), "since": now(), "cut_from": {}})
            yield

    def half_made(self, recipe: Recipe) -> bool:
        """Whether the table of another recipe was begun, and is to be gone on with; one that only lies there still is not."""
        return self._about.get("making") == table_of(recipe)

    @property
    def unfinished(self) -> Unfinished | None:
        """The table of another recipe that is half made."""
        name, told = self._about.get("making"), self._about.get("unfinished") or {}
        if not name:
            return None
        recipe = Recipe.from_json(told["recipe"]) if "recipe" in told else None
        return Unfinished(name, recipe, told.get("since", ""), dict(told.get("cut_from") or {}))

    def cut_unfinished_from(self, table: Any, cuts: Mapping[str, str]) -> None:
        """Note what the half made table, open as `table`, is cut from, by scan, before anything is put in. Patches of a scan that was cut
        otherwise are taken out first, so that never two cuts of one scan lie in it."""
        made = self.unfinished
        if made is None or made.cut_from == cuts:
            return
        for uuid, cut in cuts.items():
            if made.cut_from.get(uuid) != cut:
                table.delete(f"scan = {quoted(uuid)}")
        self.say(unfinished={**(self._about.get("unfinished") or {}), "cut_from": dict(cuts)})

    def abandon(self) -> None:
        """Go on no more with the table that is half made; it is removed as soon as nobody uses it."""
        self.say(making=None, unfinished=None)
        self.clear()

    def turn(self, recipe: Recipe) -> None:
        """Point to the patches of another recipe, which are all made."""
        self.say(recipe=recipe.to_json(), means=None, calibration=None, making=None, unfinished=None, turned=now())

    def clear(self) -> None:
        """Remove the tables that the library points to no longer and nobody uses, such as a killed run leaves. Where it is not known who
        uses them, those of the last day stay; what cannot be removed now stays, too."""
        folder = self.tables.folder
        with suppress(OSError):
            self.tables.sweep()
            for name in self.tables.listed("patches_"):
                if name in _pointed(self._about):
                    continue
                with alone(folder, name) as free:
                    about = self.tables.about()
                    if about is not None and name not in _pointed(about) and (_old(about) if free is None else free):
                        self.tables.drop(name)

    # --- scans ------------------------------------------------------------------------------------------------------

    def scans(self) -> list[Held]:
        """Every scan and image, by name."""
        rows = self.tables.open(SCANS).to_arrow().to_pylist()
        return sorted((Held(**row) for row in rows), key=lambda held: (held.name, held.uuid))

    def held(self, name: str) -> Held:
        """The scan of this uuid, path or name."""
        scans = self.scans()
        path = str(Path(name).absolute())
        for found in (
            [s for s in scans if s.uuid == name],
            [s for s in scans if s.path == path],
            [s for s in scans if s.name == name or s.name == Path(name).name.removesuffix(".zarr")],
        ):
            if len(found) == 1:
                return found[0]
            if found:
                raise InputError(f"{self.name} holds {len(found)} scans called {name}; give the path of the one you mean")
        known = ", ".join(s.name for s in scans[:8]) or "none yet"
        raise MissingError(f"{self.name} holds no scan {name}; its scans are {known}{' …' if len(scans) > 8 else ''}")

    def remember(self, source: Source, *, done: bool, rows: int) -> None:
        """Note what is known of a scan, replacing what was."""
        table = self.tables.open(SCANS)
        row = {
            "uuid": source.uuid,
            "name": source.name,
            "path": str(source.path),
            "content_hash": cut_from(source, self.recipe),
            "recipe": self.recipe.key,
            "shape": json.dumps(source.shape),
            "added": now(),
            "done": done,
            "rows": rows,
        }
        import pyarrow as pa

        data = pa.Table.from_pylist([row], schema=store.scan_schema())
        table.merge_insert("uuid").when_matched_update_all().when_not_matched_insert_all().execute(data)

    def forget(self, held: Held) -> None:
        """Remove a scan and all its patches, also from tables that are half made."""
        for name in _pointed(self._about):
            if (table := self.tables.find(name)) is not None:
                table.delete(f"scan = {quoted(held.uuid)}")
        self.tables.open(SCANS).delete(f"uuid = {quoted(held.uuid)}")

    # --- metadata ---------------------------------------------------------------------------------------------------

    def take_columns(self, metadata: Metadata) -> None:
        """Make room for the columns of a table; a column that holds the other kind of value is refused."""
        new = {}
        for kind, names in (("number", metadata.numbers), ("text", metadata.texts)):
            for name in names:
                known = self.kinds.get(name)
                if known is None and name not in self.patches.schema.names:
                    new[name] = kind
                elif known is None or (known == "number" and kind == "text" and metadata.says(name)):
                    raise InputError(
                        f"{metadata.source} has words in column {name}, where {self.name} holds numbers; mend or rename the column"
                    )
        self.widen(new)

    def widen(self, new: Mapping[str, str]) -> None:
        """Add metadata columns to the table of patches."""
        self.widen_table(self.patches, new)
        if new:
            self.say(metadata={**self.kinds, **new})

    @staticmethod
    def widen_table(table: Any, kinds: Mapping[str, str]) -> None:
        """Add those metadata columns to a table of patches that it lacks."""
        import pyarrow as pa

        missing = [name for name in kinds if name not in table.schema.names]
        if missing:
            table.add_columns(pa.schema([pa.field(name, store.arrow_kind(kinds[name])) for name in missing]))

    def describe(self, uuid: str, values: Mapping[str, Value]) -> None:
        """Give every patch of a scan these values."""
        known = {k: self.fitting(k, v) for k, v in values.items() if k in self.kinds}
        if known:
            self.patches.update(where=f"scan = {quoted(uuid)}", values=known)

    def fitting(self, column: str, value: Value) -> Value:
        """A value as its column holds it."""
        if value is None:
            return None
        return str(value) if self.kinds[column] == "text" else float(value)

    def check_backbone(self, name: str, sha256: str) -> None:
        """Refuse vectors of another backbone than the library's."""
        if sha256 != self.recipe.sha256:
            raise InputError(
                f"{self.name} was made with the backbone {self.recipe.backbone} ({self.recipe.sha256[:8]}), not {name} ({sha256[:8]}); "
                f"search with that one, or make its vectors anew: lithoscope library embed {self.uri} --backbone {name}"
            )


def table_of(recipe: Recipe) -> str:
    """The name of the table of a recipe's patches."""
    return f"patches_{recipe.key}"


def _pointed(about: Mapping[str, Any]) -> set[str]:
    """The tables of patches of a library that says this of itself: those that are searched, and those that are being made."""
    return {table_of(Recipe.from_json(about["recipe"])), about.get("making") or ""} - {""}


def _old(about: Mapping[str, Any]) -> bool:
    """Whether what it pointed to before was left more than a day ago."""
    turned = about.get("turned")
    return turned is not None and datetime.fromisoformat(now()) - datetime.fromisoformat(turned) > timedelta(days=1)


def _foreign(folder: Path) -> bool:
    """Whether a folder holds what no library made."""
    return any(not (e.name.endswith(".lance") or e.name in OWN or e.name.startswith(".")) for e in folder.iterdir())


OWN: Sequence[str] = ("lock", "lock.guard", "index", "marks.json", in_use.FOLDER)
"""What else a library's folder holds."""
