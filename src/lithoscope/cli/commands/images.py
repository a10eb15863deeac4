"""Filtered images: made, listed, deleted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lithoscope.job import Report, silent

Json = dict[str, Any]


def filter_(
    scan: str,
    *,
    method: str,
    output: str | None = None,
    settings: Mapping[str, Any] | None = None,
    image: str | None = None,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Make a filtered image of a scan, or of another filtered image of it; answers with the run record."""
    from lithoscope.filtering import filter_image, image_filter
    from lithoscope.parameters import configured
    from lithoscope.volume.scan import Scan

    chosen = configured(image_filter(method), settings or {})
    opened = Scan.open(Path(scan))
    record = filter_image(opened, chosen, output or method, image=image, device=device, resume=resume, overwrite=overwrite, report=report)
    return record.to_json()


def filters(*, report: Report = silent) -> Json:
    """Every image filter with its parameters, their defaults and bounds."""
    from lithoscope.filtering import REGISTRY
    from lithoscope.parameters import described

    return {"filters": [described(kind) for kind in REGISTRY.values()]}


def images_list(scan: str, *, report: Report = silent) -> Json:
    """The filtered images of a scan: how each was made, its percentiles."""
    from lithoscope.volume.images import filtered_image
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan), readonly=True)
    return {"scan": opened.name, "images": [filtered_image(opened, name).info() for name in opened.images()]}


def images_delete(scan: str, names: Sequence[str], *, report: Report = silent) -> Json:
    """Delete filtered images; results made of them stay."""
    from lithoscope.volume.images import delete_image
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan))
    for name in names:
        opened.array(name)
    for name in names:
        delete_image(opened, name)
    return images_list(scan)
