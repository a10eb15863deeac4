"""The page about results: measured, compared, pictured and explained; and the same numbers as JSON and CSV beside it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from lithoscope import __version__
from lithoscope.classes import ClassTable
from lithoscope.compare import open_comparison
from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.labels.classes_file import known_classes
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import Result, open_result, results
from lithoscope.measure.phases import measure
from lithoscope.report import sections, sizes
from lithoscope.report.charts import Line, legend, lines
from lithoscope.report.files import check_place, write_files
from lithoscope.report.planes import grey_plane, label_plane, plane_box
from lithoscope.report.words import paragraph, sources
from lithoscope.volume.scan import Scan


@dataclass(frozen=True)
class Shown:
    """One result of the page: as it lies in the scan, its classes with those of corrections, and what was measured."""

    result: Result
    classes: ClassTable
    measured: dict[str, Any]


def report_page(
    scan: Scan,
    names: Sequence[str],
    out: Path,
    *,
    comparison: str | None = None,
    truth: str | None = None,
    truth_map: Mapping[int, int] | None = None,
    structure: bool = False,
    thickness: bool = False,
    overwrite: bool = False,
    report: Report = silent,
) -> dict[str, Any]:
    """Write the page at `out` and its numbers beside it; answers with the `files`. With a comparison, the results it made are shown,
    and the best of them is measured if no result is named."""
    check_place(out, overwrite=overwrite)
    compared = None if comparison is None else open_comparison(scan, comparison)
    there = results(scan)
    ran = [] if compared is None else [m for m in compared["methods"] if m.get("result") in there]
    named = list(dict.fromkeys(names)) or [m["result"] for m in ran[:1]]
    if not named:
        raise InputError(f"no result is named; the results of {scan.name} are {', '.join(there) or 'none yet'}")
    shown = []
    for number, name in enumerate(named):
        told = _part(report, number, len(named))
        measured = measure(scan, name, truth=truth, value_map=truth_map, structure=structure, thickness=thickness, report=told)
        result = open_result(scan, name)
        shown.append(Shown(result, known_classes(scan, result.classes), measured))
    whole = {
        "scan": scan.info(),
        "results": {s.result.name: {"record": s.result.record.to_json(), "measured": s.measured} for s in shown},
        "comparison": compared,
        "lithoscope": __version__,
    }
    written = write_files(out, _html(scan, shown, compared, ran), whole)
    report(Progress(1, 1, "written"))
    return {"files": [str(file) for file in written], "results": named, "comparison": comparison}


def _html(scan: Scan, shown: Sequence[Shown], compared: Mapping[str, Any] | None, ran: Sequence[Mapping[str, Any]]) -> str:
    parts = [("The scan", _scan(scan)), ("One plane", _planes(scan, shown, ran))]
    if compared is not None:
        parts.append(("Comparison of methods", _comparison(compared)))
    parts += [(f"Result: {s.result.name}", _result(s)) for s in shown]
    parts += [("Methods", _methods(scan, shown, compared)), ("Records", _records(shown, compared))]
    menu = "".join(f'<a href="#s{n}">{escape(title)}</a>' for n, (title, _) in enumerate(parts))
    body = "".join(f'<section id="s{n}"><h2>{escape(title)}</h2>{content}</section>' for n, (title, content) in enumerate(parts))
    facts = " · ".join(_facts(scan))
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    written = f"Written by Lithoscope {__version__} on {date.today().isoformat()}. Nothing on this page is loaded from elsewhere."
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(scan.name)} – segmentation report</title><style>{style}</style></head>
<body><header><div><p class="kind">Segmentation report</p><h1>{escape(scan.name)}</h1><p>{escape(facts)}</p><nav>{menu}</nav></div></header>
<main>{_cards(shown, compared)}{body}
<footer>{written}</footer></main></body></html>
"""


def _facts(scan: Scan) -> list[str]:
    z, y, x = scan.shape
    return [f"{z} × {y} × {x} voxels", f"{scan.voxel} a voxel" if scan.voxel else "voxel size not known", str(scan.dtype)]


def _cards(shown: Sequence[Shown], compared: Mapping[str, Any] | None) -> str:
    found = []
    first = shown[0].measured
    between = sections.interval(first["porosity_low"], first["porosity_high"])
    if any(c.porosity for c in shown[0].classes):
        found.append(sections.card(sections.share(first["porosity"]), "porosity", f"{first['result']}; {between}"))
    else:
        phase = max(first["phases"].values(), key=lambda phase: phase["voxels"])
        between = sections.interval(phase["low"], phase["high"])
        found.append(sections.card(sections.share(phase["fraction"]), phase["name"], f"{first['result']}; {between}"))
    if compared is not None and compared["best"] is not None:
        best = compared["methods"][0]
        found.append(sections.card(f"{best['mean_iou']:.3f}", "best mean IoU", f"{best['name']}, of {_count(compared)} methods"))
        fastest = min((m for m in compared["methods"] if m["seconds"] is not None), key=lambda m: m["seconds"])
        found.append(sections.card(f"{fastest['seconds']:.1f} s", "fastest", f"{fastest['name']}, mean IoU {fastest['mean_iou']:.3f}"))
    elif "mean_iou" in first:
        found.append(sections.card(f"{first['mean_iou']:.3f}", "mean IoU", f"{first['result']} against {first['truth']}"))
    found.append(sections.card(f"{first['voxels']:,}", "voxels measured", "inside the field of view"))
    return f'<div class="cards">{"".join(found)}</div>'


def _count(compared: Mapping[str, Any]) -> int:
    return sum(m["mean_iou"] is not None for m in compared["methods"])


def _scan(scan: Scan) -> str:
    info = scan.info()
    view = info["fov"] or "the whole scan"
    percentiles = ", ".join(f"{q} %: {v:g}" for q, v in info["percentiles"].items())
    rows = [
        ["voxel size", escape(f"{scan.voxel} (z, y, x)" if scan.voxel else "not known")],
        ["field of view", escape(str(view))],
        ["percentiles", escape(percentiles)],
        ["source", escape(", ".join(f"{k} {v}" for k, v in info["source"].items() if isinstance(v, (str, int, float))))],
        ["content hash", f"<code>{info['content_hash']}</code>"],
    ]
    histogram = scan.histogram
    step = max(1, len(histogram.counts) // 256)
    counts = [int(histogram.counts[i : i + step].sum()) for i in range(0, len(histogram.counts), step)]
    at = [float(histogram.values[min(i + step // 2, len(histogram.values) - 1)]) for i in range(0, len(histogram.counts), step)]
    drawn = lines([Line("voxels", "#1f6f8b", at, [c or None for c in counts])], "grey value", "voxels", title="histogram", log_y=True)
    facts = sections.table(["", ""], rows, text=(0, 1)).replace('<thead><tr><th class="text"></th><th class="text"></th></tr></thead>', "")
    return f'<div class="grid">{facts}{sections.figure("Grey values inside the field of view", drawn)}</div>'


def _planes(scan: Scan, shown: Sequence[Shown], ran: Sequence[Mapping[str, Any]]) -> str:
    """The same plane of the scan, of every compared method and of every result."""
    box = plane_box(scan)
    made = [_plane("scan", grey_plane(scan, box), "grey values")]
    scored = {m["result"]: m for m in ran}
    classes: dict[int, tuple[str, str]] = {}
    for name in dict.fromkeys([*(m["result"] for m in ran), *(s.result.name for s in shown)]):
        result = open_result(scan, name)
        table = known_classes(scan, result.classes)
        classes |= {c.id: (c.name, c.colour) for c in table}
        with ExitStack() as stack:
            labels = stack.enter_context(corrected(scan, result, readonly=True))
            picture = label_plane(scan, labels, table, box)
        if name in scored:
            made.append(_plane(scored[name]["name"], picture, f"mean IoU {scored[name]['mean_iou']:.3f}"))
        else:
            made.append(_plane(name, picture, result.record.method))
    (z, y0, x0), (_, y1, x1) = box.start, box.stop
    words = f"Slice z = {z}, y {y0} to {y1}, x {x0} to {x1}; classes laid over the grey values."
    return f'<div class="planes">{"".join(made)}</div>{legend(list(classes.values()))}<p class="soft">{words}</p>'


def _plane(title: str, uri: str, caption: str) -> str:
    alt = escape(f"{title}: {caption}", quote=True)
    return f'<figure><b>{escape(title)}</b><img src="{uri}" alt="{alt}"><figcaption>{escape(caption)}</figcaption></figure>'


def _comparison(compared: Mapping[str, Any]) -> str:
    classes = ClassTable.from_json(compared["classes"])
    made = sections.comparison_table(compared, classes) + sections.comparison_figures(compared)
    made += "".join(f'<p class="note">{escape(note)}</p>' for note in (compared["truth"] or {}).get("notes", []))
    if compared["best"] is not None:
        best = compared["methods"][0]
        made += f"<h3>{escape(best['name'])}, class by class</h3>" + sections.agreement_table(best, classes)
        made += sections.confusion(best, classes)
    return made + sections.class_maps(compared, classes)


def _result(shown: Shown) -> str:
    measured, classes = shown.measured, shown.classes
    made = "".join(f'<p class="note">{escape(note)}</p>' for note in measured["notes"])
    made += sections.phases(measured, classes)
    between = f"The interval covers {measured['interval']['covers']}. It comes from: {measured['interval']['by']}."
    made += f'<p class="soft">{escape(between)}</p>'
    made += sections.structures(measured, classes) + sizes.table(measured, classes)
    if "mean_iou" in measured:
        made += f"<h3>Against {escape(measured['truth'])}: mean IoU {measured['mean_iou']:.3f}</h3>"
        made += sections.agreement_table(measured, classes) + sections.confusion(measured, classes)
    return made + sections.phase_figures(measured, classes, sizes.figure(measured, classes))


def _methods(scan: Scan, shown: Sequence[Shown], compared: Mapping[str, Any] | None) -> str:
    records = {s.result.name: s.result.record for s in shown}
    words = paragraph(scan, records, [s.measured for s in shown], compared)
    used = [r.method for r in records.values()]
    if compared is not None:
        used += [m["name"].partition(":")[0] for m in compared["methods"] if m["mean_iou"] is not None]
    cited = sources(
        used,
        intervals=any("bootstrap" in s.measured["interval"]["by"] for s in shown),
        mapping=compared is not None,
        surface=any("structure" in s.measured for s in shown),
        thickness=any("thickness" in s.measured for s in shown),
        boundary=compared is not None or any("boundary_f1" in s.measured for s in shown),
    )
    listed = "".join(f"<li>{escape(text)}</li>" for text in cited)
    return f'<p class="soft">To take over into a paper:</p><blockquote>{escape(words)}</blockquote><h3>Sources</h3><ol>{listed}</ol>'


def _records(shown: Sequence[Shown], compared: Mapping[str, Any] | None) -> str:
    made = "".join(sections.record(f"Run record of {s.result.name}", s.result.record.to_json()) for s in shown)
    for m in [] if compared is None else compared["methods"]:
        if "record" in m:
            made += sections.record(f"Run record of {m['name']} in the comparison", m["record"])
    return made


def _part(report: Report, number: int, count: int) -> Report:
    """The report of one result among several."""
    return lambda p: report(Progress(round(1000 * (number + p.fraction)), 1000 * count, p.message))
