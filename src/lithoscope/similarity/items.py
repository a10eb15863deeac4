"""The items that teach: images of a folder, or patches of a library, with what is known of each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.job import Report, silent
from lithoscope.retrieval.images import ImageFile, images_in, labels_of
from lithoscope.retrieval.metadata import Metadata
from lithoscope.similarity.pictures import Pictures
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.split import FINE

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Items:
    """`properties` (n, columns) are what was measured of each, NaN where nothing was; items of one group are never on both sides of a
    split. `source` is what the record says of where they are from."""

    names: tuple[str, ...]
    relation: Relation
    groups: tuple[str, ...]
    pictures: Pictures
    properties: Floats
    columns: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def some(self, rows: npt.ArrayLike) -> "Items":
        """Some of them."""
        numbers = np.asarray(rows)
        numbers = np.flatnonzero(numbers) if numbers.dtype == bool else numbers
        names, groups = (tuple(values[i] for i in numbers) for values in (self.names, self.groups))
        return replace(
            self, names=names, groups=groups, relation=self.relation.some(numbers), pictures=self.pictures.some(numbers),
            properties=self.properties[numbers],
        )  # fmt: skip

    def hash(self) -> str:
        """A checksum of the pictures and of what is known of them."""
        digest = hashlib.sha256("\0".join((*self.names, *self.groups, *self.columns)).encode())
        for values in (self.pictures.values, self.relation.kinds, self.relation.unlike, self.properties):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:32]

    def thumbnails(self) -> npt.NDArray[np.float32]:
        """Each in 12 × 12 grey values, to see twins by."""
        values = self.pictures.values[:, 0].mean(1, dtype=np.float32)
        cuts = np.linspace(0, values.shape[-1], FINE + 1).astype(int)[:-1]
        rows = np.add.reduceat(values, cuts, axis=1)
        made: npt.NDArray[np.float32] = np.add.reduceat(rows, cuts, axis=2)
        return made


def folder_items(
    folder: Path,
    *,
    label: str | None = None,
    group: str | None = None,
    metadata: Metadata | None = None,
    columns: Sequence[str] = (),
    channels: int = 1,
    side: int = 96,
    unlabelled: bool = False,
    report: Report = silent,
) -> Items:
    """The images of a folder; a class is a folder unless `label` says otherwise. `unlabelled`: nobody knows any class."""
    table = metadata or Metadata()
    images = images_in(folder)
    classes = [None] * len(images) if unlabelled else classes_of(images, label, table, needed=not columns)
    groups = [image.name for image in images] if group is None else labels_of(images, group, table, what="group")
    relation = Relation.of_classes(classes)
    measured, notes = properties_of(images, table, columns)
    pictures = Pictures.of_images(images, channels, side, report)
    names = tuple(image.name for image in images)
    return Items(names, relation, tuple(groups), pictures, measured, tuple(columns), str(folder), notes)


def classes_of(images: Sequence[ImageFile], label: str | None, table: Metadata, *, needed: bool) -> list[str | None]:
    """The class of each image, None where the table does not say it; where none is `needed`, images without folders have none."""
    if label in (None, "folder") or str(label).startswith("name:"):
        try:
            return list(labels_of(images, label, table, what="class"))
        except InputError:
            if needed or label is not None:
                raise
            return [None] * len(images)
    assert label is not None
    table.check(label)
    values = [(table.of(image.names) or {}).get(label) for image in images]
    if all(value is None for value in values):
        raise InputError(f"{table.source} does not say the {label} of any of these images; its rows are {', '.join(list(table.rows)[:4])}")
    return [None if value is None else f"{value:g}" if isinstance(value, float) else str(value) for value in values]


def properties_of(images: Sequence[ImageFile], table: Metadata, columns: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    """What a table says of each image in these columns (n, columns), NaN where it says nothing."""
    if not columns:
        return np.empty((len(images), 0)), ()
    if not table.rows:
        raise InputError(f"no table says the {', '.join(columns)} of the images; name one with --metadata")
    for column in columns:
        table.check(column)
        if column not in table.numbers:
            raise InputError(f"{table.source} has words in column {column}; properties are numbers, and words can be classes (--label)")
    rows = [table.of(image.names) for image in images]
    if not any(rows):
        raise InputError(
            f"{table.source} has metadata for none of the images ({', '.join(i.name for i in images[:3])} …); its rows are "
            f"{', '.join(list(table.rows)[:4])}"
        )
    values = np.array([[_number((row or {}).get(column)) for column in columns] for row in rows])
    lacking = sum(row is None for row in rows)
    return values, (f"{table.source} says nothing of {lacking} of {len(images)} images",) * bool(lacking)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
