"""The strokes that people painted on a scan: 0 means that nobody said."""

from typing import TYPE_CHECKING

from lithoscope.labels.store import LabelStore

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan


def strokes(scan: "Scan", *, readonly: bool = False) -> LabelStore:
    """The strokes of a scan; read-only, with a `holder`, when another program is painting."""
    return LabelStore(scan.sidecar / "strokes", scan.shape, what=f"the strokes of {scan.name}", readonly=readonly)
