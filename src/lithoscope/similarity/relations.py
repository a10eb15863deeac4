"""What is known to be alike and unlike: classes, or a person's marks on pairs, as one thing that losses and scores ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Relation:
    """`kinds` (n,) is what each item is, by number, -1 where nobody knows; `names` are the kinds' names.

    `unlike` (kinds, kinds) says which kinds are known to be unlike each other: of classes all, of marks those alone that were marked.
    """

    kinds: Numbers
    names: tuple[str, ...]
    unlike: Bools

    @classmethod
    def of_classes(cls, classes: Sequence[str | None]) -> Self:
        """Every class is unlike every other."""
        names = tuple(sorted({c for c in classes if c is not None}))
        numbers = {name: i for i, name in enumerate(names)}
        return cls(np.array([-1 if c is None else numbers[c] for c in classes], np.intp), names, ~np.eye(len(names), dtype=bool))

    @classmethod
    def of_marks(cls, count: int, alike: Sequence[tuple[int, int]], unlike: Sequence[tuple[int, int]]) -> Self:
        """Items 0 … count - 1 by marks on pairs of them: alike goes on from one to the next, unlike goes between whole kinds."""
        root = list(range(count))

        def first(i: int) -> int:
            while root[i] != i:
                root[i] = root[root[i]]
                i = root[i]
            return i

        for a, b in alike:
            root[max(first(a), first(b))] = min(first(a), first(b))
        marked = sorted({first(i) for pair in (*alike, *unlike) for i in pair})
        number = {r: i for i, r in enumerate(marked)}
        kinds = np.array([number.get(first(i), -1) for i in range(count)], np.intp)
        apart = np.zeros((len(marked), len(marked)), bool)
        for a, b in unlike:
            if kinds[a] == kinds[b]:
                raise InputError("two places are marked as alike and as unlike, perhaps by way of others; take one of the marks back")
            apart[kinds[a], kinds[b]] = apart[kinds[b], kinds[a]] = True
        return cls(kinds, tuple(f"kind {i + 1}" for i in range(len(marked))), apart)

    @property
    def marked(self) -> bool:
        """Whether it is known of some pairs alone that they are unlike, as of a person's marks."""
        return bool((~self.unlike).sum() > len(self.names))

    def __len__(self) -> int:
        return len(self.kinds)

    def named(self) -> list[str]:
        """The name of each item's kind; "" where nobody knows."""
        return ["" if k < 0 else self.names[k] for k in self.kinds]

    def sizes(self) -> dict[str, int]:
        """How many items there are of each kind."""
        return {name: int((self.kinds == i).sum()) for i, name in enumerate(self.names)}

    def some(self, rows: npt.ArrayLike) -> "Relation":
        """The same for some of the items."""
        return Relation(self.kinds[np.asarray(rows)], self.names, self.unlike)

    def masks(self, rows: npt.ArrayLike) -> tuple[Bools, Bools]:
        """Which of some items are alike, and which unlike: two (n, n), nothing like itself."""
        kinds = self.kinds[np.asarray(rows)]
        known = (kinds[:, None] >= 0) & (kinds[None] >= 0)
        same = known & (kinds[:, None] == kinds[None]) & ~np.eye(len(kinds), dtype=bool)
        return same, known & self.unlike[np.ix_(np.maximum(kinds, 0), np.maximum(kinds, 0))] if self.names else known

    def check(self) -> tuple[str, ...]:
        """Refuse what teaches nothing; say which kinds have one item only."""
        sizes = self.sizes()
        if not any(count > 1 for count in sizes.values()):
            raise InputError(f"no class has two items ({_told(sizes)}); nothing says what is alike: add items, or choose another column")
        if not self.unlike.any():
            if len(sizes) < 2:
                raise InputError(f"all items are of one class ({_told(sizes)}); nothing says what is unlike: add another class")
            raise InputError("nothing is marked as unlike; mark places that are not what is meant")
        single = [name for name, count in sizes.items() if count == 1]
        return (
            f"{', '.join(single[:4])}{' …' if len(single) > 4 else ''}: one item only, which counts as unlike the others alone",
        ) * bool(single)


def _told(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in list(sizes.items())[:4]) or "none is known"
