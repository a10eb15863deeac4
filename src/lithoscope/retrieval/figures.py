"""Figures of an evaluation as SVG that stands alone: precision over recall, a map of the vectors, who was taken for whom."""

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

SIDE, EDGE = 480, 56
STYLE = "font-family:system-ui,sans-serif;font-size:12px;fill:#222"


def colours(count: int) -> list[str]:
    """So many colours that differ, in turns lighter and darker."""
    return [f"hsl({round(i * 360 / max(count, 1))},65%,{(42, 58, 34)[i % 3]}%)" for i in range(count)]


def _svg(width: int, height: int, body: str, title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
    return f'{head} style="{STYLE}"><title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>{body}</svg>\n'


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def precision_recall(recall: Sequence[float], precision: Sequence[float], area: float) -> str:
    """The curve through these places and its ends (0, 1) and (1, 0)."""
    length = SIDE - 2 * EDGE
    places = [(0.0, 1.0), *sorted(zip(recall, precision, strict=True)), (1.0, 0.0)]
    points = [(EDGE + r * length, SIDE - EDGE - p * length) for r, p in places]
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1b6ca8"/>' for x, y in points[1:-1])
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    ticks = "".join(
        _text(EDGE + v * length, SIDE - EDGE + 18, f"{v:g}", 'text-anchor="middle"')
        + _text(EDGE - 8, SIDE - EDGE - v * length + 4, f"{v:g}", 'text-anchor="end"')
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    frame = f'<rect x="{EDGE}" y="{EDGE}" width="{length}" height="{length}" fill="none" stroke="#999"/>'
    words = _text(SIDE / 2, SIDE - 14, "recall", 'text-anchor="middle"') + _text(EDGE, EDGE - 14, f"precision · area {area:.3f}")
    curve = f'<polyline points="{line}" fill="none" stroke="#1b6ca8" stroke-width="2"/>'
    return _svg(SIDE, SIDE, frame + ticks + curve + marks + words, f"Precision over recall, area {area:.3f}")


def scatter(places: npt.NDArray[np.floating], names: Sequence[str], title: str, images: Sequence[str] | None = None) -> str:
    """Places (n, 2) coloured by class, with a legend; the name of an image shows when the pointer rests on it."""
    kinds = sorted(set(names))
    colour = dict(zip(kinds, colours(len(kinds)), strict=True))
    low, high = places.min(0), places.max(0)
    scaled = EDGE / 2 + (places - low) / np.maximum(high - low, 1e-12) * (SIDE - EDGE)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{SIDE - y:.1f}" r="4" fill="{colour[name]}" fill-opacity="0.8">'
        f"<title>{escape(images[i] if images is not None else name)}</title></circle>"
        for i, ((x, y), name) in enumerate(zip(scaled, names, strict=True))
    )
    legend = "".join(
        f'<circle cx="{SIDE + 12}" cy="{24 + 18 * i}" r="5" fill="{colour[kind]}"/>' + _text(SIDE + 24, 28 + 18 * i, kind)
        for i, kind in enumerate(kinds)
    )
    return _svg(SIDE + 200, max(SIDE, 40 + 18 * len(kinds)), dots + legend, title)


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> str:
    """Rows are what it is, columns what it was taken for; the shade is the share of the row."""
    cell, left = 34, 170
    body = _text(left, 20, title) + _text(8, left - 8, "is ↓   taken for →")
    for i, (row, name) in enumerate(zip(counts, classes, strict=True)):
        y = left + i * cell
        body += _text(left - 8, y + cell * 0.62, name, 'text-anchor="end"')
        x = left + i * cell + cell * 0.6
        body += _text(x, left - 8, name, f'transform="rotate(-60 {x:.1f} {left - 8})"')
        for j, count in enumerate(row):
            share = count / max(sum(row), 1)
            shade = f'fill="rgb(27,108,168)" fill-opacity="{share:.3f}" stroke="#ddd"'
            body += f'<rect x="{left + j * cell}" y="{y}" width="{cell}" height="{cell}" {shade}/>'
            if count:
                more = f'text-anchor="middle" style="fill:{"#fff" if share > 0.5 else "#222"}"'
                body += _text(left + (j + 0.5) * cell, y + cell * 0.62, str(count), more)
    side = left + cell * len(classes) + 60
    return _svg(side, side, body, title)
