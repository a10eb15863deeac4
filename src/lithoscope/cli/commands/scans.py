"""Scans: brought in, looked at, changed, packed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError
from lithoscope.job import Report, silent

Json = dict[str, Any]


def import_(
    source: str,
    scan: str,
    *,
    voxel_size: Sequence[float] | None = None,
    unit: str | None = None,
    shape: Sequence[int] | None = None,
    dtype: str | None = None,
    byte_order: str | None = None,
    pattern: str | None = None,
    dataset: str | None = None,
    channel: int | None = None,
    time: int | None = None,
    crop: str | None = None,
    bin: int = 1,
    separate_slices: bool = False,
    fov: str = "auto",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Convert a scanner's files to a scan; answers like `info`."""
    from lithoscope.volume.convert import import_scan

    made = import_scan(
        Path(source),
        Path(scan),
        voxel=_voxel(voxel_size, unit),
        shape=_triple(shape),
        dtype=dtype,
        byte_order=byte_order,
        pattern=pattern,
        dataset=dataset,
        channel=channel,
        time=time,
        crop=crop,
        bin=bin,
        separate_slices=separate_slices,
        field_of_view=fov,
        overwrite=overwrite,
        report=report,
    )
    return _info(made)


def info(scan: str, *, report: Report = silent) -> Json:
    """What a scan is: shape, dtype, voxel size, levels, percentiles, field of view, results."""
    from lithoscope.volume.scan import Scan

    return _info(Scan.open(Path(scan)))


def set_(
    scan: str, *, voxel_size: Sequence[float] | None = None, unit: str | None = None, fov: str | None = None, report: Report = silent
) -> Json:
    """Change a scan's voxel size or field of view; answers like `info`."""
    from lithoscope.volume.scan import Scan

    if voxel_size is None and fov is None:
        raise InputError("nothing to set; give --voxel-size Z Y X, --fov, or both")
    opened = Scan.open(Path(scan))
    changes: Json = {}
    if voxel_size is not None:
        changes["voxel"] = _voxel(voxel_size, unit or (opened.voxel.unit if opened.voxel is not None else None))
    if fov is not None:
        changes["field_of_view"] = fov
    opened.set(**changes, report=report)
    return _info(opened)


def bundle(scan: str, out: str, *, overwrite: bool = False, report: Report = silent) -> Json:
    """Zip a scan with all that belongs to it."""
    from lithoscope.bundle import bundle as pack
    from lithoscope.volume.scan import Scan

    return pack(Scan.open(Path(scan), readonly=True), Path(out), overwrite=overwrite, report=report)


def sample(
    scan: str,
    *,
    shape: Sequence[int] | None = None,
    dtype: str = "uint8",
    seed: int = 0,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Make the sample scan, a simulated three-phase rock with its exact truth; answers like `info`."""
    from lithoscope.sample import simulate

    made = simulate(Path(scan), shape=_triple(shape) or (128, 256, 256), dtype=dtype, seed=seed, overwrite=overwrite, report=report)
    return _info(made)


def _info(scan: Any) -> Json:
    from lithoscope.labels.results import older_than_view, open_result, results

    described: Json = scan.info()
    names = results(scan)
    return described | {"results": names, "older_than_fov": [name for name in names if older_than_view(scan, open_result(scan, name))]}


def _voxel(size: Sequence[float] | None, unit: str | None) -> Any:
    from lithoscope.volume.voxel import Voxel

    if size is None:
        if unit is not None:
            raise InputError(f"--unit {unit} says nothing without --voxel-size Z Y X")
        return None
    if len(size) != 3:
        raise InputError(f"--voxel-size takes three numbers, z y x, not {len(size)}")
    return Voxel((float(size[0]), float(size[1]), float(size[2])), unit or "um")


def _triple(shape: Sequence[int] | None) -> tuple[int, int, int] | None:
    if shape is None:
        return None
    if len(shape) != 3:
        raise InputError(f"--shape takes three numbers, z y x, not {len(shape)}")
    return (int(shape[0]), int(shape[1]), int(shape[2]))
