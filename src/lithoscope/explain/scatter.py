"""A map of patches as a figure: a dot a patch, coloured by class, scan or a column of metadata."""

from collections import Counter
from typing import Any

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.explain.palettes import GROUPS, coloured, group_colour
from lithoscope.explain.points import NOBODY, Map
from lithoscope.explain.sheet import LETTERS, Sheet, text_width

SIDE = 560
MARGIN = 16
KEY = 210
MOST = len(GROUPS)
"""Groups that are told apart; the smaller ones beyond are drawn together."""


def colours_of(values: list[Any], classes: ClassTable | None = None) -> tuple[list[str], list[tuple[str, str]]]:
    """The colour of every point, and the key: the colour and words of each group, the largest first.

    Numbers of more than eleven kinds are shown as a ramp, whose key is its two ends.
    """
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if numbers and len(set(numbers)) > MOST:
        low, high = min(numbers), max(numbers)
        known = np.array([v if isinstance(v, (int, float)) else np.nan for v in values], np.float32)
        ramp = coloured(known, (low, high), "viridis")
        ends = coloured(np.array([0.0, 0.5, 1.0], np.float32), (0, 1), "viridis")
        key = [(_hex(c), f"{v:g}") for c, v in zip(ends, (low, (low + high) / 2, high), strict=True)]
        return [_hex(c) if c[3] else "#bbbbbb" for c in ramp], key
    counts = Counter(_said(v) for v in values)
    given = {c.name: c.colour for c in classes} if classes is not None else {}
    groups = [name for name, _ in counts.most_common() if name != NOBODY]
    chosen, number = {NOBODY: "#bbbbbb"}, 0
    for place, name in enumerate(groups):
        if name in given:
            chosen[name] = given[name]
        else:
            chosen[name] = group_colour(number) if place < MOST else "#bbbbbb"
            number += 1
    order = [*groups[:MOST], *([NOBODY] if NOBODY in counts else [])]
    return [chosen[_said(v)] for v in values], [(chosen[n], f"{n} {counts[n]}") for n in order]


def _said(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text or NOBODY


def column_of(made: Map, wish: str | None) -> str:
    """The column that colours a map: the one wished for, else the class where it is known, else the scan."""
    columns = made.points.columns
    if wish is None:
        return "class" if "class" in columns else "scan"
    if wish not in columns:
        raise InputError(f"the map has no column {wish!r}; colour it by one of {', '.join(columns)}")
    return wish


def scatter(made: Map, colour: str | None = None, classes: ClassTable | None = None) -> Sheet:
    """The map as a sheet."""
    column = column_of(made, colour)
    colours, key = colours_of(list(made.points.columns[column]), classes if column == "class" else None)
    top = MARGIN + 2 * (LETTERS + 5)
    sheet = Sheet(SIDE + KEY + 3 * MARGIN, top + SIDE + MARGIN)
    name = {"pca": "PCA", "tsne": "t-SNE"}.get(made.method, made.method)
    sheet.text(f"{name} of {len(made.points)} patches of {', '.join(made.points.scans)}", (MARGIN, MARGIN))
    sheet.text(" · ".join(made.notes), (MARGIN, MARGIN + LETTERS + 4), colour="#55575e")
    sheet.box((MARGIN, top), (SIDE, SIDE), line="#c9cbd1", thick=1)
    low, high = made.at.min(0), made.at.max(0)
    extent = float(max((high - low).max(), 1e-9))
    middle = (low + high) / 2
    inner = SIDE - 28
    places = (made.at - middle) / extent * inner
    places[:, 1] *= -1
    order = np.random.default_rng(0).permutation(len(places))
    radius = float(np.clip(90 / np.sqrt(len(places)), 1.1, 4))
    places += np.array([MARGIN + SIDE / 2, top + SIDE / 2], np.float32)
    sheet.dots(places[order].astype(np.float64), [colours[i] for i in order], radius)
    left, y = SIDE + 2 * MARGIN, float(top)
    sheet.text(column, (left, y), colour="#55575e")
    for shade, words in key:
        y += LETTERS + 8
        sheet.box((left, y + 1), (13, 13), fill=shade)
        sheet.text(_short(words), (left + 20, y))
    return sheet


def _short(words: str) -> str:
    while text_width(words) > KEY - 24 and len(words) > 4:
        words = words[:-2].rstrip() + "…" if not words.endswith("…") else words[:-3] + "…"
    return words


def _hex(colour: Any) -> str:
    return f"#{int(colour[0]):02x}{int(colour[1]):02x}{int(colour[2]):02x}"
