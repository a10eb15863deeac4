"""The words for methods that are taught by strokes."""

from typing import Literal

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, Many, app, run, settings


@app.command
def train(
    scans: list[str],
    /,
    *,
    method: str,
    model: str,
    strokes: Many = None,
    map: Many = None,
    set: Many = None,
    image: str | None = None,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    resume: bool = False,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Teach a method by strokes and save it as a model; some strokes are held back to score it.

    Parameters
    ----------
    scans
        The scans that are painted on.
    method
        The method to teach.
    model
        The folder to save it in.
    strokes
        One for each scan, or one name that all have: a file, an array in a Zarr, or a name in the scan (strokes).
    map
        Which class each value of the labels is, such as 0=0 85=1 170=2.
    set
        Settings of the method, such as preset=published.
    image
        Learn from this filtered image of the scans.
    seed
        Seed of everything random.
    device
        Where to compute.
    resume
        Go on with a network's training that was cancelled or killed.
    overwrite
        Replace a model that is there already.
    """
    given = {k: v for k, v in locals().items() if k not in ("common", "set", "strokes")}
    run("train", text.segment, common, None, settings=settings(set or []), strokes=strokes or ("strokes",), **given)
