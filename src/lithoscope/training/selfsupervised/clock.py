"""A training that ends by the clock: how many steps it gets is settled when its rate should begin to fall.

Until then nothing depends on that number (`Schedule`), so the weights are those of a training that was given it at once; it is
written down beside the plan, and kept when the training is interrupted.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lithoscope.training.selfsupervised.schedule import Schedule

UNSETTLED = 10**9


@dataclass
class Clock:
    """`minutes` of work in all, in however many sittings; None: the steps are given."""

    folder: Path
    minutes: float | None

    @property
    def path(self) -> Path:
        """Where the number of steps is written down."""
        return self.folder / "steps.json"

    def settled(self, schedule: "Schedule", done: int, seconds: float) -> "Schedule":
        """The schedule as it stands after `done` steps and `seconds` of work."""
        from dataclasses import replace

        if self.minutes is None:
            return schedule
        if self.path.exists():
            return replace(schedule, steps=int(json.loads(self.path.read_text(encoding="utf-8"))["steps"]))
        found = replace(schedule, steps=UNSETTLED).ending(done, seconds / (60 * self.minutes))
        if found.steps != UNSETTLED:
            self.path.write_text(json.dumps({"steps": found.steps, "minutes": self.minutes}) + "\n", encoding="utf-8")
        return found

    def total(self, schedule: "Schedule", done: int, seconds: float) -> int:
        """How many steps there will be, as far as one can tell."""
        if schedule.steps != UNSETTLED or self.minutes is None:
            return max(done, schedule.steps)
        return max(done, round(done * 60 * self.minutes / max(seconds, 1e-3)))
