"""How long and how fast a backbone is taught."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast. The rate rises over the first `warmup` steps, stays, and falls to nothing over the last `decay` of
    the steps; until then nothing depends on how many steps there will be, so a training may be given more steps, or end by the
    clock, and be the one that this number of steps would have given. Weight decay rises to `weight_decay_end` at the end."""

    steps: int = 2000
    batch: int = 32
    rate: float = 5e-4
    warmup: int = 100
    decay: float = 0.25
    weight_decay: float = 0.04
    weight_decay_end: float = 0.1
    clip: float = 3.0
    minutes_between_checkpoints: float = 3.0

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        return self.rate * min(1.0, (step + 1) / max(1, self.warmup)) * (1 - self.falling(step))

    def falling(self, step: int) -> float:
        """How much of the fall at the end is done, 0 … 1."""
        return max(0.0, 1 - (1 - step / max(1, self.steps)) / self.decay) if self.decay else 0.0

    def weight_decay_at(self, step: int) -> float:
        return self.weight_decay + (self.weight_decay_end - self.weight_decay) * (1 - math.cos(math.pi * self.falling(step))) / 2

    def ending(self, done: int, fraction: float) -> "Schedule":
        """The schedule of a training that has done so many steps in this fraction of its time: as it is until the rate should
        fall, then with as many steps as make it fall from here."""
        return self if fraction < 1 - self.decay else replace(self, steps=max(1, math.ceil(done / (1 - self.decay))))
