"""Connection, surface and thickness in words, a line a phase."""

from collections.abc import Mapping
from typing import Any

from lithoscope.classes import ClassTable

Json = Mapping[str, Any]


def structure_words(measured: Json, classes: ClassTable) -> list[str]:
    """What hangs together, what reaches across, and how much surface there is; nothing where it was not measured."""
    structure, lines = measured.get("structure"), []
    if structure is None:
        return []
    for id, of in structure["connected"].items():
        across = ", ".join(axis for axis, there in of["percolates"].items() if there) or "no axis"
        area = structure["surface"]["phases"].get(id)
        surface = f", surface {area['area']:.4g} {structure['surface']['unit']}²" if area else ""
        lines.append(f"{_name(id, classes)}: {100 * of['largest_fraction']:.1f} % in the largest piece, reaches across {across}{surface}")
    return lines


def thickness_words(measured: Json, classes: ClassTable) -> list[str]:
    """How thick each phase is; nothing where it was not measured."""
    found = measured.get("thickness")
    if found is None:
        return []
    unit = found["unit"]
    lines = [
        f"{_name(id, classes)}: {of['mean']:.3g} ± {of['sd']:.2g} {unit} thick, at most {of['largest']:.3g} {unit}"
        for id, of in found["phases"].items()
    ]
    if found["blocks"] < found["of_blocks"]:
        lines.append(f"Thickness measured in {found['blocks']} of {found['of_blocks']} blocks.")
    return lines


def _name(id: str, classes: ClassTable) -> str:
    return {str(c.id): c.name for c in classes}.get(id, id.replace("_", " "))
