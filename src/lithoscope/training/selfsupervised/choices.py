"""The few choices of a person who has a network taught on a scan; forms are made from the fields. Imports no torch."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lithoscope.parameters import parameter, settings

FRESH = "random weights"


@dataclass
class Teaching:
    """What to begin from, what to learn by, and for how long."""

    name: ClassVar[str] = "teaching"

    start: str = parameter("lithoscope-tiny", f"Network to go on from: a name, a folder or a file; or {FRESH!r}", label="Begin from")
    tuning: Literal["lora", "all"] = parameter("lora", "Small matrices beside the weights, or all of the weights", label="Teach")
    objective: Literal["features", "dino", "mae"] = parameter(
        "features",
        "features: describe each patch in a few numbers, learnt soonest; dino: parts agree with the whole; mae: paint in what was hidden",
        label="By",
    )
    minutes: float = parameter(20.0, "How long, in however many sittings", minimum=0.1, maximum=100_000, step=5.0, unit="min")
    patch: Literal[8, 14, 16] = parameter(
        8, "Side of a patch in pixels; 8 sees finer structures, 14 and 16 are faster", level="advanced", shown_if=("start", FRESH)
    )
    position: Literal["conv", "alibi", "none", "learned"] = parameter(
        "conv", "How tokens know where they are; conv and alibi suit homogeneous texture", level="advanced", shown_if=("start", FRESH)
    )
    size: Literal["tiny", "small"] = parameter("tiny", "5.4 or 21 million weights", level="advanced", shown_if=("start", FRESH))
    seed: int = parameter(0, "Equal seeds give equal weights on one kind of device", minimum=0, level="advanced")

    def arguments(self) -> dict[str, Any]:
        """What the command `pretrain` is to be told."""
        told = settings(self)
        if self.start == FRESH:
            return told | {"start": None, "tuning": "all"}
        return {key: told[key] for key in ("start", "tuning", "objective", "minutes", "seed")}
