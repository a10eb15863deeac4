"""The words of the command line: its commands, options and help. What they do is in `commands`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from lithoscope import __version__
from lithoscope.cli import text
from lithoscope.cli.console import reporting, show
from lithoscope.errors import InputError

app = App(
    name="lithoscope",
    help="From a CT stack to a segmentation that you trust, measure and publish.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
)
labels = App(name="labels", help="Bring in, list, rename and delete results and labels.", default_parameter=Parameter(negative=()))
app.command(labels)

Many = Annotated[list[str] | None, Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    json: bool = False
    "Print one JSON object on standard output."


COMMON = Common()


def _run(name: str, words: Callable[[dict[str, Any]], str], common: Common, title: str | None = None, /, **arguments: Any) -> None:
    from lithoscope.cli.commands import command

    with reporting(title or name) as report:
        answer = command(name)(**arguments, report=report)
    show(answer, common.json, words)


@app.command(name="import")
def import_(
    source: str,
    scan: str,
    /,
    *,
    voxel_size: tuple[float, float, float] | None = None,
    unit: str | None = None,
    shape: tuple[int, int, int] | None = None,
    dtype: str | None = None,
    byte_order: Literal["little", "big"] | None = None,
    pattern: str | None = None,
    crop: str | None = None,
    bin: int = 1,
    separate_slices: bool = False,
    fov: str = "auto",
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Convert a scanner's files to a scan.

    Parameters
    ----------
    source
        A TIFF stack, a folder of slices, a .raw or .npy file, or a Zarr array.
    scan
        The scan to make, ending in .zarr.
    voxel_size
        Voxel size along z, y and x, where the files do not say it.
    unit
        Unit of the voxel size: nm, um, mm, cm, m or inch.
    shape
        Shape z y x of a headerless .raw file.
    dtype
        Type of a .raw file's values, such as uint16.
    byte_order
        Byte order of a .raw file.
    pattern
        Which files of a folder are slices, such as "slice_*.tif".
    crop
        Only this box, z0:z1,y0:y1,x0:x1.
    bin
        Average this many voxels along each axis into one.
    separate_slices
        The slices are unrelated images, not one volume.
    fov
        Field of view: auto, none, cylinder:CY,CX,R, box:z0:z1,y0:y1,x0:x1, or a mask's path.
    overwrite
        Replace a scan that is there already.
    """
    given = {k: v for k, v in locals().items() if k != "common"}
    _run("import", text.info, common, f"import {Path(source).name}", **given)


@app.command
def info(scan: str, /, *, common: Common = COMMON) -> None:
    """Say what a scan is: shape, voxel size, percentiles, field of view, results."""
    _run("info", text.info, common, scan=scan)


@app.command(name="set")
def set_(
    scan: str,
    /,
    *,
    voxel_size: tuple[float, float, float] | None = None,
    unit: str | None = None,
    fov: str | None = None,
    common: Common = COMMON,
) -> None:
    """Change a scan's voxel size or field of view.

    Parameters
    ----------
    scan
        The scan.
    voxel_size
        Voxel size along z, y and x.
    unit
        Unit of the voxel size: nm, um, mm, cm, m or inch.
    fov
        Field of view: auto, none, cylinder:CY,CX,R, box:z0:z1,y0:y1,x0:x1, or a mask's path.
    """
    _run("set", text.info, common, scan=scan, voxel_size=voxel_size, unit=unit, fov=fov)


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
    _run("segment", text.segment, common, None, settings=_settings(set or []), **given)


@app.command
def export(
    scan: str,
    result: str,
    out: str,
    /,
    *,
    values: Many = None,
    compression: str = "zlib",
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Write a result, corrections included, to a file that other programs read.

    Parameters
    ----------
    scan
        The scan.
    result
        The name of the result.
    out
        A .tif, .zarr, .raw or .npy file, a folder for one TIFF a slice, or 'FOLDER/*.png' for one PNG a slice.
    values
        The value to write for each class, such as 1=0 2=255.
    compression
        zlib, deflate, lzw or none, for TIFF.
    overwrite
        Replace a file that is there already.
    """
    given = {k: v for k, v in locals().items() if k != "common"}
    _run("export", text.export, common, f"export {Path(out).name}", **given)


@app.command
def measure(scan: str, result: str, /, *, truth: str | None = None, map: Many = None, common: Common = COMMON) -> None:
    """Count phase fractions; against a truth, score the result.

    Parameters
    ----------
    scan
        The scan.
    result
        The name of the result.
    truth
        Labels to compare with: a file, an array in a Zarr, or a name in the scan.
    map
        Which class each value of the truth is, such as 0=1 255=2.
    """
    _run("measure", text.measure, common, scan=scan, result=result, truth=truth, map=map)


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
    _run("repeat", text.repeat, common, scan=scan, result=result, output=output)


@app.command
def bundle(scan: str, out: str, /, *, overwrite: bool = False, common: Common = COMMON) -> None:
    """Zip a scan with its strokes, results, corrections and records.

    Parameters
    ----------
    scan
        The scan.
    out
        The .zip file to write.
    overwrite
        Replace a file that is there already.
    """
    _run("bundle", text.bundle, common, scan=scan, out=out, overwrite=overwrite)


@app.command
def methods(*, common: Common = COMMON) -> None:
    """List the methods with their settings."""
    _run("methods", text.methods, common)


@app.command
def doctor(*, common: Common = COMMON) -> None:
    """Examine this installation: system, windows, graphics, torch, disk."""
    _run("doctor", text.doctor, common)


@app.command
def sample(
    scan: str,
    /,
    *,
    shape: tuple[int, int, int] = (128, 256, 256),
    dtype: Literal["uint8", "uint16"] = "uint8",
    seed: int = 0,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Make the sample scan: a simulated three-phase rock, with its exact truth as a result.

    Parameters
    ----------
    scan
        The scan to make, ending in .zarr.
    shape
        Its size along z, y and x.
    dtype
        The type of its grey values.
    seed
        Another seed gives another rock.
    overwrite
        Replace a scan that is there already.
    """
    _run("sample", text.info, common, scan=scan, shape=shape, dtype=dtype, seed=seed, overwrite=overwrite)


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


@labels.command(name="import")
def labels_import(
    scan: str,
    file: str,
    name: str,
    /,
    *,
    map: Many = None,
    as_: Annotated[Literal["result", "strokes", "truth"], Parameter(name="--as")] = "result",
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Take up labels made elsewhere.

    Parameters
    ----------
    scan
        The scan they belong to.
    file
        A TIFF, an array in a Zarr, or a name in the scan.
    name
        The name they get.
    map
        Which class each value is, such as 0=1 255=2.
    as_
        A result, the truth to compare with, or strokes to learn from.
    overwrite
        Replace labels of that name.
    """
    given = {k: v for k, v in locals().items() if k != "common"}
    _run("labels_import", text.labels, common, f"import {Path(file).name}", **given)


@labels.command(name="list")
def labels_list(scan: str, /, *, common: Common = COMMON) -> None:
    """List the results of a scan."""
    _run("labels_list", text.labels, common, scan=scan)


@labels.command(name="rename")
def labels_rename(scan: str, old: str, new: str, /, *, common: Common = COMMON) -> None:
    """Give a result another name."""
    _run("labels_rename", text.labels, common, scan=scan, old=old, new=new)


@labels.command(name="delete")
def labels_delete(scan: str, name: str, /, *, common: Common = COMMON) -> None:
    """Delete a result and its corrections."""
    _run("labels_delete", text.labels, common, scan=scan, name=name)


def _settings(pairs: list[str]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set {pair} is not of the form key=value")
        settings[key] = value
    return settings
