"""Names, colours and porosities of classes, changed after the fact: of the classes that people paint with, or of a result."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lithoscope.classes import Class, ClassTable, colour_of, porosity_of
from lithoscope.errors import InputError

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

WORDS = {"name": "name", "colour": "colour", "color": "colour", "porosity": "porosity"}


def parse_names(pairs: Iterable[str]) -> dict[int, str]:
    """Names written ["1=pore", "2=clay"]."""
    return dict(map(_pair, pairs))


def parse_porosities(pairs: Iterable[str]) -> dict[int, float]:
    """Porosities written ["1=1", "2=0.3"]."""
    return {id: _number(value) for id, value in map(_pair, pairs)}


def _pair(words: str) -> tuple[int, str]:
    id, equals, value = words.partition("=")
    if not equals or not id.strip().isdigit() or not value.strip():
        raise InputError(f"{words!r} is not of the form class=value; write 1=pore 2=clay, or 1=1 2=0.3 for porosities")
    return int(id), value.strip()


def _number(words: str) -> float:
    try:
        return float(words)
    except ValueError:
        raise InputError(f"porosity {words!r} is not a number from 0 to 1") from None


def changed(table: ClassTable, changes: Sequence[str], *, adding: bool) -> ClassTable:
    """The table after changes written "1:name=pore,porosity=1" or "pore:colour=#3b7dd8"; `adding` makes a class of a number it lacks."""
    for words in changes:
        key, colon, rest = words.partition(":")
        key = key.strip()
        found: dict[str, str] = {}
        for part in rest.split(","):
            word, equals, value = part.partition("=")
            if not colon or not equals or word.strip() not in WORDS:
                raise InputError(f"{words!r} is not of the form 1:name=pore,colour=#3b7dd8,porosity=1")
            found[WORDS[word.strip()]] = value.strip()
        porosity = _number(found.pop("porosity")) if "porosity" in found else None
        more = found | ({} if porosity is None else {"porosity": porosity})
        if key.isdigit() and int(key) not in table and adding:
            name = found.get("name", f"class {key}")
            share = porosity_of(name) if porosity is None else porosity
            made = Class(int(key), name, found.get("colour", colour_of(int(key))), share)
            table = ClassTable.of([*table, made], last=table.last)
        else:
            table = table.change(int(key) if key.isdigit() else table.named(key).id, **more)
    return table


def change_classes_of(scan: "Scan", name: str, table: ClassTable) -> None:
    """Give the classes of a result other names, colours and porosities. Its labels and its record stay as they are."""
    from lithoscope.labels.result_writer import describe_classes
    from lithoscope.labels.results import open_result

    found = open_result(scan, name)
    if found.numbered:
        raise InputError(f"{name} holds numbered grains, not classes")
    if table.ids != found.classes.ids:
        raise InputError(f"{name} holds the classes {found.classes.summary()}; their numbers cannot be changed, export with --values")
    describe_classes(scan, name, found.path, table)
