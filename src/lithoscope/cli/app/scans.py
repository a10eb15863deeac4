"""The words for scans."""

from pathlib import Path
from typing import Literal

from lithoscope.cli import text
from lithoscope.cli.app.root import COMMON, Common, app, run


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
    dataset: str | None = None,
    channel: int | None = None,
    time: int | None = None,
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
        A TIFF stack, a folder of slices (TIFF, PNG, JPEG, DICOM, Bruker), Zarr, HDF5, NIfTI, .nrrd, .mhd, .vgi, .txm, .raw or .npy.
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
    dataset
        Which array of an HDF5 or Zarr file, or which DICOM series of a folder.
    channel
        Which channel of a file of several, counted from 0.
    time
        Which time point of a file of several, counted from 0.
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
    run("import", text.info, common, f"import {Path(source).name}", **given)


@app.command
def info(scan: str, /, *, common: Common = COMMON) -> None:
    """Say what a scan is: shape, voxel size, percentiles, field of view, results."""
    run("info", text.info, common, scan=scan)


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
        Unit of the voxel size: nm, um, mm, cm, m or inch; the scan's own, or um, if not given.
    fov
        Field of view: auto, none, cylinder:CY,CX,R, box:z0:z1,y0:y1,x0:x1, or a mask's path.
    """
    run("set", text.info, common, scan=scan, voxel_size=voxel_size, unit=unit, fov=fov)


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
    run("bundle", text.bundle, common, scan=scan, out=out, overwrite=overwrite)


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
    run("sample", text.info, common, scan=scan, shape=shape, dtype=dtype, seed=seed, overwrite=overwrite)
