"""The words for what is made of results: cleaned ones, and grains told apart."""

from typing import Annotated

from cyclopts import Parameter

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, Many, app, run


@app.command
def clean(
    scan: str,
    result: str,
    /,
    *,
    step: Many = None,
    output: str | None = None,
    correct: bool = False,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Take specks, holes and ragged edges out of a result, corrections included, into a new one.

    Parameters
    ----------
    scan
        The scan.
    result
        The name of the result.
    step
        What to do, in order, as often as wanted. islands=200 and holes=200 (voxels, or a volume such as 50um3; holes=all): remove
        and fill what is smaller. largest=1: keep the largest component of class 1. through=z,class=1: keep what connects both
        faces. majority=1, median=1: of the cube of that radius (voxels, or 5um). opening=5um,class=1 and closing=5um,class=1: by
        a ball. merge=2+3: into one class. renumber: as 1, 2, 3. Options behind a comma: class=1+2, connectivity=26, to=2.
    output
        Name of the new result; the result's name with "cleaned" behind it if not given.
    correct
        Correct the result itself instead of making a new one; undone as a whole in the window.
    overwrite
        Replace a result of that name.
    """
    given = {"scan": scan, "result": result, "steps": step or [], "output": output, "correct": correct, "overwrite": overwrite}
    run("clean", text.clean, common, f"clean {result}", **given)


@app.command
def separate(
    scan: str,
    result: str,
    /,
    *,
    class_: Annotated[int, Parameter(name="--class")] = 1,
    height: float = 1.0,
    output: str | None = None,
    table: str | None = None,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Tell touching grains or pores of a class apart, number them, and measure each.

    Parameters
    ----------
    scan
        The scan.
    result
        The name of the result.
    class_
        The class whose parts are told apart.
    height
        How much a grain must be thicker than the neck to the next one to be told from it, in voxels: more splits less.
    output
        Name of the new result; the result's name with "separated" behind it if not given.
    table
        Where to write the table (.csv; sizes and a .json beside it); in the scan's sidecar if not given.
    overwrite
        Replace a result of that name.
    """
    given = {"scan": scan, "result": result, "id": class_, "height": height, "output": output, "table": table, "overwrite": overwrite}
    run("separate", text.separate, common, f"separate {result}", **given)
