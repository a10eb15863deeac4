"""The words for filtered images."""

from typing import Literal

from cyclopts import App, Parameter

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, Many, app, run, settings

images = App(name="images", help="List and delete the filtered images of a scan.", default_parameter=Parameter(negative=()))
app.command(images)


@app.command(name="filter")
def filter_(
    scan: str,
    /,
    *,
    method: str,
    output: str | None = None,
    set: Many = None,
    image: str | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    resume: bool = False,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Make a filtered image of a scan, to be segmented with --image.

    Parameters
    ----------
    scan
        The scan.
    method
        The filter: nlm, median, gaussian, bilateral, rings, cupping or normalise; `lithoscope filters` lists their settings.
    output
        Name of the image; the filter's name if not given.
    set
        Settings of the filter, such as h=15 dimensions=2.
    image
        Filter this filtered image of the scan instead of the scan itself.
    device
        Where to compute; nlm and bilateral can use a GPU.
    resume
        Go on with the run of this image that was stopped; it ends with the bytes of one that never was.
    overwrite
        Replace an image of that name.
    """
    given = {k: v for k, v in locals().items() if k not in ("common", "set")}
    run("filter", text.filtered, common, None, settings=settings(set or []), **given)


@app.command
def filters(*, common: Common = COMMON) -> None:
    """List the image filters with their settings."""
    run("filters", text.filters, common)


@images.command(name="list")
def images_list(scan: str, /, *, common: Common = COMMON) -> None:
    """List the filtered images of a scan."""
    run("images_list", text.images, common, scan=scan)


@images.command(name="delete")
def images_delete(scan: str, names: list[str], /, *, common: Common = COMMON) -> None:
    """Delete filtered images; results made of them stay."""
    run("images_delete", text.images, common, scan=scan, names=names)
