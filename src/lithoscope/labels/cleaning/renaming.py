"""Classes merged and given other ids, in the labels and in their table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.volume.box import Triple

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Renaming:
    """Every label replaced by what `table` (256) holds for it; `classes` are those that there are then."""

    table: Labels
    classes: ClassTable
    halo: Triple = (0, 0, 0)

    def __call__(self, labels: Labels) -> Labels:
        """The new labels (z, y, x) of a block."""
        found: Labels = self.table[labels]
        return found


def merged(classes: ClassTable, ids: Sequence[int], to: int) -> Renaming:
    """All of `ids` become `to`, which keeps its name if it has one, else takes that of the first."""
    check_known(classes, ids)
    table = np.arange(256, dtype=np.uint8)
    table[list(ids)] = to
    left = [c for c in classes if c.id not in ids and c.id != to]
    kept = classes[to] if to in classes else replace(classes[ids[0]], id=to)
    return Renaming(table, ClassTable.of([*left, kept], last=classes.last))


def renumbered(classes: ClassTable, order: Sequence[int] | None = None) -> Renaming:
    """The classes as 1, 2, 3 … in this order of their present ids; without one, by rising id."""
    order = classes.ids if order is None else tuple(order)
    check_known(classes, order)
    if sorted(order) != list(classes.ids):
        raise InputError(f"renumber={'+'.join(map(str, order))} does not name each class once; the classes are {classes.summary()}")
    table = np.arange(256, dtype=np.uint8)
    for new, old in enumerate(order, 1):
        table[old] = new
    return Renaming(table, ClassTable.of(replace(classes[old], id=new) for new, old in enumerate(order, 1)))


def check_known(classes: ClassTable, ids: Sequence[int]) -> None:
    """Refuse ids that the table lacks."""
    for id in ids:
        if id not in classes:
            raise InputError(f"there is no class {id}; the classes are {classes.summary()}")
