"""One volume out of a file of several channels or time points: chosen by number, never guessed."""

from collections.abc import Sequence
from dataclasses import dataclass

from lithoscope.errors import ChoiceError, InputError

_WORDS = {"c": ("channel", "channels"), "t": ("time", "time points")}


@dataclass(frozen=True, slots=True)
class Wish:
    """The channel and the time point that a person asked for, counted from 0; None where nothing was said.

    With `classes` the numbers are wanted of pixels that a palette colours, as labels often are.
    """

    channel: int | None = None
    time: int | None = None
    classes: bool = False

    def __bool__(self) -> bool:
        return self.channel is not None or self.time is not None

    def of(self, kind: str) -> int | None:
        """What was asked for along an axis of channels (`c`) or of time (`t`)."""
        return self.channel if kind == "c" else self.time


NOTHING = Wish()


def chosen(name: object, extra: Sequence[tuple[str, int]], wish: Wish) -> tuple[int, ...]:
    """The index along each axis beside z, y, x, given as (`c` or `t`, size); raises an error that says what there is to choose."""
    lacking = [(kind, size) for kind, size in extra if size > 1 and wish.of(kind) is None]
    if lacking:
        there = " and ".join(f"{size} {_WORDS[kind][1]}" for kind, size in lacking)
        options = " ".join(f"--{_WORDS[kind][0]} 0…{size - 1}" for kind, size in lacking)
        several = {_WORDS[kind][0]: {str(n): str(n) for n in range(size)} for kind, size in extra if size > 1}
        raise ChoiceError(f"{name} holds {there}; choose one: {options}", several)
    for kind in "ct":
        asked = wish.of(kind)
        if asked is not None and asked != 0 and kind not in [k for k, _ in extra]:
            raise InputError(f"{name} has no {_WORDS[kind][1]}; leave out --{_WORDS[kind][0]}")
    found = []
    for kind, size in extra:
        index = wish.of(kind) or 0
        if not 0 <= index < size:
            raise InputError(f"{name} has no {_WORDS[kind][0]} {index}; choose one of 0…{size - 1}")
        found.append(index)
    return tuple(found)


def described(wish: Wish) -> dict[str, int]:
    """What was chosen, for the scan's metadata."""
    return {word: value for word, value in (("channel", wish.channel), ("time", wish.time)) if value is not None}
