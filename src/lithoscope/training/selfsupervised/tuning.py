"""What of a backbone is taught when a training goes on from one: all of it, or low-rank matrices beside its weights."""

from typing import Literal, cast

from lithoscope.features.vit import Vit

Tuning = Literal["all", "lora"]

RANK = 16


def begun(start: Vit | None, tuning: Tuning, seed: int) -> Vit | None:
    """The network that is taught, from the one to begin from."""
    if start is None or tuning == "all":
        return start
    from lithoscope.training.lora import LoraSettings, adapted

    return cast(Vit, adapted(start, LoraSettings(rank=RANK, alpha=RANK, dropout=0.0), seed=seed))


def plainly(taught: Vit, start: Vit | None, tuning: Tuning) -> Vit:
    """The taught network as a backbone like any other: matrices beside the weights are worked into them."""
    if start is None or tuning == "all":
        return taught
    from lithoscope.training.lora import LoraSettings, adapter_of, merged

    return cast(Vit, merged(start, adapter_of(taught), LoraSettings(rank=RANK, alpha=RANK, dropout=0.0)))
