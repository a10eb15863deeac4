"""The words for results and labels."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, Many, app, labels, run


@labels.command(name="import")
def labels_import(
    scan: str,
    file: str,
    name: str,
    /,
    *,
    map: Many = None,
    names: Many = None,
    porosity: Many = None,
    as_: Annotated[Literal["result", "strokes", "truth"], Parameter(name="--as")] = "result",
    channel: int | None = None,
    dataset: str | None = None,
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
    names
        What each class is called, such as 1=pore 2=clay; as the scan calls it if not given.
    porosity
        How much of each class is pore, from 0 to 1, such as 1=1 2=0.3; by the name if not given: a pore, void or air is all pore.
    as_
        A result, the truth to compare with, or strokes to learn from.
    channel
        Of an image of several channels, the one that holds the labels, counted from 0.
    dataset
        Of a file that holds several datasets, the one with the labels.
    overwrite
        Replace labels of that name.
    """
    given = {k: v for k, v in locals().items() if k != "common"}
    run("labels_import", text.labels, common, f"import {Path(file).name}", **given)


@labels.command(name="list")
def labels_list(scan: str, /, *, common: Common = COMMON) -> None:
    """List the results of a scan, and the runs that were ended before they were done."""
    run("labels_list", text.labels, common, scan=scan)


@labels.command(name="classes")
def labels_classes(
    scan: str,
    result: str | None = None,
    /,
    *,
    set: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    common: Common = COMMON,
) -> None:
    """List the classes of a scan or of a result, or change their names, colours and porosities.

    Parameters
    ----------
    scan
        The scan.
    result
        The name of a result; without it, the classes that are painted with.
    set
        What to change of which class, such as 1:name=pore,porosity=1 or 2:colour=#e69f00; a number that the scan lacks adds a class.
    """
    run("labels_classes", text.classes, common, scan=scan, result=result, changes=set)


@labels.command(name="rename")
def labels_rename(scan: str, old: str, new: str, /, *, common: Common = COMMON) -> None:
    """Give a result another name."""
    run("labels_rename", text.labels, common, scan=scan, old=old, new=new)


@labels.command(name="delete")
def labels_delete(scan: str, name: str, /, *, common: Common = COMMON) -> None:
    """Delete a result and its corrections, or a run of that name that was ended before it was done."""
    run("labels_delete", text.labels, common, scan=scan, name=name)


@app.command
def export(
    scan: str,
    result: str,
    out: str,
    /,
    *,
    values: Many = None,
    class_: Annotated[list[str] | None, Parameter(name="--class", consume_multiple=True)] = None,
    scores: bool = False,
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
        A .tif, .zarr, .raw (with .mhd), .mha, .nrrd, .npy or .stl file, a folder for one TIFF a slice, or 'FOLDER/*.png' for PNGs.
    values
        The value to write for each class, such as 1=0 2=255.
    class_
        Write only these classes (names or numbers, or all), each to a file of its own: 1 where it is and 0 elsewhere.
    scores
        Write how likely each class is, from 0 to 255, instead of labels.
    compression
        zlib, deflate, lzw or none, for TIFF.
    overwrite
        Replace a file that is there already.
    """
    given = {k: v for k, v in locals().items() if k != "common"}
    run("export", text.export, common, f"export {Path(out).name}", **given)


@app.command
def measure(
    scan: str,
    result: str,
    /,
    *,
    truth: str | None = None,
    map: Many = None,
    structure: bool = False,
    thickness: bool = False,
    common: Common = COMMON,
) -> None:
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
    structure
        Also measure what is connected and how much surface there is.
    thickness
        Also measure how thick each phase is: the size of pores and grains.
    """
    run("measure", text.measure, common, scan=scan, result=result, truth=truth, map=map, structure=structure, thickness=thickness)
