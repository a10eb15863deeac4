"""The words for methods."""

from typing import Literal

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, Many, app, run, settings


@app.command
def segment(
    scans: list[str],
    /,
    *,
    method: str | None = None,
    set: Many = None,
    strokes: str | None = None,
    model: str | None = None,
    output: str | None = None,
    image: str | None = None,
    box: str | None = None,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    resume: bool = False,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Segment one or more scans.

    Parameters
    ----------
    scans
        The scans.
    method
        The method; `lithoscope methods` lists them with their settings.
    set
        Settings of the method, such as classes=3 per_slice=true.
    strokes
        Painted labels to learn from: a file, an array in a Zarr, or a name in the scan.
    model
        Apply the model in this folder instead of fitting a method.
    output
        Name of the result; the method's name if not given.
    image
        Segment this filtered image of the scan.
    box
        Only this box, z0:z1,y0:y1,x0:x1.
    seed
        Seed of everything random.
    device
        Where to compute.
    resume
        Go on with a run that was cancelled or killed.
    overwrite
        Replace a result that is there already.
    """
    given = {k: v for k, v in locals().items() if k not in ("common", "set")}
    run("segment", text.segment, common, None, settings=settings(set or []), **given)


@app.command
def repeat(scan: str, result: str, /, *, output: str | None = None, common: Common = COMMON) -> None:
    """Make a result again from its record, and say whether it is the same.

    Parameters
    ----------
    scan
        The scan.
    result
        The name of the result.
    output
        Keep the repetition under this name.
    """
    run("repeat", text.repeat, common, scan=scan, result=result, output=output)


@app.command
def methods(*, common: Common = COMMON) -> None:
    """List the methods with their settings."""
    run("methods", text.methods, common)
