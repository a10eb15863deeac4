"""The choices of a person who teaches what is alike; forms, the command line and run records are made from the fields. No torch here."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from lithoscope.features.backbones import SHIPPED
from lithoscope.parameters import configured, parameter, settings

Method = Literal["triplet", "contrastive", "siamese"]
Mining = Literal["batch-hard", "semi-hard", "random"]
Distance = Literal["cosine", "euclidean"]


@dataclass(frozen=True)
class Lessons:
    """How a network is taught what is alike, what is held out, and when it ends."""

    name: ClassVar[str] = "similarity"

    method: Literal["triplet", "contrastive", "siamese"] = parameter(
        "triplet",
        "triplet: what is alike lies nearer than what is not; contrastive: supervised contrast over the whole batch; "
        "siamese: looks and measured properties together",
    )
    mining: Literal["batch-hard", "semi-hard", "random"] = parameter(
        "batch-hard",
        "Which triplets of a batch count: the farthest alike and the nearest unlike, the nearest unlike beyond the alike, or any",
        shown_if=("method", "triplet"),
    )
    tuning: Literal["lora", "all", "frozen"] = parameter(
        "lora",
        "Small matrices beside the weights, all of the weights, or none of them: only what reads the vectors learns, in seconds",
        label="Teach",
    )
    steps: int = parameter(150, "Batches to learn from at most", minimum=1, maximum=1_000_000, step=10)
    hold: float = parameter(
        0.2,
        "Part of the groups that is held out; when their like is found no better any more, it ends",
        minimum=0.05,
        maximum=0.5,
        step=0.05,
    )
    hold_classes: float = parameter(
        0.2,
        "Part of the classes, two at least, that is left out at a time to see what teaching does to others, where there are four or more; "
        "0: nobody looks",
        minimum=0,
        maximum=0.5,
        step=0.05,
        level="advanced",
    )
    tolerance: float = parameter(
        0.005, "How much worse classes that did not teach may find their like than before", minimum=0, maximum=1, step=0.005,
        level="advanced",
    )  # fmt: skip
    blend: float = parameter(
        0.5, "How much the matrix that it begins with counts, at most, beside vectors as they were; less where that harms other classes",
        minimum=0.05, maximum=1, step=0.05, level="advanced",
    )  # fmt: skip
    backbone: str = parameter(SHIPPED, "Network to go on from: a name, a folder or a file", level="advanced")
    distance: Literal["cosine", "euclidean"] = parameter(
        "cosine", "Of triplets: by angle, or straight", level="advanced", shown_if=("method", "triplet")
    )
    margin: float = parameter(
        0.3, "How much nearer the alike is to be", minimum=0.01, maximum=2, step=0.05, level="advanced", shown_if=("method", "triplet")
    )
    swap: bool = parameter(
        True, "Count the unlike from whichever of the alike it is nearer to", level="advanced", shown_if=("method", "triplet")
    )
    temperature: float = parameter(
        0.1, "How sharply near ones count", minimum=0.01, maximum=2, step=0.01, level="advanced", shown_if=("method", "contrastive")
    )
    shared: bool = parameter(
        False, "One network for looks and properties; as published they are two", level="advanced", shown_if=("method", "siamese")
    )
    near: float = parameter(
        0.5, "Properties closer than this count as alike, in standard deviations", minimum=0.01, maximum=5, step=0.1, level="advanced",
        shown_if=("method", "siamese"),
    )  # fmt: skip
    coverage: float = parameter(
        0.9, "Part of the true values that the intervals are to hold", minimum=0.5, maximum=0.99, step=0.05, level="advanced",
        shown_if=("method", "siamese"),
    )  # fmt: skip
    classes: int = parameter(8, "Classes in a batch", minimum=2, maximum=256, level="advanced")
    each: int = parameter(4, "Items of each class in a batch", minimum=2, maximum=64, level="advanced")
    rate: float = parameter(
        1e-3, "Learning rate at its highest; of all weights a tenth of it", minimum=1e-7, maximum=1, step=1e-4, level="advanced"
    )
    rank: int = parameter(8, "Rank of the small matrices", minimum=1, maximum=256, level="advanced", shown_if=("tuning", "lora"))
    pooling: Literal["mean", "class"] = parameter(
        "mean", "What stands for an image: the mean of its tokens, or the class token", level="advanced"
    )
    side: int = parameter(96, "Side in pixels at which whole images are seen", minimum=16, maximum=1024, step=8, level="advanced")
    zoom: float = parameter(
        0.8, "Crops show at least this part of an image's side; 1 keeps sizes, as siamese always does", minimum=0.2, maximum=1, step=0.1,
        level="advanced",
    )  # fmt: skip
    every: int = parameter(10, "Steps between two looks at what is held out", minimum=1, maximum=10_000, level="advanced")
    patience: int = parameter(5, "Looks without a better score after which it ends", minimum=1, maximum=1000, level="advanced")
    seed: int = parameter(0, "Equal seeds give equal weights on one kind of device", minimum=0, level="advanced")

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """These lessons with settings from a form, a command line or a record, each checked."""
        return configured(cls, given)

    def to_json(self) -> dict[str, Any]:
        return settings(self)

    def changed(self, **wishes: Any) -> Self:
        """The same with those wishes that are not None."""
        return replace(self, **{k: v for k, v in wishes.items() if v is not None})
