"""The methods paragraph: what was done, in sentences that a paper can take over, each made of what is recorded."""

from collections.abc import Mapping, Sequence
from typing import Any

from lithoscope import __version__
from lithoscope.parameters import parameters
from lithoscope.record import RunRecord
from lithoscope.segmenters.base import REGISTRY
from lithoscope.volume.scan import Scan

SOURCES = {
    "otsu": "N. Otsu, A threshold selection method from gray-level histograms, IEEE Trans. Syst. Man Cybern. 9, 62–66 (1979); for "
    "several classes P.-S. Liao, T.-S. Chen, P.-C. Chung, J. Inf. Sci. Eng. 17, 713–727 (2001).",
    "kmeans": "S. P. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28, 129–137 (1982).",
    "fuzzy": "J. C. Bezdek, R. Ehrlich, W. Full, FCM: the fuzzy c-means clustering algorithm, Comput. Geosci. 10, 191–203 (1984).",
    "watershed": "F. Meyer, Topographic distance and watershed lines, Signal Process. 38, 113–125 (1994).",
    "forest": "L. Breiman, Random forests, Mach. Learn. 45, 5–32 (2001).",
    "unet": "O. Ronneberger, P. Fischer, T. Brox, U-Net, MICCAI 2015, 234–241.",
    "dino": "M. Oquab et al., DINOv2: learning robust visual features without supervision, TMLR (2024).",
    "blocks": "H. R. Künsch, The jackknife and the bootstrap for general stationary observations, Ann. Stat. 17, 1217–1241 (1989).",
    "surface": "J. Ohser, F. Mücklich, Statistical Analysis of Microstructures in Materials Science, Wiley (2000).",
    "thickness": "T. Hildebrand, P. Rüegsegger, A new method for the model-independent assessment of thickness in three-dimensional "
    "images, J. Microsc. 185, 67–75 (1997).",
    "mapping": "H. W. Kuhn, The Hungarian method for the assignment problem, Nav. Res. Logist. Q. 2, 83–97 (1955).",
    "boundary": "G. Csurka, D. Larlus, F. Perronnin, What is a good evaluation measure for semantic segmentation?, BMVC 2013.",
}
"""Where each method comes from."""


def paragraph(
    scan: Scan, records: Mapping[str, RunRecord], measured: Sequence[Mapping[str, Any]], comparison: Mapping[str, Any] | None
) -> str:
    """The sentences, one after another."""
    z, y, x = scan.shape
    size = (
        f" of {scan.voxel} (z × y × x)"
        if scan.voxel is not None and not scan.voxel.isotropic
        else f" of {scan.voxel}"
        if scan.voxel
        else ""
    )
    said = [f"The scan {scan.name} ({z} × {y} × {x} voxels{size}, {scan.dtype}) was segmented with Lithoscope {__version__}."]
    if scan.field_of_view is not None:
        said.append(f"Only voxels within the field of view ({scan.field_of_view}) were used.")
    if comparison is not None:
        said += _compared(comparison)
    else:
        said += [made(name, record) for name, record in records.items()]
    if measured:
        by = str(measured[0]["interval"]["by"])
        said.append(
            f"Phase fractions are parts of the labelled voxels inside the field of view; their 95 % sampling intervals come from a {by}."
        )
        if "none" in by:
            said[-1] = "Phase fractions are parts of the labelled voxels inside the field of view; the volume is too small for an interval."
        if any("structure" in m for m in measured):
            said.append(
                "Connected components share faces of voxels; surface areas were estimated by Crofton's formula from crossings in "
                "thirteen directions."
            )
        if thick := [m["thickness"] for m in measured if "thickness" in m]:
            part = thick[0]
            spread = (
                "" if part["blocks"] == part["of_blocks"] else f", in {part['blocks']} blocks spread over the scan of {part['of_blocks']}"
            )
            said.append(f"Local thickness is the diameter of the largest sphere within the phase over each voxel{spread}.")
    return " ".join(said)


def made(name: str, record: RunRecord) -> str:
    """How one result was made."""
    if record.kind == "truth":
        return f"The labels {name} are a reference, not a segmentation."
    if record.kind != "segment":
        return f"The labels {name} were imported."
    kind = REGISTRY.get(record.method)
    title = kind.title if kind is not None else record.method
    usual = {p.name: p.default for p in parameters(kind)} if kind is not None else {}
    own = [f"{k} = {_said(v)}" for k, v in record.parameters.items() if v not in (None, [], "") and _said(usual.get(k)) != _said(v)]
    words = f"{name} was made by {title}" + (f" ({', '.join(own)})" if own else " with default settings")
    found = [f"{key}: {_said(value)}" for key, value in record.learnt.items() if key in ("thresholds", "centres")]
    tail = f"; {', '.join(found)}" if found else ""
    image = record.source.get("image")
    taught = [key for key in record.inputs if key.startswith("strokes on ")]
    by = f", taught by {' and '.join(taught)}" if taught and (kind is None or kind.needs_labels) else ""
    return f"{words}{f', on the filtered image {image}' if image else ''}{by}{tail}."


def _compared(comparison: Mapping[str, Any]) -> list[str]:
    strokes, truth = comparison["strokes"], comparison["truth"]
    count = sum(strokes["voxels"].values())
    ran = [m for m in comparison["methods"] if m["mean_iou"] is not None]
    names = ", ".join(m["title"] if ":" not in m["name"] else m["name"] for m in ran)
    said = [f"{len(ran)} methods ({names}) learnt from the same {count:,} painted voxels."]
    if any(m.get("class_map") for m in ran):
        said.append(
            "The clusters of methods without labels were assigned to the classes one to one by the Hungarian method, on painted voxels "
            "that teach and on no others."
        )
    if truth is not None:
        said.append(
            f"They were scored on the {sum(truth['voxels'].values()):,} voxels of the reference {truth['name']} that were not painted."
        )
    else:
        held = sum(strokes["held"].values())
        said.append(
            f"They were scored on {held:,} of the painted voxels, whole strokes at least {strokes['apart'] or 32} voxels from all others, "
            "which taught none of them."
        )
    seeds = len(comparison["seeds"])
    said.append(f"The score is the intersection over union, the mean over classes{f' and {seeds} seeds' if seeds > 1 else ''}.")
    if ran:
        said.append(f"{ran[0]['title']} scored best ({ran[0]['mean_iou']:.3f}).")
    return said


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_said(v) for v in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def sources(methods: Sequence[str], *, intervals: bool, mapping: bool, surface: bool, boundary: bool, thickness: bool = False) -> list[str]:
    """The references of what was used."""
    wanted = [*dict.fromkeys(methods)]
    more = {"blocks": intervals, "mapping": mapping, "surface": surface, "thickness": thickness, "boundary": boundary}
    wanted += [key for key, used in more.items() if used]
    return [SOURCES[key] for key in wanted if key in SOURCES]
