"""The words for comparing methods and reporting."""

from pathlib import Path

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, Many, app, run, settings


@app.command
def compare(
    scan: str,
    /,
    *,
    strokes: str = "strokes",
    truth: str | None = None,
    methods: str | None = None,
    set: Many = None,
    map: Many = None,
    strokes_map: Many = None,
    image: str | None = None,
    seed: int = 0,
    seeds: int = 1,
    name: str = "comparison",
    html: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Compare all methods on one scan: the same strokes, the same held-out voxels, one protocol.

    Parameters
    ----------
    scan
        The scan.
    strokes
        Painted labels to learn from: a file, an array in a Zarr, or a name in the scan.
    truth
        Labels that score; without, strokes that are held back score.
    methods
        Which, such as otsu,forest,dino:tuning=lora; all that are known if not given.
    set
        Settings of a method, such as forest.preset=published.
    map
        Which class each value of the truth is, such as 0=1 255=2.
    strokes_map
        Which class each value of the strokes is, such as 0=0 85=1 170=2.
    image
        Compare on this filtered image of the scan.
    seed
        The first seed.
    seeds
        With how many seeds each method is run.
    name
        The name of the comparison; results are named after it.
    html
        Write a page about it here.
    resume
        Go on with a comparison that was cancelled, at the method it was at.
    overwrite
        Replace a comparison of that name, and a page that is there already.
    """
    given = {k: v for k, v in locals().items() if k not in ("common", "set")}
    run("compare", text.compare, common, "compare", settings=settings(set or []), **given)


@app.command
def report(
    scan: str,
    *words: str,
    comparison: str | None = None,
    truth: str | None = None,
    map: Many = None,
    structure: bool = False,
    thickness: bool = False,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Write one self-contained HTML page about results, with tables as CSV and JSON beside it.

    Parameters
    ----------
    scan
        The scan.
    words
        The names of the results, and last the page to write, ending in .html.
    comparison
        Also tell of this comparison, and of the results it made.
    truth
        Labels to compare the results with: a file, an array in a Zarr, or a name in the scan.
    map
        Which class each value of the truth is, such as 0=1 255=2.
    structure
        Also measure what is connected and how much surface there is.
    thickness
        Also measure how thick each phase is.
    overwrite
        Replace a page that is there already.
    """
    from lithoscope.errors import InputError

    if not words:
        raise InputError("no page to write; name it last: lithoscope report SCAN RESULT… OUT.html")
    *results, out = words
    run(
        "report",
        text.report,
        common,
        f"report {Path(out).name}",
        scan=scan,
        results=results,
        out=out,
        comparison=comparison,
        truth=truth,
        map=map,
        structure=structure,
        thickness=thickness,
        overwrite=overwrite,
    )


@app.command
def spotcheck(
    scan: str,
    result: str,
    /,
    *,
    count: int | None = None,
    table: str | None = None,
    answers: str | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Draw random places for a person to name; from the answers follow accuracy and fractions with intervals.

    Parameters
    ----------
    scan
        The scan.
    result
        The name of the result.
    count
        How many places, shared out among the classes by their size; 200 if not given.
    table
        Write the places here, as a CSV table with an empty column for what is seen there.
    answers
        Take up the answers from such a table.
    seed
        Other places for another seed; 0 if not given.
    overwrite
        Begin anew though there are answers, and replace the table.
    """
    given = {k: v for k, v in locals().items() if k != "common"}
    run("spotcheck", text.spotcheck, common, f"spot check of {result}", **given)
