"""The words for this machine, and the demonstration."""

from pathlib import Path
from typing import Literal

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, app, run


@app.command
def doctor(*, common: Common = COMMON) -> None:
    """Examine this installation: system, windows, graphics, torch, disk."""
    run("doctor", text.doctor, common)


@app.command
def demo(
    folder: str = "lithoscope-demo",
    /,
    *,
    method: str = "otsu",
    show: Literal["auto", "window", "files"] = "auto",
    common: Common = COMMON,
) -> None:
    """Do the main job on the sample scan: make it, segment it, show it in napari (without a display: write mask and picture).

    Parameters
    ----------
    folder
        Where to put scan, mask and picture.
    method
        The method that segments it.
    show
        Open a window, or only write files; auto looks for a display.
    """
    from lithoscope.cli.demo import run

    run(Path(folder), method=method, show=show, as_json=common.json)
