"""Which classes are written, each to a file of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lithoscope.classes import Class, ClassTable
from lithoscope.errors import InputError
from lithoscope.export.values import Values

ALL = "all"


def chosen_classes(classes: ClassTable, only: Sequence[str]) -> list[Class]:
    """The classes named or numbered; `all` means every one."""
    if any(word.casefold() == ALL for word in only):
        return list(classes)
    found = [classes[int(word)] if word.isdigit() and int(word) in classes else classes.named(word) for word in only]
    return list(dict.fromkeys(found))


def places(target: Path, classes: Sequence[Class], *, alone: bool) -> list[tuple[Class, Path]]:
    """Where each class is written: at `target` where there is one, else beside it, with its name."""
    if alone and len(classes) == 1:
        return [(classes[0], target)]
    return [(c, target.with_name(f"{target.stem}_{c.id}_{_safe(c.name)}{target.suffix}")) for c in classes]


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name)


def binary(id: int, values: Mapping[int, int] | None) -> Values:
    """One number for a class (1, or the one given) and 0 for all else."""
    value = (values or {}).get(id, 1)
    if not 1 <= value <= 65535:
        raise InputError(f"{id}={value}: in a file of one class, its number is from 1 to 65535")
    table = np.zeros(256, np.uint8 if value < 256 else np.uint16)
    table[id] = value
    return Values(table)
