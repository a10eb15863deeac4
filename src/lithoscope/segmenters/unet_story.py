"""What a UNet's record says of how it was taught."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lithoscope.segmenters.network_parts import Taught
    from lithoscope.training.loop import Plan
    from lithoscope.training.progress import Standing


def story(standing: "Standing", found: "Taught", plan: "Plan", preset: str, parameters: int) -> dict[str, Any]:
    """Plain JSON: preset, size, steps, voxels by class, curves, and what was not as usual."""
    from lithoscope.training.progress import curves

    told: dict[str, Any] = {
        "preset": preset, "parameters": parameters, "steps": standing.step,
        "voxels": {c.name: int(n) for c, n in zip(found.table, found.counts, strict=True)}, "curves": curves(standing, plan.every),
        "toning": found.tones.strength,
    }  # fmt: skip
    if standing.best_score:
        told |= {"best_step": standing.best_step, "chosen_by": "the strokes that are held out for the score"}
    if found.hints:
        told["hints"] = found.hints
    if found.given_back:
        told["not_held_out"] = list(found.given_back)
    if standing.stopped:
        told["ended_early"] = "by hand"
    if standing.divided > 1:
        told["batch_divided_by"] = standing.divided
    return told
