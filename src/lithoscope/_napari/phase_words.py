"""Connection, surface and thickness, a row a phase: as a small table to be read, and as text to be copied."""

from collections.abc import Mapping
from html import escape
from typing import Any

from lithoscope.classes import ClassTable
from lithoscope.measure.readable import readable

Json = Mapping[str, Any]

ABOUT = (
    "connected: how much of the phase is in its largest piece. across: along which axes a piece reaches from face to face. "
    "thickness: the diameter of the largest sphere that fits around a voxel, mean ± spread."
)


NARROW = "&nbsp;"
"""Keeps a cell in one line; the names of phases may break."""


def structure_rows(measured: Json, classes: ClassTable) -> list[list[str]]:
    """The head and a row a phase, of what was measured beyond fractions; nothing where that is nothing."""
    structure, thickness = measured.get("structure"), measured.get("thickness")
    if structure is None and thickness is None:
        return []
    connected = {} if structure is None else structure["connected"]
    areas = {} if structure is None else structure["surface"]["phases"]
    thick = {} if thickness is None else thickness["phases"]
    head = ["phase"]
    if structure is not None:
        head += ["connected", "across", f"surface {structure['surface']['unit']}²"]
    if thickness is not None:
        head += [f"thickness {thickness['unit']}", "at most"]
    rows = [head]
    for id in dict.fromkeys([*connected, *thick]):
        row = [_name(id, classes)]
        if structure is not None:
            of, area = connected.get(id), areas.get(id)
            across = "" if of is None else ", ".join(axis for axis, there in of["percolates"].items() if there) or "no axis"
            row += [
                "" if of is None else f"{100 * of['largest_fraction']:.1f} %",
                across,
                "" if area is None else readable(area["area"], 3),
            ]
        if thickness is not None:
            size = thick.get(id)
            row += ["", ""] if size is None else [f"{size['mean']:.3g} ± {size['sd']:.2g}", f"{size['largest']:.3g}"]
        rows.append(row)
    return rows


def structure_words(measured: Json, classes: ClassTable) -> str:
    """The rows as tables in HTML, one beneath the other so that a narrow dock has room; "" where nothing was measured."""
    parts = [{key: measured[key]} for key in ("structure", "thickness") if measured.get(key) is not None]
    found = measured.get("thickness")
    partly = found is not None and found["blocks"] < found["of_blocks"]
    note = f"<small>Thickness measured in {found['blocks']} of {found['of_blocks']} blocks.</small>" if found is not None and partly else ""
    return "".join(_table(structure_rows(part, classes)) for part in parts) + note


def _table(rows: list[list[str]]) -> str:
    head, *others = rows
    lines = ["".join(_cell(place, f"<small>{escape(words)}</small>") for place, words in enumerate(head))]
    lines += ["".join(_cell(place, escape(words)) for place, words in enumerate(row)) for row in others]
    return f'<table width="100%" cellspacing="0" cellpadding="2">{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'


def _cell(place: int, words: str) -> str:
    return f'<td align="right">{words.replace(" ", NARROW)}</td>' if place else f"<td>{words}</td>"


def _name(id: str, classes: ClassTable) -> str:
    return {str(c.id): c.name for c in classes}.get(id, id.replace("_", " "))
