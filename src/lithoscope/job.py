"""How long work speaks: it reports once a block or batch, and is cancelled by the report's raising `Cancelled`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class Cancelled(Exception):  # noqa: N818 - the person's wish, not an error
    """Raised by a report to end the work; files and models close on its way out."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: `done` of `total` steps, and a few words about what is being done.

    `details` is more for those who can show it, as plain JSON: a training's curves.
    """

    done: int
    total: int
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def fraction(self) -> float:
        """The part that is done, 0 to 1; 0 while the total is not known."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


Report = Callable[[Progress], None]
"""Called by long work once a block or batch; raises `Cancelled` to end it."""


def silent(progress: Progress) -> None:
    """The report of a caller who does not want one."""
