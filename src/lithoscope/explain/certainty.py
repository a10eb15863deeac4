"""How sure a result is, voxel by voxel, and where results disagree."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.explain.overlay import Overlay
from lithoscope.explain.place import Place, checked, plane_box
from lithoscope.volume.blocks import read

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

Floats = npt.NDArray[np.float32]


def certainty(scan: "Scan", result: str, axis: int, index: int, check: Callable[[], None] = lambda: None) -> Overlay:
    """How far a result's method has the best class ahead of the second, 0…1; NaN outside the field of view."""
    from lithoscope.export.memberships import method_of
    from lithoscope.labels.live import LivePreview
    from lithoscope.labels.results import open_result

    checked(axis, index, scan)
    found = open_result(scan, result)
    method = method_of(scan, found)
    live = LivePreview(scan, method, image=found.record.source.get("image"))
    live.fitted = method
    view = live.view(plane_box(axis, index, scan.shape), check)
    assert view.certainty is not None
    values = np.squeeze(view.certainty, axis).astype(np.float32)
    values[np.squeeze(view.labels, axis) == 0] = np.nan
    known = values[np.isfinite(values)]
    low = float((known < 0.5).mean()) if known.size else 0.0
    notes = ("how far the best class is ahead of the second", f"{100 * low:.0f} % of the plane below one half")
    return Overlay(
        "certainty", f"certainty of {result}", values, Place(axis, index), (0.0, 1.0), "certainty", ("a toss-up", "certain"), notes=notes,
        about={"result": result},
    )  # fmt: skip


def disagreement(scan: "Scan", results: Sequence[str], axis: int, index: int, check: Callable[[], None] = lambda: None) -> Overlay:
    """The part of the results that do not say what most of them say, 0…1; classes are matched by name. NaN where none says anything."""
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    if len(set(results)) < 2:
        raise InputError("disagreement is between results; name at least two: --result otsu --result forest")
    checked(axis, index, scan)
    box = plane_box(axis, index, scan.shape)
    tables = [open_result(scan, name).classes for name in results]
    names = list(dict.fromkeys(c.name for table in tables for c in table))
    votes = np.zeros((len(names), *(n for a, n in enumerate(box.shape) if a != axis)), np.uint8)
    for name, table in zip(results, tables, strict=True):
        check()
        with corrected(scan, name, readonly=True) as labels:
            said = np.squeeze(read(labels, box), axis)
        for c in table:
            votes[names.index(c.name)] += said == c.id
    total = votes.sum(0, dtype=np.float32)
    most = votes.max(0).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(total > 0, (total - most) / total, np.nan).astype(np.float32)
    known = values[np.isfinite(values)]
    apart = float((known > 0).mean()) if known.size else 0.0
    notes = [", ".join(results), f"they differ in {100 * apart:.1f} % of the plane"]
    named = [{c.name for c in table} for table in tables]
    for name, own in zip(results, named, strict=True):
        if not any(own & other for other in named if other is not own):
            notes.append(f"classes are matched by name, and those of {name} have names of their own: they count as different")
    high = 1 - 1 / len(results)
    return Overlay(
        "disagreement", f"where {len(results)} results disagree", values, Place(axis, index), (0.0, high), "doubt",
        ("all agree", "all differ"), notes=tuple(notes), about={"results": list(results)},
    )  # fmt: skip
