"""Which number stands for which class in an exported mask."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError


@dataclass(frozen=True, slots=True)
class Values:
    """The number written for each label: `table` is indexed by label and has the dtype of the exported mask, uint8 or uint16."""

    table: npt.NDArray[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.table.dtype

    def of(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """The labels (z, y, x) as they are written: themselves where nothing changes."""
        if self.table.dtype == np.uint8 and (self.table == np.arange(256)).all():
            return labels
        written = np.empty(labels.shape, self.table.dtype)
        for plane, found in zip(labels, written, strict=True):  # numpy makes indices eight times as large: a plane at a time
            np.take(self.table, plane, out=found, mode="clip")
        return written


def parse_values(pairs: Iterable[str] | str) -> dict[int, int]:
    """The map written as "1=0", "2=255": from class to the number that stands for it."""
    found: dict[int, int] = {}
    for pair in (pairs if isinstance(pairs, str) else " ".join(pairs)).replace(",", " ").split():
        left, equals, right = pair.partition("=")
        try:
            if not equals:
                raise ValueError
            id, value = int(left), int(right)
        except ValueError:
            raise InputError(f"{pair!r} does not say which number stands for a class; write CLASS=NUMBER, as in 1=0 2=255") from None
        if found.setdefault(id, value) != value:
            raise InputError(f"class {id} is given both {found[id]} and {value}; give it one number")
    return found


def values_of(classes: ClassTable, given: Mapping[int, int] | None) -> Values:
    """The numbers to write: those given, and the class's own id for the others; 0, outside, can be given one too.

    The mask is uint8, or uint16 where a number is beyond 255.
    """
    given = given or {}
    for id, value in given.items():
        if id != 0 and len(classes) and id not in classes:
            raise InputError(f"{id}={value}: there is no class {id}; the classes are {classes.summary()}, and 0 is outside")
        if not 0 <= value <= 65535:
            raise InputError(f"{id}={value}: numbers are from 0 to 65535")
    for id in classes.ids:
        if id not in given:
            same = next((other for other, value in given.items() if value == id and other != 0), None)
            if same is not None:
                raise InputError(f"class {id} keeps the number {id}, which {same}={id} gives to class {same}; give a number for {id} too")
    table = np.arange(256, dtype=np.uint16)
    for id, value in given.items():
        table[id] = value
    if max(given.values(), default=0) > 255:
        return Values(table)
    return Values(table.astype(np.uint8))
