"""The classes that a segmentation tells apart: their ids, names, colours and porosities."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from lithoscope.errors import InputError, MissingError

MAX_ID = 254
"""The largest class id; 0 means that nobody said, and 255 marks "outside" in corrections."""

PALETTE = ("#3b7dd8", "#e69f00", "#2ca25f", "#cc5577", "#8c6bb1", "#b3b02c", "#45b5c4", "#a0622d", "#e377c2", "#7f7f7f")
"""Colours for classes 1, 2, 3 …, told apart with the common colour-vision deficiencies on grey images."""

OPEN = frozenset({"pore", "pores", "pore space", "porosity", "void", "voids", "air", "hole", "holes", "crack", "cracks"})
"""Names of what is all pore, when nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Class:
    """One class: a stable id, a name, a colour (#rrggbb) and its porosity (1 pore, 0 solid, between: microporous)."""

    id: int
    name: str
    colour: str
    porosity: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.id <= MAX_ID:
            raise InputError(f"class id {self.id} is not within 1…{MAX_ID}")
        if not self.name.strip():
            raise InputError(f"class {self.id} has no name; give it one")
        digits = self.colour[1:]
        if len(self.colour) != 7 or self.colour[0] != "#" or not all(c in "0123456789abcdefABCDEF" for c in digits):
            raise InputError(f"colour {self.colour!r} of class {self.name} is not of the form #rrggbb")
        if not 0.0 <= self.porosity <= 1.0:
            raise InputError(f"porosity {self.porosity} of class {self.name} is not within 0…1")


@dataclass(frozen=True, slots=True)
class ClassTable:
    """The classes of a scan, a result or a model, by rising id. `last` is the highest id ever given: none is reused."""

    classes: tuple[Class, ...] = ()
    last: int = 0

    def __post_init__(self) -> None:
        ids = [c.id for c in self.classes]
        names = [c.name.casefold() for c in self.classes]
        if ids != sorted(set(ids)):
            raise InputError(f"class ids {ids} are not rising and distinct")
        if len(set(names)) != len(names):
            raise InputError(f"two classes share a name: {', '.join(c.name for c in self.classes)}")
        object.__setattr__(self, "last", max([self.last, *ids]))

    @classmethod
    def numbered(cls, count: int) -> Self:
        """Classes 1…count by rising grey level, as methods without labels give; the darkest is taken for pore."""
        return cls(tuple(Class(i, f"class {i}", colour_of(i), 1.0 if i == 1 else 0.0) for i in range(1, count + 1)))

    def __iter__(self) -> Iterator[Class]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def __contains__(self, id: object) -> bool:
        return any(c.id == id for c in self.classes)

    def __getitem__(self, id: int) -> Class:
        for c in self.classes:
            if c.id == id:
                return c
        raise MissingError(f"there is no class {id}; the classes are {self.summary()}")

    def named(self, name: str) -> Class:
        """The class of this name, whatever its case."""
        for c in self.classes:
            if c.name.casefold() == name.casefold():
                return c
        raise MissingError(f"there is no class named {name!r}; the classes are {self.summary()}")

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(c.id for c in self.classes)

    def add(self, name: str | None = None, colour: str | None = None, porosity: float | None = None) -> Self:
        """A table with one more class, of an id never used before; a pore by its name has the porosity 1, others 0."""
        new = self.last + 1
        if new > MAX_ID:
            raise InputError(f"all {MAX_ID} class ids have been used; remove none and add none, or start a new scan")
        named = name or f"class {new}"
        made = Class(new, named, colour or colour_of(new), porosity_of(named) if porosity is None else porosity)
        return replace(self, classes=(*self.classes, made), last=new)

    def change(self, id: int, **changes: Any) -> Self:
        """A table in which class `id` has another name, colour or porosity; one renamed to a pore becomes all pore, unless that was set."""
        before = self[id]
        if "name" in changes and "porosity" not in changes and before.porosity == porosity_of(before.name):
            changes["porosity"] = porosity_of(str(changes["name"]))
        return replace(self, classes=tuple(replace(c, **changes) if c.id == id else c for c in self.classes))

    def remove(self, id: int) -> Self:
        """A table without class `id`; the id is not given again."""
        self[id]
        return replace(self, classes=tuple(c for c in self.classes if c.id != id))

    def summary(self) -> str:
        """The classes in words: "1 pore, 2 clay"."""
        return ", ".join(f"{c.id} {c.name}" for c in self.classes) or "none"

    def to_json(self) -> dict[str, Any]:
        return {"classes": [asdict(c) for c in self.classes], "last": self.last}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls.of((Class(**entry) for entry in data["classes"]), last=int(data.get("last", 0)))

    @classmethod
    def of(cls, classes: Iterable[Class], last: int = 0) -> Self:
        """A table of these classes, in any order."""
        return cls(tuple(sorted(classes, key=lambda c: c.id)), last)


def colour_of(id: int) -> str:
    """The colour that class `id` gets when nobody chose one."""
    return PALETTE[(id - 1) % len(PALETTE)]


def porosity_of(name: str) -> float:
    """The porosity of a class of this name when nobody said it."""
    return 1.0 if name.strip().casefold() in OPEN else 0.0
