"""The parts of the page, each a piece of HTML made of plain JSON."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lithoscope.classes import ClassTable, colour_of
from lithoscope.measure.readable import readable
from lithoscope.report.charts import Line, Point, lines, points

Json = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, text: Sequence[int] = (0,), best: int | None = None) -> str:
    """A table; cells are HTML, columns in `text` are aligned to the left, row `best` is marked."""
    kinds = ['class="text"' if n in text else "" for n in range(len(head))]
    top = "".join(f"<th {k}>{cell}</th>" for k, cell in zip(kinds, head, strict=True))
    body = ""
    for n, row in enumerate(rows):
        cells = "".join(f"<td {kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
        body += f'<tr class="best">{cells}</tr>' if n == best else f"<tr>{cells}</tr>"
    return f'<div class="sheet"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(title: str, content: str, caption: str = "") -> str:
    """A figure with its title above and its caption below; nothing where there is no content."""
    if not content:
        return ""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure><b>{escape(title)}</b>{content}{below}</figure>"


def card(value: str, name: str, more: str = "") -> str:
    """One figure that matters."""
    return f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b><span>{escape(more)}</span></div>'


def swatch(colour: str, name: str) -> str:
    """A name with its colour."""
    return f'<i style="background:{colour}"></i>{escape(name)}'


def phases(measured: Json, classes: ClassTable) -> str:
    """Fractions of one result with their intervals, as a table."""
    unit = measured["volume_unit"]
    rows = []
    for id, phase in measured["phases"].items():
        volume = f"{readable(phase['volume'])} {unit}" if "volume" in phase else "–"
        name = swatch(classes[int(id)].colour, phase["name"])
        rows.append([name, share(phase["fraction"]), interval(phase["low"], phase["high"]), f"{phase['voxels']:,}", volume])
    if not any(c.porosity for c in classes):
        return table(["phase", "fraction", "95 % sampling interval", "voxels", "volume"], rows)
    pores = [share(measured["porosity"]), interval(measured["porosity_low"], measured["porosity_high"]), "", ""]
    rows.append(["porosity", *pores])
    return table(["phase", "fraction", "95 % sampling interval", "voxels", "volume"], rows)


def share(value: float | None) -> str:
    """A fraction in per cent."""
    return "–" if value is None else f"{100 * value:.2f} %"


def interval(low: float | None, high: float | None) -> str:
    """Two fractions in per cent."""
    return "–" if low is None or high is None else f"{100 * low:.2f} … {100 * high:.2f} %"


def phase_figures(measured: Json, classes: ClassTable, more: str = "") -> str:
    """Profile, representative volume and correlation of one result, and further figures."""
    unit = measured["length_unit"] or "voxels"
    made = []
    for axis in "zyx":
        curves = [
            Line(classes[int(id)].name, classes[int(id)].colour, range(len(values)), values)
            for id, values in measured["profiles"][axis].items()
        ]
        if len(curves[0].x) > 1:
            made.append(
                figure(f"Fractions along {axis}", lines(curves, f"slice ({axis})", "fraction", title=f"profile along {axis}", zero=True))
            )
    curves = []
    for id in measured["phases"]:
        steps = measured["representative"][id]
        at = [step.get("length", step["edge"]) for step in steps]
        low, high = [s["low"] for s in steps], [s["high"] for s in steps]
        curves.append(Line(classes[int(id)].name, classes[int(id)].colour, at, [s["median"] for s in steps], low, high))
    drawn = lines(curves, f"edge of the box ({unit})", "fraction", title="fraction among all boxes of a size", zero=True)
    made.append(figure("Representative volume", drawn, "Median and 5th to 95th percentile among all boxes of a size."))
    curves = []
    for id, found in measured["correlation"].items():
        values = found["probability"]["x"]
        size = found["physical_lengths"]["x"] / found["lengths"]["x"] if "physical_lengths" in found else 1.0
        curves.append(Line(classes[int(id)].name, classes[int(id)].colour, [n * size for n in range(len(values))], values))
    drawn = lines(curves, f"distance along x ({unit})", "probability", title="two-point correlation along x", zero=True) if curves else ""
    made.append(figure("Two-point correlation", drawn, "The probability that two voxels this far apart are both of the phase."))
    made.append(more)
    return f'<div class="grid">{"".join(made)}</div>'


def structures(measured: Json, classes: ClassTable) -> str:
    """Connection and surface of one result; nothing where it was not measured."""
    if "structure" not in measured:
        return ""
    found = measured["structure"]
    unit = found["surface"]["unit"]
    rows = []
    for id, of in found["connected"].items():
        name = "all pores" if id == "pore_space" else swatch(classes[int(id)].colour, classes[int(id)].name)
        reaches = ", ".join(axis for axis, there in of["percolates"].items() if there) or "no axis"
        area = found["surface"]["phases"].get(id)
        areas = [f"{readable(area['area'])} {unit}²", f"{area['specific']:.4g} {unit}⁻¹"] if area else ["", ""]
        rows.append([name, f"{of['components']:,}", share(of["largest_fraction"]), reaches, *areas])
    head = ["phase", "components", "in the largest", "reaches across", "surface", "surface per volume"]
    return "<h3>Connection and surface</h3>" + table(head, rows, text=(0, 3))


def agreement_table(scores: Json, classes: ClassTable) -> str:
    """Every score by class."""
    rows = []
    for id in scores["iou"]:
        name = swatch(*_looks(classes, int(id)))
        values = [scores[key][id] for key in ("iou", "dice", "precision", "recall")]
        values.append(scores.get("boundary_f1", {}).get(id))
        rows.append([name, *(score(v) for v in values)])
    return table(["class", "IoU", "Dice", "precision", "recall", "boundary F1"], rows)


def _looks(classes: ClassTable, id: int) -> tuple[str, str]:
    """Colour and name of a class, of one that is not in the table too."""
    return (classes[id].colour, classes[id].name) if id in classes else (colour_of(id), f"class {id}")


def score(value: float | None) -> str:
    """A score to three digits."""
    return "–" if value is None else f"{value:.3f}"


def confusion(scores: Json, classes: ClassTable) -> str:
    """The confusion matrix in per cent of each true class."""

    def named(id: int) -> str:
        return "none" if id == 0 else escape(classes[id].name if id in classes else f"class {id}")

    matrix = scores["confusion"]
    rows = []
    for id, counts in zip(matrix["truth"], matrix["voxels"], strict=True):
        rows.append([named(id), *(f"{100 * n / max(1, sum(counts)):.1f} %" for n in counts), f"{sum(counts):,}"])
    return table(["truth ↓ · predicted →", *(named(id) for id in matrix["predicted"]), "voxels"], rows)


def comparison_table(found: Json, classes: ClassTable) -> str:
    """The methods, best first, and those that are missing or failed."""
    ran = [m for m in found["methods"] if m["mean_iou"] is not None]
    seeds = len(found["seeds"]) > 1
    head = ["method", "mean IoU", *(swatch(c.colour, c.name) for c in classes), "boundary F1", "seconds", "memory", "learns from"]
    rows = []
    for m in ran:
        spread = f" ± {m['mean_iou_sd']:.3f}" if seeds and m.get("mean_iou_sd") is not None else ""
        meter = f'<span class="meter"><i style="width:{100 * max(0.0, m["mean_iou"]):.0f}%"></i></span>'
        gpu = f" + {megabytes(m['gpu_peak_bytes'])} GPU" if m.get("gpu_peak_bytes") else ""
        rows.append(
            [
                escape(m["name"]),
                f"{m['mean_iou']:.3f}{spread}{meter}",
                *(score(m["iou"].get(str(c.id))) for c in classes),
                score(m.get("mean_boundary_f1")),
                f"{m['seconds']:.1f}",
                megabytes(m["peak_bytes"]) + gpu,
                "strokes" if m["needs_labels"] or m["name"] == "threshold" else "grey values",
            ]
        )
    made = table(head, rows, best=0) if rows else ""
    for m in found["methods"]:
        if m["mean_iou"] is None:
            made += f'<p class="note"><b>{escape(m["name"])}</b>: {escape(m.get("missing") or "failed: " + m.get("error", ""))}</p>'
    return made


def megabytes(count: int) -> str:
    """Bytes as MB or GB."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def comparison_figures(found: Json) -> str:
    """Score against time, and score by slice."""
    ran = [m for m in found["methods"] if m["mean_iou"] is not None]
    marks = [Point(m["name"], colour_of(n + 1), m["seconds"], m["mean_iou"], m.get("mean_iou_sd") or 0.0) for n, m in enumerate(ran)]
    made = figure("Score against time", points(marks, "seconds, fitting included", "mean IoU", title="mean IoU against seconds"))
    curves = [
        Line(m["name"], colour_of(n + 1), range(len(m["by_slice"]["mean_iou"])), m["by_slice"]["mean_iou"]) for n, m in enumerate(ran)
    ]
    known = [v for c in curves for v in c.y if v is not None]
    if known and sum(v is not None for v in curves[0].y) > 2:
        made += figure("Score by slice", lines(curves, "slice (z)", "mean IoU", title="mean IoU of each slice"))
    return f'<div class="grid">{made}</div>'


def class_maps(found: Json, classes: ClassTable) -> str:
    """Which class each cluster was taken for."""
    rows = []
    for m in found["methods"]:
        if m.get("class_map"):
            words = ", ".join(f"{own} → {classes[id].name}" for own, id in m["class_map"].items())
            rows.append([escape(m["name"]), escape(words)])
    if not rows:
        return ""
    return "<h3>What each cluster was taken for</h3>" + table(["method", "cluster → class, by the strokes that teach"], rows, text=(0, 1))


def record(title: str, content: Any) -> str:
    """A record to be opened, as JSON."""
    words = json.dumps(content, indent=1, ensure_ascii=False)
    return f"<details><summary>{escape(title)}</summary><pre>{escape(words)}</pre></details>"
