"""The main job on the sample scan, from nothing to a mask, in a window or without one."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from lithoscope.cli import text
from lithoscope.cli.commands import command
from lithoscope.cli.console import reporting, show
from lithoscope.cli.demo_strokes import paint
from lithoscope.segmenters import segmenter


def run(folder: Path, *, method: str = "otsu", show: Literal["auto", "window", "files"] = "auto", as_json: bool = False) -> None:
    """Make the sample scan in `folder`, segment it by `method`, score it against its truth, and show it.

    Without a display (or with `show="files"`) a mask and a picture are written beside it instead.
    """
    scan = folder / "sample rock.zarr"
    with reporting("sample scan") as report:
        if not scan.exists():
            folder.mkdir(parents=True, exist_ok=True)
            command("sample")(str(scan), report=report)
    if segmenter(method).needs_labels:
        with reporting("paint a few strokes"):
            paint(scan)
    settings = {"classes": 3} if method in ("otsu", "kmeans", "fuzzy") else {}
    with reporting(f"segment by {method}") as report:
        record = command("segment")([str(scan)], method=method, settings=settings, overwrite=True, report=report)
    with reporting("measure") as report:
        measured = command("measure")(str(scan), record["output"], truth="truth", report=report)
    windowed = show == "window" or (show == "auto" and has_display())
    files = {} if windowed else _files(folder, scan, record["output"])
    _tell({"scan": str(scan), "run": record, "measure": measured, "files": files}, as_json)
    if windowed:
        from lithoscope._napari.launch import launch

        launch(scan, result=record["output"])


def has_display() -> bool:
    """Whether a window can be opened: napari is installed and, on Linux, a display is there."""
    if find_spec("napari") is None:
        return False
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _files(folder: Path, scan: Path, result: str) -> dict[str, str]:
    from lithoscope.picture import slice_picture
    from lithoscope.volume.scan import Scan

    mask, picture = folder / "mask.tif", folder / "picture.png"
    with reporting("export mask.tif") as report:
        command("export")(str(scan), result, str(mask), overwrite=True, report=report)
    slice_picture(Scan.open(scan, readonly=True), result, picture)
    return {"mask": str(mask), "picture": str(picture)}


def _tell(answer: dict[str, Any], as_json: bool) -> None:
    def words(answer: dict[str, Any]) -> str:
        lines = [f"scan     {answer['scan']}"]
        lines += [f"{name:<8} {path}" for name, path in answer["files"].items()]
        return "\n".join([*lines, "", text.segment(answer["run"]), "", text.measure(answer["measure"])])

    show(answer, as_json, words)
